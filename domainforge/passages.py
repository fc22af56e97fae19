"""Rows of a table by their id, read from disk: what is in memory doesn't grow with the rows."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from domainforge.table_writer import read_batches

_KEPT_ROWS = 4096
_NAME = "passages.arrow"


class PassageStore(Mapping[str, dict[str, Any]]):
    """The chunks of a run by their id, as a mapping.

    The rows are laid out uncompressed in a file of its own, which the system reads page by page;
    in memory are the ids (a few bytes a row) and the rows that were asked for last.
    """

    def __init__(self, table: Path, scratch: Path) -> None:
        """Lay the rows out.

        Args:
            table: Folder of the table's Parquet shards, ordered by id.
            scratch: Folder for the file; whoever gives it removes it.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / _NAME
        ids: list[bytes] = []
        starts = [0]
        with pa.OSFile(str(path), "wb") as sink:
            writer = None
            for batch in read_batches(table):
                if writer is None:
                    writer = pa.ipc.new_file(sink, batch.schema)
                writer.write_batch(batch)
                ids += (str(at).encode() for at in batch.column("id").to_pylist())
                starts.append(starts[-1] + batch.num_rows)
            if writer is not None:
                writer.close()
        order = np.argsort(np.array(ids, dtype=np.bytes_), kind="stable")
        self._ids = np.array(ids, dtype=np.bytes_)[order]
        self._places = order
        self._starts = np.array(starts)
        self._file = pa.ipc.open_file(pa.memory_map(str(path))) if ids else None
        self._row = lru_cache(maxsize=_KEPT_ROWS)(self._read)

    def __getitem__(self, key: str) -> dict[str, Any]:
        at = self._find(key)
        if at is None:
            raise KeyError(key)
        return self._row(at)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._find(key) is not None

    def __iter__(self) -> Iterator[str]:
        return (at.decode() for at in self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def _find(self, key: str) -> int | None:
        wanted = key.encode()
        at = int(np.searchsorted(self._ids, np.bytes_(wanted))) if len(self._ids) else 0
        return at if at < len(self._ids) and bytes(self._ids[at]) == wanted else None

    def _read(self, at: int) -> dict[str, Any]:
        place = int(self._places[at])
        batch = int(np.searchsorted(self._starts, place, side="right")) - 1
        assert self._file is not None
        rows = self._file.get_batch(batch).slice(place - int(self._starts[batch]), 1).to_pylist()
        found: dict[str, Any] = rows[0]
        return found

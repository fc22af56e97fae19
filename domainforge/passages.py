"""Rows of a table by their id, read from disk: what is in memory doesn't grow with the rows."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from domainforge.table_writer import read_batches, read_columns

_KEPT_ROWS = 4096
_NAME = "passages.arrow"


def lay_out(table: Path, scratch: Path) -> Path:
    """Write a table's Parquet shards uncompressed into one file of a folder; returns the file."""
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / _NAME
    schema = read_columns(table)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in read_batches(table):
            writer.write_batch(batch)
    return path


class PassageStore(Mapping[str, dict[str, Any]]):
    """The chunks of a run by their id, as a mapping.

    The rows are laid out uncompressed in a file of its own, which the system reads page by page;
    in memory are the ids (a few bytes a row) and the rows that were asked for last.
    """

    def __init__(self, path: Path) -> None:
        """Open what `lay_out` wrote."""
        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = [self._file.get_batch(at) for at in range(self._file.num_record_batches)]
        named = (batch.column("id").cast(pa.binary()).to_pylist() for batch in batches)
        parts = [np.array(part, dtype=np.bytes_) for part in named]
        ids = np.concatenate([np.array([], dtype=np.bytes_), *parts])
        self._places = np.argsort(ids, kind="stable")
        self._ids = ids[self._places]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
        self._row = lru_cache(maxsize=_KEPT_ROWS)(self._read)

    @classmethod
    def of(cls, table: Path, scratch: Path) -> "PassageStore":
        """Lay a table out and open it.

        Args:
            table: Folder of the table's Parquet shards.
            scratch: Folder for the file; whoever gives it removes it.
        """
        return cls(lay_out(table, scratch))

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
        rows = self._file.get_batch(batch).slice(place - int(self._starts[batch]), 1).to_pylist()
        found: dict[str, Any] = rows[0]
        return found

"""The texts of many rows on disk, read again as arrays or one at a time, with flat memory."""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

_SCHEMA = pa.schema([("text", pa.large_binary())])
_PART_BYTES = 4 << 20


class TextStore:
    """Takes texts in order; when all are in, `read` and `arrays` give them back."""

    def __init__(self, path: Path | None) -> None:
        """Open the store.

        Args:
            path: A new file; None to hold the texts in memory.
        """
        self._path = path
        self._writer = pa.ipc.new_file(path, _SCHEMA) if path else None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._held: list[pa.RecordBatch] = []
        self._starts: list[int] = []
        self.rows = 0

    def add(self, text: str) -> None:
        """Take a text; lone surrogates in it too."""
        raw = text.encode("utf-8", "surrogatepass")
        self._pending.append(raw)
        self._pending_bytes += len(raw)
        if self._pending_bytes > _PART_BYTES:
            self._flush()

    def close(self) -> None:
        """Say that no more texts come."""
        self._flush()
        if self._writer is not None and self._path is not None:
            self._writer.close()
            reader = pa.ipc.open_file(pa.memory_map(str(self._path)))
            self._held = [reader.get_batch(at) for at in range(reader.num_record_batches)]

    def __iter__(self) -> Iterator[pa.Array]:
        """Yield all texts as arrays, as often as it is asked for."""
        for batch in self._held:
            yield batch.column(0)

    def read(self, row: int) -> str:
        """Return one text."""
        at = bisect_right(self._starts, row) - 1
        raw: bytes = self._held[at].column(0)[row - self._starts[at]].as_py()
        return raw.decode("utf-8", "surrogatepass")

    def _flush(self) -> None:
        if not self._pending:
            return
        batch = pa.record_batch([pa.array(self._pending, pa.large_binary())], schema=_SCHEMA)
        self._starts.append(self.rows)
        self.rows += len(self._pending)
        self._pending, self._pending_bytes = [], 0
        if self._writer is None:
            self._held.append(batch)
        else:
            self._writer.write_batch(batch)

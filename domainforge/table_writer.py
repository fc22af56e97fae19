"""Tables of any size on disk, ordered by id, with flat memory: sorted segments, then shards."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domainforge.records import canonical_json

SHARD_ROWS = 50_000
# What is held in memory before it goes to a segment; a shard of a large table is about as big.
_SEGMENT_BYTES = 48 << 20
_PENDING_ROWS = 2_000
_PENDING_BYTES = 4 << 20
_GROUP_BYTES = 1 << 20


class TableWriter:
    """Takes rows in any order and writes them as Parquet shards (zstd) ordered by id.

    Ids are taken to be evenly spread, as hashes are: shards are cut by ranges of ids.
    """

    def __init__(
        self, place: Path, schema: pa.Schema, *, segments: int = 0, segment_bytes: int | None = None
    ) -> None:
        """Open the table.

        Args:
            place: Folder that will hold its `part-*.parquet`.
            schema: Has a text column `id`.
            segments: How many segments of an interrupted writer are to be gone on from.
            segment_bytes: Rows in memory, at most.
        """
        self.place = place
        self.segments = segments
        self.rows = 0
        self.bytes = 0
        self._schema = schema
        self._folder = segment_path(place, 0).parent
        self._limit = segment_bytes or _SEGMENT_BYTES
        self._pending: list[Mapping[str, Any]] = []
        self._pending_bytes = 0
        self._tables: list[pa.Table] = []
        self._table_bytes = 0
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.iterdir():
            if path.suffix != ".parquet" or int(path.stem) >= segments:
                path.unlink()
        # Shards of a writer that was killed while it finished, which may have made more of them.
        for path in place.glob("part-*.parquet"):
            path.unlink()
        for index in range(segments):
            self.rows += pq.read_metadata(self._segment(index)).num_rows
            self.bytes += self._segment_bytes(index)

    def add(self, row: Mapping[str, Any], size_bytes: int = 0) -> None:
        """Take one row; `size_bytes` is about what its texts weigh."""
        self._pending.append(row)
        self._pending_bytes += size_bytes + 200
        if len(self._pending) >= _PENDING_ROWS or self._pending_bytes >= _PENDING_BYTES:
            self._convert()

    def add_table(self, table: pa.Table) -> None:
        """Take many rows at once."""
        self._convert()
        self._hold(table.select(self._schema.names).cast(self._schema))

    def flush(self) -> int:
        """Put what is in memory on disk; returns how many segments there are."""
        self._convert()
        if self._table_bytes:
            table = pa.concat_tables(self._tables).sort_by("id")
            path = self._segment(self.segments)
            rows_per_group = max(1, int(table.num_rows * _GROUP_BYTES / self._table_bytes))
            _write(path, table, rows_per_group)
            self.segments += 1
            self._tables, self._table_bytes = [], 0
        return self.segments

    def finish(self, mend: Callable[[pa.Table], pa.Table] | None = None) -> dict[str, Any]:
        """Write the shards and drop the segments; returns `rows` and `content_hash`.

        Args:
            mend: Changes rows, ordered by id, before they are written; not their ids.
        """
        self._convert()
        digest = hashlib.sha256()
        written = 0
        for ordered in self._ordered():
            table = mend(ordered) if mend else ordered
            for start in range(0, max(table.num_rows, 1), SHARD_ROWS):
                rows = table.slice(start, SHARD_ROWS)
                if rows.num_rows or not written:
                    _write(self.place / f"part-{written:05d}.parquet", rows)
                    written += 1
            update_hash(digest, table)
        self._tables, self._table_bytes = [], 0
        for path in self._folder.iterdir():
            path.unlink()
        self._folder.rmdir()
        return {"rows": self.rows, "content_hash": digest.hexdigest()}

    def _convert(self) -> None:
        if self._pending:
            table = pa.Table.from_pylist(self._pending, schema=self._schema)
            self._pending, self._pending_bytes = [], 0
            self._hold(table)

    def _hold(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._table_bytes += table.nbytes
        self.rows += table.num_rows
        self.bytes += table.nbytes
        if self._table_bytes >= self._limit:
            self.flush()

    def _ordered(self) -> Iterator[pa.Table]:
        """Yield the rows by ranges of ids, each range sorted."""
        empty = self._schema.empty_table()
        if not self.segments:
            yield pa.concat_tables([empty, *self._tables]).sort_by("id")
            return
        self.flush()
        ranges = max(1, -(-self.bytes // self._limit))
        bounds = [f"{(index << 64) // ranges:016x}" for index in range(ranges)]
        for low, high in zip(bounds, [*bounds[1:], None], strict=True):
            parts = [
                part
                for index in range(self.segments)
                if (part := _read_range(self._segment(index), low, high)) is not None
            ]
            yield pa.concat_tables([empty, *parts]).sort_by("id")

    def _segment(self, index: int) -> Path:
        return segment_path(self.place, index)

    def _segment_bytes(self, index: int) -> int:
        found = pq.read_metadata(self._segment(index))
        return sum(found.row_group(i).total_byte_size for i in range(found.num_row_groups))


def segment_path(place: Path, index: int) -> Path:
    """Return where a segment of an unfinished table lies."""
    return place / ".segments" / f"{index:05d}.parquet"


def update_hash(digest: "hashlib._Hash", table: pa.Table) -> None:
    """Add rows, which come ordered by id, to a content hash."""
    for batch in table.to_batches(max_chunksize=1_000):
        for row in batch.to_pylist():
            digest.update(canonical_json(row).encode())
            digest.update(b"\n")


def _read_range(path: Path, low: str, high: str | None) -> pa.Table | None:
    """Read the rows of a sorted segment whose id is in [low, high)."""
    with pq.ParquetFile(path) as file:
        column = file.schema_arrow.get_field_index("id")
        groups = []
        for index in range(file.num_row_groups):
            held = file.metadata.row_group(index).column(column).statistics
            if held.max >= low and (high is None or held.min < high):
                groups.append(index)
        if not groups:
            return None
        table = file.read_row_groups(groups)
    wanted = pc.greater_equal(table["id"], low)
    if high is not None:
        wanted = pc.and_(wanted, pc.less(table["id"], high))
    return table.filter(wanted)


def _write(path: Path, table: pa.Table, rows_per_group: int | None = None) -> None:
    with path.open("wb") as handle:
        pq.write_table(table, handle, compression="zstd", row_group_size=rows_per_group)
        handle.flush()
        os.fsync(handle.fileno())


def read_batches(folder: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table on disk, in order, a bounded part at a time."""
    for path in sorted(folder.glob("part-*.parquet")):
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=512, columns=columns)


def read_columns(folder: Path) -> pa.Schema:
    """Return the schema of a table on disk."""
    return pq.read_schema(min(folder.glob("part-*.parquet")))


def count_rows(folder: Path) -> int:
    """Return how many rows a table on disk has."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob("part-*.parquet"))

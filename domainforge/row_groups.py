"""Rows of a table in the order of another column than its id: all of one value together."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa

from domainforge.table_writer import count_rows, read_batches, read_columns

_PART_ROWS = 50_000
_MOST_PARTS = 256
_BATCH_ROWS = 512


def group_rows(
    table: Path, column: str, scratch: Path, part_rows: int = _PART_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield a table's rows, those that share a value of a column one after another.

    The order depends on the rows alone. A large table is first divided by the hashes of its values
    into files, one of which is in memory at a time.

    Args:
        table: Folder of its Parquet shards.
        column: A text column; null counts as empty.
        scratch: Folder for the files; whoever gives it removes it.
        part_rows: Rows in memory, about; more where one value has more.
    """
    parts = min(_MOST_PARTS, -(-count_rows(table) // part_rows))
    if parts <= 1:
        yield from _ordered(pa.Table.from_batches(read_batches(table), read_columns(table)), column)
        return
    for path in _divide(table, column, scratch, parts):
        with pa.memory_map(str(path)) as source:
            yield from _ordered(pa.ipc.open_file(source).read_all(), column)
        path.unlink()


def _divide(table: Path, column: str, scratch: Path, parts: int) -> list[Path]:
    scratch.mkdir(parents=True, exist_ok=True)
    paths = [scratch / f"rows-{number:03d}.arrow" for number in range(parts)]
    schema = read_columns(table)
    with ExitStack() as stack:
        writers = []
        for path in paths:
            sink = stack.enter_context(pa.OSFile(str(path), "wb"))
            writers.append(stack.enter_context(pa.ipc.new_file(sink, schema)))
        for batch in read_batches(table):
            values = batch.column(column).to_pylist()
            places = np.array([zlib.crc32((value or "").encode()) % parts for value in values])
            for number in np.unique(places):
                writers[number].write_batch(batch.filter(pa.array(places == number)))
    return paths


def _ordered(table: pa.Table, column: str) -> Iterator[pa.RecordBatch]:
    ordered = table.sort_by([(column, "ascending"), ("id", "ascending")])
    yield from ordered.to_batches(max_chunksize=_BATCH_ROWS)

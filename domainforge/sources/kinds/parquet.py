"""Parquet files of any size, batch by batch: rows as documents."""

from collections.abc import Iterator
from typing import BinaryIO

from domainforge.sources.field_values import plain_value
from domainforge.sources.kinds.jsonl import MEANING, are_examples
from domainforge.sources.kinds.members import seekable
from domainforge.sources.kinds.rows import PART_ROWS, Row, RowReader
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError


def stream_parquet(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded]:
    """Read a .parquet file of any size; rows are documents as in a .jsonl file.

    Raises:
        UnreadableError: Broken, or encrypted.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with seekable(handle) as whole, RowReader(file, "row", "application/parquet") as reader:
        try:
            table = pq.ParquetFile(whole)
            first = 1
            for number, batch in enumerate(table.iter_batches(PART_ROWS, use_threads=False)):
                rows = [
                    Row(first + index, {name: plain_value(value) for name, value in fields.items()})
                    for index, fields in enumerate(batch.to_pylist())
                ]
                first += len(rows)
                if number == 0 and file.config.chats and are_examples(rows):
                    if not skip:
                        reason = "example_file"
                        yield Loaded(dropped=(LeftOut(file.uri, reason, MEANING[reason]),))
                    return
                if number < skip:
                    reader.pass_over(rows)
                else:
                    yield reader.read(rows)
        # A bad dictionary, size or date inside surfaces as any of these.
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise UnreadableError("unreadable", f"no readable Parquet: {error}"[:300]) from error

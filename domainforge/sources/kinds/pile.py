"""Shards of The Pile: JSON lines with a text, and `meta` that tells what it comes from."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from domainforge.sources.kinds.compressed import decompress
from domainforge.sources.kinds.jsonl import row_parts
from domainforge.sources.kinds.members import size_of, unpacking_of
from domainforge.sources.kinds.rows import Row, RowReader
from domainforge.sources.loaded import Loaded, SourceFile


def stream_pile(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded]:
    """Read a shard of any size, compressed or not; the fields of `meta` become fields of the row.

    Raises:
        UnreadableError: Damaged, or no text.
    """
    unpacked = decompress(handle, unpacking_of(file, size_of(handle)), or_plain=True)
    with RowReader(file, "line", "application/jsonl") as reader:
        for number, part in enumerate(row_parts(unpacked, reader)):
            rows = [Row(row.number, flatten_meta(row.fields)) for row in part.rows]
            if number < skip:
                reader.pass_over(rows)
            else:
                yield reader.read(rows, part.faults)


def flatten_meta(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put what stands in `meta` beside the text, where `where` finds it."""
    meta = fields.get("meta")
    if not isinstance(meta, Mapping):
        return fields
    own = {name: value for name, value in fields.items() if name != "meta"}
    return {**meta, **own}

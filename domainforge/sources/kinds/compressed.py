"""One compressed file (.gz, .bz2, .xz, .zst) of any kind and size."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from domainforge.sources.kinds.members import (
    Names,
    Unpacked,
    Unpacking,
    member_parts,
    size_of,
    unpacking_of,
)
from domainforge.sources.kinds.text_lines import read_head
from domainforge.sources.loaded import Loaded, SourceFile, Starting, UnreadableError

_MAX_WINDOW_BYTES = 1 << 28
_BUFFER_BYTES = 1 << 18


def stream_compressed(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
    """Read what a compressed file holds, by the name that is left without its ending.

    Raises:
        UnreadableError: Not compressed, damaged, or unpacking to absurdly much.
    """
    unpacking = unpacking_of(file, size_of(handle), skip)
    name = file.uri.rpartition("/")[2].rpartition(".")[0]
    member = Names(file, unpacking).member(name)
    unpacked = decompress(handle, unpacking)
    yield from member_parts(member, file, lambda: unpacked, None)


def decompress(handle: BinaryIO, unpacking: Unpacking, or_plain: bool = False) -> BinaryIO:
    """Unpack a stream by its first bytes; with `or_plain`, give one that isn't packed as it is.

    Raises:
        UnreadableError: No known compression; later, while reading: damaged.
    """
    import zstandard

    head, whole = read_head(handle, 6)
    errors: tuple[type[Exception], ...] = (EOFError, OSError, ValueError)
    packed: Any
    if head.startswith(b"\x1f\x8b"):
        packed, errors = gzip.GzipFile(fileobj=whole), (*errors, zlib.error)
    elif head.startswith(b"BZh"):
        packed = bz2.BZ2File(whole)
    elif head.startswith(b"\xfd7zXZ\x00"):
        packed, errors = lzma.LZMAFile(whole), (*errors, lzma.LZMAError)  # noqa: SIM115
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        expander = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        packed = expander.stream_reader(whole, read_across_frames=True)
        errors = (*errors, zstandard.ZstdError)
    elif or_plain:
        return whole
    else:
        raise UnreadableError("unreadable", "neither gzip nor bzip2, xz or zstd")
    unpacked = Unpacked(packed, unpacking, errors)
    return io.BufferedReader(unpacked, _BUFFER_BYTES)

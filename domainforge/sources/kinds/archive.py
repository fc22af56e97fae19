"""Zip and tar archives: each member by its own kind, never written to disk by its name."""

import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import BinaryIO, TypeAlias, cast

from domainforge.sources.kinds.compressed import decompress
from domainforge.sources.kinds.members import (
    MAX_MEMBERS,
    BombError,
    Member,
    Names,
    Opener,
    Unpacked,
    Unpacking,
    member_parts,
    seekable,
    size_of,
    unpacking_of,
)
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting, UnreadableError

_BUFFER_BYTES = 1 << 18
_MAX_DIRECTORY_BYTES = 64 << 20
_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
_LINK = "link_in_archive"
_Reason: TypeAlias = tuple[str, str]
_ZIP_ERRORS = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_TAR_ERRORS = (EOFError, OSError, ValueError, IndexError, RecursionError, tarfile.TarError)


def stream_zip(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
    """Read the members of a .zip file in the order of its directory.

    Raises:
        UnreadableError: Damaged, or made to unpack to absurdly much.
    """
    with seekable(handle) as whole:
        unpacking = unpacking_of(file, size_of(whole), skip)
        names = Names(file, unpacking)
        try:
            _check_directory(whole)
            archive = zipfile.ZipFile(whole)
        except _ZIP_ERRORS as error:
            raise UnreadableError("unreadable", f"no readable .zip: {error}"[:300]) from error
        with archive:
            infos = archive.infolist()
            _check_overlap(infos)
            for info in infos:
                if info.is_dir():
                    continue
                member = names.member(_zip_name(info))
                opener = partial(_open_zip_member, archive, info, unpacking)
                yield from _member(member, file, opener, info.file_size, _zip_left_out(info))


def stream_tar(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
    """Read the members of a .tar file, compressed or not, in their order.

    Raises:
        UnreadableError: Damaged, or made to unpack to absurdly much.
    """
    unpacking = unpacking_of(file, size_of(handle), skip)
    names = Names(file, unpacking)
    with decompress(handle, unpacking, or_plain=True) as plain, _open_tar(plain) as archive:
        while (info := _next(archive)) is not None:
            # Kept by tarfile for looking up by name, which would grow with the archive.
            archive.members = []  # type: ignore[attr-defined]
            if info.isdir():
                continue
            member = names.member(info.name)
            opener = partial(_open_tar_member, archive, info)
            yield from _member(member, file, opener, info.size, _tar_left_out(info))


def _member(
    member: Member, archive: SourceFile, opener: Opener, size: int, reason: _Reason | None
) -> Iterator[Loaded | Starting]:
    """Read a member, or say why not; links and devices are left out on purpose."""
    if reason is None:
        yield from member_parts(member, archive, opener, size)
    elif not member.unpacking.passed():
        yield Starting(member.uri)
        item = (LeftOut(member.uri, *reason),)
        yield Loaded(dropped=item) if reason[0] == _LINK else Loaded(faults=item)


def _open_zip_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, unpacking: Unpacking
) -> BinaryIO:
    try:
        packed = archive.open(info)
    except _ZIP_ERRORS as error:
        raise UnreadableError("damaged", f"can't be unpacked: {error}"[:300]) from error
    unpacked = Unpacked(cast(BinaryIO, packed), unpacking, _ZIP_ERRORS)
    return io.BufferedReader(unpacked, _BUFFER_BYTES)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; many writers don't say that theirs is UTF-8."""
    if not info.flag_bits & _UTF8_NAME:
        try:
            return info.orig_filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.orig_filename


def _zip_left_out(info: zipfile.ZipInfo) -> _Reason | None:
    if info.flag_bits & _ENCRYPTED:
        return "encrypted", "needs a password; save a copy without one"
    if stat.S_ISLNK(info.external_attr >> 16):
        return _LINK, "a link, not a file"
    return None


def _check_directory(handle: BinaryIO) -> None:
    """Refuse a directory of a million members before it is in memory.

    Raises:
        BombError: It is that long.
    """
    size = handle.seek(0, io.SEEK_END)
    start = max(0, size - _END.size - (1 << 16) - _END64_LOCATOR.size)
    handle.seek(start)
    tail = handle.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise zipfile.BadZipFile("its directory is missing; was it cut off?")
    end = _END.unpack_from(tail, at)
    entries, length = end[4], end[5]
    locator = at - _END64_LOCATOR.size
    if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
        handle.seek(min(_END64_LOCATOR.unpack_from(tail, locator)[2], size))
        found = handle.read(_END64.size)
        if len(found) == _END64.size and found.startswith(b"PK\6\6"):
            entries, length = (
                max(entries % 0xFFFF, _END64.unpack(found)[7]),
                _END64.unpack(found)[8],
            )
    handle.seek(0)
    if entries > MAX_MEMBERS or length > _MAX_DIRECTORY_BYTES:
        detail = f"{entries:,} files in it, at most {MAX_MEMBERS:,} are read; unpack it"
        raise BombError("too_many_members", detail)


def _check_overlap(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse members that share their packed bytes, as in `A better zip bomb` (Fifield, 2019).

    Raises:
        BombError: Two do.
    """
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise BombError("bomb", "its members overlap")
        end = info.header_offset + _LOCAL_HEADER_BYTES + info.compress_size


def _open_tar(plain: BinaryIO) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=plain, mode="r|", bufsize=_BUFFER_BYTES, errorlevel=2)
    except _TAR_ERRORS as error:
        raise UnreadableError("unreadable", f"no readable .tar: {error}"[:300]) from error


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    try:
        return archive.next()
    except _TAR_ERRORS as error:
        raise UnreadableError("damaged", f"can't be read on: {error}"[:300]) from error


def _open_tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> BinaryIO:
    packed = archive.extractfile(info)
    assert packed is not None
    # Counted already where the whole archive is unpacked.
    unpacked = Unpacked(cast(BinaryIO, packed), None, _TAR_ERRORS)
    return io.BufferedReader(unpacked, _BUFFER_BYTES)


def _tar_left_out(info: tarfile.TarInfo) -> _Reason | None:
    if not info.isreg():
        return _LINK, "a link, a pipe or a device, not a file"
    if info.issparse():
        return "sparse_in_archive", "a sparse file; unpack the archive into a folder"
    return None

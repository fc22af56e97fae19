"""Files within files: what an archive, a compressed file or a mail holds, within bounds."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from domainforge.sources.kinds.known import Kind, kind_of
from domainforge.sources.loaded import (
    LeftOut,
    Loaded,
    SourceFile,
    Starting,
    Stream,
    UnreadableError,
)

MAX_DEPTH = 3
MAX_MEMBERS = 250_000
_FREE_BYTES = 256 << 20
_MAX_RATIO = 200
_MAX_UNPACKED_BYTES = 64 << 30
_MAX_LOADED_BYTES = 512 << 20
_IN_MEMORY_BYTES = 16 << 20
_PIECE_BYTES = 1 << 20
_MAX_NAME_CHARS = 300
_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_UNKNOWN = ("unknown_kind", "no kind of file that can be read")

Opener = Callable[[], BinaryIO]


class BombError(UnreadableError):
    """A file unpacks to more than anyone needs; all that it is nested in ends with it."""


class Unpacking:
    """What the reading of one outermost file shares with all that is nested in it.

    Args:
        packed_bytes: Size of the outermost file.
        skip: Parts that the caller has already.
    """

    def __init__(self, packed_bytes: int, skip: int = 0) -> None:
        self._allowed = min(_MAX_UNPACKED_BYTES, _FREE_BYTES + _MAX_RATIO * packed_bytes)
        self._left = self._allowed
        self._skip = skip

    def spend(self, count: int) -> None:
        """Count bytes that were unpacked.

        Raises:
            BombError: Too many.
        """
        self._left -= count
        if self._left < 0:
            detail = f"unpacks to more than {self._allowed:,} bytes; unpack it into a folder"
            raise BombError("bomb", detail)

    def passed(self) -> bool:
        """Tell whether the next part is one that the caller has, and count it."""
        if self._skip == 0:
            return False
        self._skip -= 1
        return True


@dataclass(frozen=True)
class Member(SourceFile):
    """A file in another one; `path` is that of the outermost.

    Attributes:
        depth: 1 for a file in a file of the source.
    """

    depth: int = 1
    unpacking: Unpacking = field(default_factory=lambda: Unpacking(0), compare=False)


def unpacking_of(file: SourceFile, packed_bytes: int, skip: int = 0) -> Unpacking:
    """Return the accounts that a member shares, or open them for an outermost file."""
    return file.unpacking if isinstance(file, Member) else Unpacking(packed_bytes, skip)


class Names:
    """Gives the members of one file their uris."""

    def __init__(self, file: SourceFile, unpacking: Unpacking) -> None:
        self._file = file
        self._unpacking = unpacking
        self._taken: set[str] = set()
        self.count = 0

    def member(self, name: str) -> Member:
        """Make the member of that name; what would lead out of a folder is no part of its uri.

        Raises:
            BombError: More members than anyone needs.
        """
        self.count += 1
        if self.count > MAX_MEMBERS:
            detail = f"more than {MAX_MEMBERS:,} files in it; unpack it into a folder"
            raise BombError("too_many_members", detail)
        cleaned = clean_name(name) or f"member-{self.count}"
        if cleaned in self._taken:
            cleaned = f"member-{self.count}/{cleaned}"
        self._taken.add(cleaned)
        depth = self._file.depth + 1 if isinstance(self._file, Member) else 1
        uri = f"{self._file.uri}/{cleaned}"
        return Member(self._file.path, uri, self._file.config, depth=depth,
                      unpacking=self._unpacking)  # fmt: skip


def clean_name(name: str) -> str:
    """Make a relative path of a member's name: no `..`, drive, root or control character."""
    name = _CONTROL.sub("", name.replace("\\", "/")).encode("utf-8", "replace").decode()
    parts = [_DRIVE.sub("", part).strip() for part in name.split("/")]
    return "/".join(part for part in parts if part not in ("", ".", ".."))[-_MAX_NAME_CHARS:]


def is_hidden(name: str) -> bool:
    """Tell whether a cleaned name is that of a hidden file, or of what macOS adds."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def left_out(member: Member, reason: str, detail: str) -> Loaded:
    """Make the part of a member that is left out on purpose."""
    return Loaded(dropped=(LeftOut(member.uri, reason, detail),))


def member_parts(
    member: Member, archive: SourceFile, open_member: Opener, size: int | None
) -> Iterator[Loaded | Starting]:
    """Read a member by its own kind: one part, or several of one that holds files or is large.

    Whatever is wrong with it is its own fault. A member that the source's `include` doesn't name
    is dropped; a glob that names the archive itself takes all of it. `size` is that of the
    unpacked member in bytes, where it is known beforehand.

    Raises:
        BombError: The outermost file must not be read on.
    """
    below = member.uri.removeprefix(archive.uri + "/")
    kind = kind_of(below.rpartition("/")[2])
    reason = _reason_to_leave_out(below, archive, kind)
    if reason is None and kind is not None and kind.stream is not None:
        if kind.holds_files:
            yield from _nested(member, kind.stream, open_member)
            return
        if size is None or size > _IN_MEMORY_BYTES:
            yield from _large(member, kind.stream, open_member)
            return
    if not member.unpacking.passed():
        yield Starting(member.uri)
        yield left_out(member, *reason) if reason else read_member(member, open_member, kind)


def read_member(member: Member, open_member: Opener, kind: Kind | None = None) -> Loaded:
    """Read a member whole; what is wrong with it comes back as its fault.

    Raises:
        BombError: The outermost file must not be read on.
    """
    kind = kind or kind_of(member.uri.rpartition("/")[2])
    if kind is None:
        return left_out(member, *_UNKNOWN)
    if kind.holds_files and member.depth > MAX_DEPTH:
        return _fault(member, _too_deep())
    try:
        with open_member() as handle:
            if kind.load is not None:
                data = _read_up_to(handle, _MAX_LOADED_BYTES + 1)
                if len(data) > _MAX_LOADED_BYTES:
                    raise UnreadableError("too_large", f"more than {_MAX_LOADED_BYTES:,} bytes")
                loaded = kind.load(data, member)
            else:
                assert kind.stream is not None
                parts = kind.stream(handle, member, 0)
                loaded = merge(part for part in parts if isinstance(part, Loaded))
    except BombError:
        raise
    except UnreadableError as error:
        return _fault(member, error)
    return loaded if loaded != Loaded() else left_out(member, "empty", "no text in it")


def _read_up_to(handle: BinaryIO, size: int) -> bytes:
    """Read in pieces: one reading allocates all that it is asked for before the first byte."""
    pieces: list[bytes] = []
    while size > 0 and (piece := handle.read(min(size, _PIECE_BYTES))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def merge(parts: Iterable[Loaded]) -> Loaded:
    """Make one of several parts."""
    found = list(parts)
    return Loaded(
        tuple(document for part in found for document in part.documents),
        tuple(item for part in found for item in part.dropped),
        tuple(item for part in found for item in part.faults),
    )


@contextmanager
def seekable(handle: BinaryIO) -> Iterator[BinaryIO]:
    """Give a handle that can seek: the same, or a copy in memory or in an unnamed file."""
    if handle.seekable():
        yield handle
        return
    with SpooledTemporaryFile(_IN_MEMORY_BYTES) as copy:
        while block := handle.read(1 << 20):
            copy.write(block)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def size_of(handle: BinaryIO) -> int:
    """Return the size of what a seekable handle reads; 0 for another."""
    if not handle.seekable():
        return 0
    position = handle.tell()
    size = handle.seek(0, io.SEEK_END)
    handle.seek(position)
    return size


class Unpacked(io.RawIOBase):
    """A reader of unpacked bytes: counts them, and makes one error of the many of its library.

    Args:
        unpacking: Where the bytes are counted; None where they are no more than were packed.
    """

    def __init__(
        self, packed: BinaryIO, unpacking: Unpacking | None, errors: tuple[type[Exception], ...]
    ) -> None:
        self._packed = packed
        self._unpacking = unpacking
        self._errors = errors

    def readable(self) -> bool:
        """Say that it can be read; it can't seek."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill the buffer.

        Raises:
            UnreadableError: The packed bytes are damaged, or too many.
        """
        try:
            data = self._packed.read(len(buffer))
        except self._errors as error:
            raise UnreadableError("damaged", f"can't be unpacked: {error}"[:300]) from error
        if self._unpacking is not None:
            self._unpacking.spend(len(data))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close what it reads from."""
        if not self.closed:
            self._packed.close()
        super().close()


def _reason_to_leave_out(
    below: str, archive: SourceFile, kind: Kind | None
) -> tuple[str, str] | None:
    if is_hidden(below):
        return "hidden", "its name begins with a dot, or macOS added it"
    if kind is None:
        return _UNKNOWN
    if not (kind.holds_files and kind.stream) and not _is_included(below, archive):
        return "not_included", "matches none of the source's include globs"
    return None


def _nested(member: Member, stream: Stream, open_member: Opener) -> Iterator[Loaded | Starting]:
    error: UnreadableError | None = None
    if member.depth > MAX_DEPTH:
        error = _too_deep()
    else:
        try:
            with open_member() as handle:
                yield from stream(handle, member, 0)
        except BombError:
            raise
        except UnreadableError as found:
            error = found
    if error and not member.unpacking.passed():
        yield _fault(member, error)


def _large(member: Member, stream: Stream, open_member: Opener) -> Iterator[Loaded | Starting]:
    given = 0
    fault: Loaded | None = None
    # Its parts are read again to pass them over: how many there are can't be told beforehand.
    try:
        with open_member() as handle:
            for part in stream(handle, member, 0):
                if isinstance(part, Starting):
                    yield part
                    continue
                given += 1
                if not member.unpacking.passed():
                    yield part
    except BombError:
        raise
    except UnreadableError as error:
        fault = _fault(member, error)
    if fault is None and not given:
        fault = left_out(member, "empty", "no text in it")
    if fault and not member.unpacking.passed():
        yield fault


def _fault(member: Member, error: UnreadableError) -> Loaded:
    return Loaded(faults=(LeftOut(member.uri, error.reason, error.detail),))


def _too_deep() -> UnreadableError:
    return UnreadableError("nested_too_deep", f"more than {MAX_DEPTH} archives in one another")


def _is_included(below: str, archive: SourceFile) -> bool:
    own = archive.uri.lower().rpartition("/")[2]
    globs = [glob.lower() for glob in archive.config.include]
    for_members = [glob for glob in globs if not fnmatchcase(own, glob)]
    if not for_members:
        return True
    names = (below.lower(), below.lower().rpartition("/")[2])
    return any(fnmatchcase(name, glob) for glob in for_members for name in names)

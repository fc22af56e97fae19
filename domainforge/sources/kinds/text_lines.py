"""Text of any size, line by line: the encoding is told from the head, memory stays flat."""

import codecs
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, TextIO

from domainforge.sources.cleaning import decode

HEAD_BYTES = 1 << 18
_MAX_LINE_BYTES = 1 << 26
_MIXED = "domainforge_mixed"
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def _decode_stray(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are no UTF-8 far down in a file that is, as Windows-1252."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return stray.decode("cp1252", "replace"), error.end


codecs.register_error(_MIXED, _decode_stray)


class WithHead(io.RawIOBase):
    """A handle whose first bytes were read already, made whole again."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        """Say that it can be read; it can't seek."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill the buffer from the head, then from the rest."""
        taken = self._head[: len(buffer)]
        if not taken:
            taken = memoryview(self._rest.read(len(buffer)))
        buffer[: len(taken)] = taken
        self._head = self._head[len(taken) :]
        return len(taken)


def read_head(handle: BinaryIO, size: int = HEAD_BYTES) -> tuple[bytes, BinaryIO]:
    """Return the first bytes and a handle that still has them in front."""
    head = b""
    while len(head) < size and (more := handle.read(size - len(head))):
        head += more
    return head, io.BufferedReader(WithHead(head, handle), 1 << 17)


def text_encoding(head: bytes) -> str:
    """Tell the encoding of a text from its head.

    Raises:
        UnreadableError: It is no text.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    nuls = head[1::2].count(0), head[0::2].count(0)
    if max(nuls) > 0.35 * len(head) and min(nuls) < 0.05 * len(head):
        decode(head[: len(head) // 2 * 2])
        return "utf-16-le" if nuls[0] > nuls[1] else "utf-16-be"
    try:
        # The head may end within a character.
        decode(codecs.getincrementaldecoder("utf-8")().decode(head).encode())
        return "utf-8"
    except UnicodeDecodeError:
        whole = head[: head.rfind(b"\n") + 1] or head
        decode(whole)
    return _guess(whole)


def open_text(handle: BinaryIO, newline: str | None = "") -> TextIO:
    """Read bytes as text in the encoding that their head tells.

    Raises:
        UnreadableError: It is no text.
    """
    head, whole = read_head(handle)
    return io.TextIOWrapper(whole, text_encoding(head), _MIXED, newline)


def utf8_lines(handle: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines as UTF-8, without cutting at line separators inside JSON strings.

    A line that is too long to be one is passed over, and None stands for it.

    Raises:
        UnreadableError: It is no text.
    """
    head, whole = read_head(handle)
    encoding = text_encoding(head)
    if encoding in ("utf-8", "utf-8-sig"):
        if encoding == "utf-8-sig":
            whole.read(3)
        read: Callable[[int], bytes] = whole.readline
    else:
        text = io.TextIOWrapper(whole, encoding, _MIXED, "\n")
        read = partial(_read_encoded, text)
    while line := read(_MAX_LINE_BYTES):
        if len(line) < _MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = read(_MAX_LINE_BYTES)
        yield None


def stray_text(line: bytes) -> str:
    """Decode one line of UTF-8; what isn't UTF-8 in it is read as Windows-1252."""
    return line.decode("utf-8", _MIXED)


def _read_encoded(text: TextIO, size: int) -> bytes:
    return text.readline(size).encode("utf-8", "replace")


def _guess(text: bytes) -> str:
    """Guess as `decode` does: where several code pages fit, cp1252 is by far the likeliest."""
    from charset_normalizer import from_bytes

    matches = list(from_bytes(text))
    best = matches[0]
    for match in matches:
        equal = match.chaos <= best.chaos and match.coherence >= best.coherence
        if equal and "cp1252" in match.could_be_from_charset:
            return "cp1252"
    return best.encoding

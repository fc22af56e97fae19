"""Mailboxes (.mbox) of any size: one document per message and what is attached to it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from domainforge.sources.kinds.mail import read_message
from domainforge.sources.kinds.members import BombError, Member, unpacking_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting, UnreadableError

_MAX_MESSAGE_BYTES = 100_000_000
_MAX_LINE_BYTES = 1 << 20
# `From sender date`, the line that begins a message.
_BEGIN = re.compile(rb"From \S.* \d\d:\d\d.*\d{4}|From \S+ +\w{3} ")
_QUOTED = re.compile(rb"^>(>*From )")


def stream_mbox(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
    """Read a mailbox message by message; threads stay as they are.

    Raises:
        UnreadableError: No mailbox.
    """
    # What a mailbox holds isn't packed: each message has its own allowance.
    shared = unpacking_of(file, 0, skip)
    for number, message in enumerate(_messages(handle), 1):
        if shared.passed():
            continue
        uri = f"{file.uri}#message-{number}"
        yield Starting(uri)
        named = replace(file, uri=uri)
        if message is None:
            detail = f"more than {_MAX_MESSAGE_BYTES:,} bytes"
            yield Loaded(faults=(LeftOut(uri, "too_large", detail),))
        else:
            yield _read(message, named)


def _read(message: bytes, file: SourceFile) -> Loaded:
    try:
        return read_message(message, file, "application/mbox")
    except BombError as error:
        # Within an archive it is the whole archive's.
        if isinstance(file, Member):
            raise
        return Loaded(faults=(LeftOut(file.uri, error.reason, error.detail),))
    except UnreadableError as error:
        return Loaded(faults=(LeftOut(file.uri, error.reason, error.detail),))


def _messages(handle: BinaryIO) -> Iterator[bytes | None]:
    """Yield the bytes of each message; None for one that is too large to be one."""
    lines: list[bytes] = []
    size = 0
    blank, started, whole_line = True, False, True
    while line := handle.readline(_MAX_LINE_BYTES):
        if whole_line and blank and _BEGIN.match(line):
            if started:
                yield b"".join(lines) if size <= _MAX_MESSAGE_BYTES else None
            started, lines, size, blank = True, [], 0, False
            continue
        if not started and line.strip():
            raise UnreadableError("unreadable", "no mailbox: it doesn't begin with a From line")
        size += len(line)
        if size <= _MAX_MESSAGE_BYTES:
            lines.append(_QUOTED.sub(rb"\1", line) if line.startswith(b">") else line)
        else:
            lines = []
        blank = not line.strip()
        whole_line = line.endswith(b"\n")
    if started:
        yield b"".join(lines) if size <= _MAX_MESSAGE_BYTES else None

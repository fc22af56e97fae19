"""The commits of a repository, as git's log lists them: one document per message."""

from collections.abc import Iterator
from typing import BinaryIO

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting

_PART_COMMITS = 500
_BLOCK_BYTES = 1 << 16


def stream_git_commits(
    handle: BinaryIO, file: SourceFile, skip: int
) -> Iterator[Loaded | Starting]:
    """Read a log in parts of some hundred commits; a message without a body says too little."""
    part: list[bytes] = []
    number = 0
    for record in _records(handle):
        part.append(record)
        if len(part) == _PART_COMMITS:
            if number >= skip:
                yield _load(part, file)
            number += 1
            part = []
    if part and number >= skip:
        yield _load(part, file)


def _records(handle: BinaryIO) -> Iterator[bytes]:
    held = b""
    while block := handle.read(_BLOCK_BYTES):
        *whole, held = (held + block).split(b"\0")
        yield from whole
    if held.strip():
        yield held


def _load(records: list[bytes], file: SourceFile) -> Loaded:
    documents: list[Document] = []
    dropped: list[LeftOut] = []
    for record in records:
        fields = record.decode("utf-8", "replace").split("\x01", 4)
        if len(fields) != 5:
            continue
        name, time, author, subject, body = (clean_text(field).strip() for field in fields)
        uri = f"{file.uri}#{name}"
        if not body:
            dropped.append(LeftOut(uri, "no_body", "a commit message of one line"))
            continue
        text = f"# {subject}\n\n{body}"
        metadata = {"commit": name, "author": author}
        documents.append(
            Document(uri, subject, text, "text/plain", metadata, created=time, modified=time)
        )
    return Loaded(tuple(documents), tuple(dropped))

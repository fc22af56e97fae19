"""A worker process of ingest: reads files one after the other, and may die of any of them."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from domainforge.records import Document
from domainforge.sources.config import SourceConfig
from domainforge.sources.filling import LaterFilling, fill_in
from domainforge.sources.kinds.known import BY_NAME, kind_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting, UnreadableError
from domainforge.sources.wire import pack, pack_loaded, unpack, unpack_file

Fill = Callable[[Document, SourceConfig], Document]

_GIVEN_FIELDS = ("title", "created", "modified", "license")
_PARENT_DIED = 1  # PR_SET_PDEATHSIG
_LEFT_TO_PARENT = 100


def main() -> None:
    """Read tasks from standard input until it ends; answer on standard output."""
    tasks = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    # Whatever a parser prints must not get between the answers, nor on the user's screen.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    _confine(int(sys.argv[1]))
    fill = LaterFilling(_LEFT_TO_PARENT)
    for line in tasks:
        task = unpack(line)
        file = unpack_file(task["file"])
        try:
            for message in read_file(file, task["skip"], task["max_bytes"], fill):
                answers.write(pack(message))
                answers.flush()
            answers.write(pack({"end": True}))
        except MemoryError:
            answers.write(pack({"end": True, "memory": True}))
            answers.flush()
            return  # what is left of the heap is no place to read another file in
        answers.flush()


def read_file(
    file: SourceFile, skip: int, max_bytes: int, fill: Fill = fill_in
) -> Iterator[dict[str, Any]]:
    """Read one file by its kind, as messages; whatever is wrong with it is one of them."""
    try:
        # A pipe put in the file's place would hang an ordinary opening.
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as handle:
            yield from _read_open(file, handle, skip, max_bytes, fill)
    except UnreadableError as error:
        yield _fault(file, error.reason, error.detail)
    except RecursionError:
        yield _fault(file, "unreadable", "nested too deeply")
    except OSError as error:
        yield _fault(file, "unreadable", error.strerror or "no access")


def _read_open(
    file: SourceFile, handle: BinaryIO, skip: int, max_bytes: int, fill: Fill
) -> Iterator[dict[str, Any]]:
    kind = BY_NAME[file.kind] if file.kind else kind_of(file.path.name)
    assert kind is not None
    before = os.fstat(handle.fileno())
    if not stat.S_ISREG(before.st_mode):
        raise UnreadableError("unreadable", "no file any more; it was one when it was listed")
    if kind.load is not None:
        if before.st_size > max_bytes:
            detail = f"{before.st_size:,} bytes, the limit is {max_bytes:,} (ingest.max_file_mb)"
            raise UnreadableError("too_large", detail)
        # A reading allocates all that it is asked for before the first byte.
        data = handle.read(before.st_size + 1)
        if _changed(before, handle) or len(data) != before.st_size:
            raise UnreadableError("changed_while_read", "it was written to; read it again later")
        yield {"loaded": pack_loaded(finish(kind.load(data, file), file, fill, whole=True))}
        return
    assert kind.stream is not None
    anything = skip > 0
    for part in kind.stream(handle, file, skip):
        if isinstance(part, Starting):
            yield {"starting": part.uri}
            continue
        loaded = finish(part, file, fill, whole=False)
        anything = anything or loaded != Loaded()
        yield {"loaded": pack_loaded(loaded)}
    if not anything:
        yield {"loaded": pack_loaded(finish(Loaded(), file, fill, whole=True))}
    if _changed(before, handle):
        yield _fault(file, "changed_while_read", "it was written to; read it again later")


def finish(loaded: Loaded, file: SourceFile, fill: Fill = fill_in, *, whole: bool) -> Loaded:
    """Fill in what every kind has alike, and leave blank documents out."""
    documents: list[Document] = []
    empty: list[LeftOut] = []
    for document in loaded.documents:
        if document.text.strip():
            documents.append(_filled(document, file, fill))
        else:
            empty.append(LeftOut(document.uri, "empty", "no text in it"))
    if whole and not (documents or empty or loaded.dropped or loaded.faults):
        empty.append(LeftOut(file.uri, "empty", "no text in it"))
    return Loaded(tuple(documents), (*loaded.dropped, *empty), loaded.faults)


def _filled(document: Document, file: SourceFile, fill: Fill) -> Document:
    given = {name: file.given[name] for name in _GIVEN_FIELDS if file.given.get(name)}
    others = {name: value for name, value in file.given.items() if name not in _GIVEN_FIELDS}
    metadata = {**document.metadata, **others}
    return fill(replace(document, **given, metadata=metadata), file.config)


def _changed(before: os.stat_result, handle: BinaryIO) -> bool:
    after = os.fstat(handle.fileno())
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _fault(file: SourceFile, reason: str, detail: str) -> dict[str, Any]:
    return {"loaded": pack_loaded(Loaded(faults=(LeftOut(file.uri, reason, detail),)))}


def _confine(max_memory_bytes: int) -> None:
    """Bound this process: memory, life after its parent, and no way to the network."""
    import ctypes
    import resource
    import signal

    # Counts what is really asked for, where RLIMIT_AS would count what allocators reserve.
    resource.setrlimit(resource.RLIMIT_DATA, (max_memory_bytes, max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)
    sys.addaudithook(_no_network)


def _no_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        raise PermissionError("a document may not reach the network")


if __name__ == "__main__":
    main()

"""Files as a source: find them, tell which have changed, have the others read by their kind."""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

from domainforge.errors import SourceError
from domainforge.files import file_hash, find_file
from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.known import KIND_NAMES, kind_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile
from domainforge.sources.reading import FileWork, Reader, Reading

_FILES_AT_ONCE = 256
# What keeps a file from being read, where a source finds it before any loader.
_FAULTS = frozenset({"encrypted", "unreadable", "bad_json"})
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class FoundFiles:
    """The files that can be read, in order, those left out, and how many an earlier source has."""

    files: tuple[SourceFile, ...]
    dropped: tuple[LeftOut, ...]
    elsewhere: int = 0


def find_files(sources: Sequence[SourceConfig], project: Path) -> FoundFiles:
    """List the files of all sources: sorted within each, every file once, hidden ones never.

    A file's uri starts at the folder that the source names (`data/handbook` gives
    `handbook/page.md`), so that it tells nothing of the machine; where two files would share a
    uri, the later one gets one more folder in front.

    Raises:
        SourceError: A source names nothing that exists.
    """
    parts = find_by_source(sources, project)
    return FoundFiles(
        tuple(file for part in parts for file in part.files),
        tuple(item for part in parts for item in part.dropped),
    )


def find_by_source(sources: Sequence[SourceConfig], project: Path) -> list[FoundFiles]:
    """List the files of each source; a file belongs to the first source that takes it.

    What a source's globs leave out is there for the sources after it, and so is every file of one
    that takes only some documents (`where`, `sample_share`, `limit`, `weight`): the others of them
    must not be lost.

    Raises:
        SourceError: A source names nothing that exists.
    """
    taken: dict[str, Path] = {}
    seen: set[Path] = set()
    not_included: dict[Path, dict[Path, LeftOut]] = {}
    parts: list[tuple[list[SourceFile], dict[Path, LeftOut], int]] = []
    for source in sources:
        files: list[SourceFile] = []
        dropped: dict[Path, LeftOut] = {}
        own: set[Path] = set()
        elsewhere = 0
        root, matches = _matches(str(source.files), project)
        for path in matches:
            real = _real(path)
            if real in own:
                continue
            if real in seen:
                elsewhere += real not in dropped
                continue
            reason = _reason_to_leave_out(path, real, root, source)
            if reason and reason[0] == "not_included":
                if real not in not_included:
                    not_included[real] = dropped
                    dropped[real] = LeftOut(_uri(path, root, taken), *reason)
                continue
            not_included.pop(real, {}).pop(real, None)
            own.add(real)
            if reason or _takes_all(source):
                seen.add(real)
            uri = _uri(path, root, taken)
            if reason:
                dropped[real] = LeftOut(uri, *reason)
            else:
                files.append(SourceFile(path, uri, source))
        parts.append((files, dropped, elsewhere))
    return [FoundFiles(tuple(f), tuple(d.values()), number) for f, d, number in parts]


class FilesSource:
    """The files of a folder, a glob, or one file."""

    def __init__(self, found: FoundFiles, hashes: "FileHashes") -> None:
        self._found = found
        self._hashes = hashes

    @property
    def count(self) -> int:
        """How many files there are, those left out included."""
        return len(self._found.files) + len(self._found.dropped)

    @property
    def elsewhere(self) -> int:
        """How many files that it names belong to an earlier source."""
        return self._found.elsewhere

    def identity(self) -> Mapping[str, Any]:
        """Return one hash over all names and contents."""
        digest = hashlib.sha256()
        for file in self._found.files:
            digest.update(f"{file.uri}\0{self._hashes.of(file.path)}\n".encode())
        for item in self._found.dropped:
            digest.update(f"{item.uri}\0{item.reason}\n".encode())
        return {"files": digest.hexdigest()}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read the files in the order of their names."""
        yield from read_unless_known(chain(self._found.dropped, self._work()), reader)

    def _work(self) -> Iterator[FileWork]:
        for file in self._found.files:
            yield FileWork(file, self._hashes.of(file.path))


def read_unless_known(works: Iterable[FileWork | LeftOut], reader: Reader) -> Iterator[Reading]:
    """Parse what is new, name what is unchanged or left out, in the order given."""
    waiting: list[FileWork] = []
    for work in works:
        if reader.done(work.uri if isinstance(work, LeftOut) else work.file.uri):
            continue
        if isinstance(work, FileWork) and not _is_known(work, reader):
            waiting.append(work)
            if len(waiting) >= _FILES_AT_ONCE:
                yield from reader.parse(waiting)
                waiting = []
            continue
        if waiting:
            yield from reader.parse(waiting)
            waiting = []
        if isinstance(work, LeftOut):
            yield _left_out(work)
        elif _is_known(work, reader):
            yield Reading(work.file.uri, _kind_name(work), revision=work.revision, unchanged=True)
        else:
            # What those before it gave made another document of it: a copy, a taken name.
            waiting.append(work)
    if waiting:
        yield from reader.parse(waiting)


def _is_known(work: FileWork, reader: Reader) -> bool:
    return work.revision is not None and reader.known(work.file.uri) == work.revision


def _kind_name(work: FileWork) -> str:
    kind = kind_of(work.file.path.name)
    return work.file.kind or (kind.name if kind else _ending(work.file.uri))


def _left_out(item: LeftOut) -> Reading:
    is_fault = item.reason in _FAULTS
    loaded = Loaded(faults=(item,)) if is_fault else Loaded(dropped=(item,))
    return Reading(item.uri, _ending(item.uri), loaded)


class FileHashes:
    """SHA-256 of files, without reading those that are as the last ingest saw them.

    `max_bytes` is the size from which a file is not read at all, unless it is read in parts.
    """

    def __init__(self, known: Mapping[str, tuple[int, int, str]], max_bytes: int) -> None:
        self._known = dict(known)
        self._max_bytes = max_bytes
        self.seen: dict[str, tuple[int, int, str]] = {}

    def of(self, path: Path) -> str:
        """Return the hash, or what keeps the file from being read."""
        name = os.fsencode(path).decode("utf-8", "replace")
        try:
            state = path.stat()
            found = self.seen.get(name) or self._known.get(name)
            if found is None or found[:2] != (state.st_size, state.st_mtime_ns):
                if not stat.S_ISREG(state.st_mode):
                    return "no file any more"  # opening a pipe would wait for its writer
                if state.st_size > self._max_bytes and _is_read_whole(path):
                    return f"too large: {state.st_size} bytes"
                found = (state.st_size, state.st_mtime_ns, file_hash(path))
        except OSError as error:
            return f"unreadable: {error.strerror}"
        # A file that was written to just now may be again without its time telling.
        if time.time_ns() - state.st_mtime_ns > _SETTLED_NS:
            self.seen[name] = found
        return found[2]


def _is_read_whole(path: Path) -> bool:
    kind = kind_of(path.name)
    return kind is not None and kind.load is not None


def _ending(uri: str) -> str:
    return Path(uri).suffix.lower() or "no ending"


def _matches(pattern: str, project: Path) -> tuple[Path, list[Path]]:
    """Return the folder that uris start at, and all files below what the pattern names."""
    if "\0" in pattern:
        raise SourceError(f"sources: {pattern!r}: no path holds a NUL character")
    whole = find_file(pattern, project)
    if whole.is_dir():
        root = whole.resolve()
        return root, sorted(_walk(root))
    if whole.exists():
        return whole, [whole]
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    root = find_file(str(Path(*parts[:fixed])), project).resolve()
    if fixed is None or not root.is_dir():
        raise SourceError(
            f"sources: no such file or folder: {pattern} (looked in {project}); "
            "a path in a pipeline file is relative to the project folder"
        )
    try:
        named = sorted(root.glob(str(Path(*parts[fixed:]))))
    except (ValueError, NotImplementedError) as error:
        raise SourceError(f"sources: {pattern} is no usable glob: {error}") from None
    paths: dict[Path, None] = {}
    for match in named:
        if not _is_hidden(match.relative_to(root)):
            paths.update(dict.fromkeys(_walk(match) if match.is_dir() else [match]))
    return root, sorted(paths)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder; linked folders are not entered, hidden ones neither."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _takes_all(source: SourceConfig) -> bool:
    bounds = (source.sample_share, source.limit, source.weight)
    return not source.where and all(bound is None for bound in bounds)


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path  # links that run in a circle: no file


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _uri(path: Path, root: Path, taken: dict[str, Path]) -> str:
    parts = path.absolute().parts
    depth = len(path.parts) - len(root.parts) + 1
    while True:
        name = Path(*parts[-depth:]).as_posix()
        # File names are bytes; what is no UTF-8 in them can't go into a table.
        uri = os.fsencode(name).decode("utf-8", "replace")
        if taken.setdefault(uri, path) == path or depth >= len(parts):
            return uri
        depth += 1


def _reason_to_leave_out(
    path: Path, real: Path, root: Path, source: SourceConfig
) -> tuple[str, str] | None:
    if not real.is_file():
        return "not_a_file", "a broken link, a pipe or a device"
    if path.is_symlink() and root.is_dir() and not real.is_relative_to(root):
        return "link_outside", "a link to a file outside the folder"
    if kind_of(path.name) is None:
        return (
            "unknown_kind",
            f"{path.suffix.lower() or 'no ending'}; kinds that can be read: {KIND_NAMES}",
        )
    relative = path.relative_to(root).as_posix() if path != root else path.name
    names = (path.name.lower(), relative.lower())
    if not any(fnmatchcase(name, glob.lower()) for glob in source.include for name in names):
        return "not_included", "matches none of the source's include globs"
    return None

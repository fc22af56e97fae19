"""Find the files of a source and read each by its kind."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from domainforge.errors import SourceError
from domainforge.files import find_file
from domainforge.records import Document
from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.known import BY_ENDING, BY_NAME, kind_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError


@dataclass(frozen=True)
class FoundFiles:
    """The files that can be read, in order, and those that are left out."""

    files: tuple[SourceFile, ...]
    dropped: tuple[LeftOut, ...]


def find_files(sources: Sequence[SourceConfig], project: Path) -> FoundFiles:
    """List the files of all sources: sorted within each, every file once, hidden ones never.

    A file's uri starts at the folder that the source names (`data/handbook` gives
    `handbook/page.md`), so that it tells nothing of the machine; where two files would share a
    uri, the later one gets one more folder in front.

    Raises:
        SourceError: A source names nothing that exists.
    """
    files: list[SourceFile] = []
    dropped: list[LeftOut] = []
    taken: dict[str, Path] = {}
    seen: set[Path] = set()
    for source in sources:
        root, matches = _matches(str(source.files), project)
        for path in matches:
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            uri = _uri(path, root, taken)
            reason = _reason_to_leave_out(path, real, root, source)
            if reason:
                dropped.append(LeftOut(uri, *reason))
            else:
                files.append(SourceFile(path, uri, source))
    return FoundFiles(tuple(files), tuple(dropped))


def load_file(file: SourceFile, max_bytes: int) -> Loaded:
    """Read one file by its kind; whatever is wrong with it comes back as a fault."""
    try:
        size = file.path.stat().st_size
        if size > max_bytes:
            raise UnreadableError("too_large", f"{size:,} bytes, the limit is {max_bytes:,}")
        loaded = _load(file)
    except UnreadableError as error:
        return Loaded(faults=(LeftOut(file.uri, error.reason, error.detail),))
    except OSError as error:
        return Loaded(faults=(LeftOut(file.uri, "unreadable", error.strerror or "no access"),))
    blank = [d for d in loaded.documents if not d.text.strip()]
    if not blank and (loaded.documents or loaded.dropped or loaded.faults):
        return loaded
    return _without_blank(loaded, blank, file)


def _load(file: SourceFile) -> Loaded:
    kind = BY_NAME[file.kind] if file.kind else kind_of(file.path.name)
    assert kind is not None
    if kind.load is not None:
        return kind.load(file.path.read_bytes(), file)
    assert kind.stream is not None
    with file.path.open("rb") as handle:
        parts = [part for part in kind.stream(handle, file, 0) if isinstance(part, Loaded)]
    return Loaded(
        tuple(document for part in parts for document in part.documents),
        tuple(item for part in parts for item in part.dropped),
        tuple(item for part in parts for item in part.faults),
    )


def _without_blank(loaded: Loaded, blank: Sequence[Document], file: SourceFile) -> Loaded:
    uris = [document.uri for document in blank] or [file.uri]
    kept = tuple(document for document in loaded.documents if document not in blank)
    empty = tuple(LeftOut(uri, "empty", "no text in it") for uri in uris)
    return Loaded(kept, loaded.dropped + empty, loaded.faults)


def _matches(pattern: str, project: Path) -> tuple[Path, list[Path]]:
    """Return the folder that uris start at, and all files below what the pattern names."""
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
        known = " ".join(BY_ENDING)
        return "unknown_kind", f"{path.suffix.lower() or 'no ending'}; known: {known}"
    relative = path.relative_to(root).as_posix() if path != root else path.name
    names = (path.name.lower(), relative.lower())
    if not any(fnmatchcase(name, glob.lower()) for glob in source.include for name in names):
        return "not_included", "matches none of the source's include globs"
    return None

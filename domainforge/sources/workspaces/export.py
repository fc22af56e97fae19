"""An export as its folder or its zip: what is in it, read without trusting a name."""

import hashlib
import lzma
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from domainforge.errors import SourceError
from domainforge.files import file_hash, find_file
from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.known import kind_of
from domainforge.sources.loaded import LeftOut, SourceFile
from domainforge.sources.reading import FileWork

_MAX_MEMBERS = 1_000_000
_MAX_UNPACKED_RATIO = 200
_FREE_UNPACKED_BYTES = 1_000_000_000
_MAX_DIRECTORY_BYTES = 200_000_000
_BLOCK_BYTES = 1 << 20
ZIP_ERRORS = (
    zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
    lzma.LZMAError, struct.error, zlib.error,
)  # fmt: skip
_TEMPORARY = "unpacked"


@dataclass(frozen=True)
class Item:
    """A file of an export.

    Attributes:
        name: Its path in the export, with slashes.
        path: Where it can be read now; the name on disk says nothing but the ending.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Export:
    """What stands in an export, sorted by name, and what was left out of it.

    Attributes:
        label: First part of its uris: the name of the folder or of the zip.
        temporary: A folder for files that are made while reading; gone afterwards.
    """

    label: str
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    temporary: Path

    def find(self, name: str) -> Path | None:
        """Return a file by its name in the export."""
        return next((item.path for item in self.items if item.name == name), None)

    def uri(self, name: str) -> str:
        """Name a file in the run."""
        return f"{self.label}/{name}"


def place_of(path: str, project: Path) -> Path:
    """Find an export.

    Raises:
        SourceError: It does not exist, or is something that a reader might wait for.
    """
    place = find_file(path, project)
    if not place.exists():
        raise SourceError(
            f"sources: no such file or folder: {path} (looked in {project}); "
            "a path in a pipeline file is relative to the project folder"
        )
    if not place.is_dir() and not place.is_file():
        raise SourceError(f"sources: {path} is a pipe or a device, no file or folder")
    return place


def state_of(place: Path) -> str:
    """Hash what an export is made of: all names and contents.

    Raises:
        SourceError: A file that can't be read.
    """
    if not place.is_dir():
        try:
            return file_hash(place)
        except OSError as error:
            raise SourceError(f"sources: {place.name} can't be read: {error.strerror}") from None
    digest = hashlib.sha256()
    for item in _walk(place, []):
        try:
            content = file_hash(item.path)
        except OSError as error:
            content = f"unreadable: {error.strerror}"
        digest.update(f"{item.name}\0{content}\0".encode("utf-8", "replace"))
    return digest.hexdigest()


@contextmanager
def open_export(
    place: Path, folder: Path, is_inner: Callable[[str], bool] = lambda name: False
) -> Iterator[Export]:
    """Open an export, a zip through a temporary folder that is removed again.

    Args:
        place: The folder or the zip.
        folder: The source's own folder, for the unpacked files.
        is_inner: Which members are zips that belong to the export itself.

    Raises:
        SourceError: No folder and no readable zip, or one that unpacks to far too much.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / _TEMPORARY
    shutil.rmtree(temporary, ignore_errors=True)  # of a reading that was killed
    temporary.mkdir()
    left_out: list[LeftOut] = []
    try:
        label = place.name.removesuffix(".zip") or place.resolve().name
        if place.is_dir():
            items = list(_walk(place, left_out))
        else:
            items = _unpack(place, temporary, is_inner, left_out)
        items.sort(key=lambda item: item.name)
        named = tuple(LeftOut(f"{label}/{o.uri}", o.reason, o.detail) for o in left_out)
        yield Export(label, tuple(items), named, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_zip(archive: Path, max_directory_bytes: int = _MAX_DIRECTORY_BYTES) -> zipfile.ZipFile:
    """Open a zip, unless reading its list of files alone would take too much.

    Raises:
        SourceError: The list is longer than `max_directory_bytes`.
        zipfile.BadZipFile: No zip; like all of `ZIP_ERRORS`, also while it is read.
    """
    if _directory_bytes(archive) > max_directory_bytes:
        raise SourceError(f"sources: {archive.name} claims absurdly many files; a zip bomb?")
    return zipfile.ZipFile(archive)


def choose(item: Item, export: Export, config: SourceConfig) -> LeftOut | None:
    """Tell why a file by its kind is left out, or None where it is to be read."""
    name = PurePosixPath(item.name).name
    globs = [glob.lower() for glob in config.include]
    names = (name.lower(), item.name.lower())
    if not any(fnmatchcase(each, glob) for glob in globs for each in names):
        return LeftOut(export.uri(item.name), "not_included", "matches none of the include globs")
    if _kind_name(item.path.name) is None:
        ending = PurePosixPath(name).suffix.lower() or "no ending"
        return LeftOut(export.uri(item.name), "unknown_kind", f"{ending}: no kind that is read")
    return None


def work_of(
    item: Item,
    export: Export,
    config: SourceConfig,
    kind: str | None = None,
    given: dict[str, object] | None = None,
) -> FileWork:
    """Make the work of reading one file of an export."""
    file = SourceFile(item.path, export.uri(item.name), config, kind, given or {})
    return FileWork(file, revision=hash_of(item.path))


def hash_of(*paths: Path) -> str | None:
    """Hash files together; None where one can't be read, which parsing it will report."""
    try:
        hashes = [file_hash(path) for path in paths]
    except OSError:
        return None
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _kind_name(name: str) -> str | None:
    kind = kind_of(name)
    return kind.name if kind else None


def _walk(root: Path, left_out: list[LeftOut]) -> Iterator[Item]:
    """Yield the files below a folder, in order; hidden ones never, links out of it neither."""
    real_root = root.resolve()
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            path = Path(parent, name)
            relative = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
            if _is_hidden(name):
                continue
            if not path.is_file():
                left_out.append(LeftOut(relative, "not_a_file", "a broken link, pipe or device"))
            elif path.is_symlink() and not path.resolve().is_relative_to(real_root):
                left_out.append(LeftOut(relative, "link_outside", "a link out of the folder"))
            else:
                yield Item(relative, path)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _unpack(
    archive: Path, temporary: Path, is_inner: Callable[[str], bool], left_out: list[LeftOut]
) -> list[Item]:
    budget = [max(_FREE_UNPACKED_BYTES, _MAX_UNPACKED_RATIO * archive.stat().st_size)]
    items: list[Item] = []
    inner: list[Item] = []
    for item in _members(archive, temporary, budget, left_out):
        (inner if is_inner(item.name) else items).append(item)
    for item in sorted(inner, key=lambda item: item.name):
        items += _members(item.path, temporary, budget, left_out)
        item.path.unlink()
    return list({item.name: item for item in items}.values())


def _members(
    archive: Path, temporary: Path, budget: list[int], left_out: list[LeftOut]
) -> Iterator[Item]:
    """Unpack a zip into files that are named by number; no name of it reaches the disk."""
    try:
        with open_zip(archive) as members:
            infos = members.infolist()
            if len(infos) > _MAX_MEMBERS:
                raise SourceError(f"sources: {archive.name} holds {len(infos):,} files; too many")
            for info in infos:
                name = info.filename
                reason = _unwanted_member(info)
                if reason is not None:
                    left_out.append(LeftOut(name, *reason))
                elif not info.is_dir() and not any(map(_is_hidden, name.split("/"))):
                    yield Item(name, _extract(members, info, temporary, budget, archive.name))
    except ZIP_ERRORS as error:
        raise SourceError(
            f"sources: {archive.name} is no folder and no whole zip: {error}; export it again"
        ) from None


def _directory_bytes(archive: Path) -> int:
    """Return the size of a zip's directory, which `zipfile` would read whole."""
    with archive.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - (1 << 16) - 200))
        tail = handle.read()
    at = tail.rfind(b"PK\5\6")
    found = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\6\7":  # a zip64 has its own record before
        found = int.from_bytes(tail[at - 36 : at - 28], "little")
    return found


def _unwanted_member(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    parts = info.filename.split("/")
    if ".." in parts or info.filename.startswith("/") or "\\" in info.filename:
        return "unsafe_name", "its name leads out of the archive"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "link", "a link in an archive"
    if info.flag_bits & 1:
        return "encrypted", "encrypted in the archive; export it without a password"
    return None


def _extract(
    members: zipfile.ZipFile, info: zipfile.ZipInfo, temporary: Path, budget: list[int], label: str
) -> Path:
    ending = PurePosixPath(info.filename).suffix
    safe = ending if ending[1:].isalnum() and ending.isascii() and len(ending) < 12 else ""
    handle, path = tempfile.mkstemp(suffix=safe.lower(), dir=temporary)
    with os.fdopen(handle, "wb") as target, members.open(info) as source:
        while block := source.read(_BLOCK_BYTES):
            budget[0] -= len(block)
            if budget[0] < 0:
                raise SourceError(f"sources: {label} unpacks to far too much; a zip bomb?")
            target.write(block)
    return Path(path)

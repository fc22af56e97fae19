"""A Git repository: the files of one commit, read by git itself without running what it holds."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.kinds.known import kind_of
from domainforge.sources.loaded import LeftOut, SourceFile
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import (
    Export,
    Item,
    choose,
    open_export,
    place_of,
)
from domainforge.sources.workspaces.git_attributes import Attributes

# Whatever the repository's own configuration says: no hooks, filters, monitors, signers, pagers,
# remotes or promised objects that would be fetched, and no question of whom the folder belongs to.
_SAFE = (
    "--no-pager", "--no-replace-objects",
    "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
    "-c", "protocol.allow=never", "-c", "log.showSignature=false", "-c", "gpg.program=false",
    "-c", "core.quotePath=false", "-c", "log.mailmap=false", "-c", "core.sshCommand=false",
)  # fmt: skip
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ATTR_NOSYSTEM": "1", "LC_ALL": "C",
}  # fmt: skip
_TIMEOUT_SECONDS = 120
_MAX_BLOB_BYTES = 500_000_000
_LARGE_FILE = b"version https://git-lfs.github.com/spec/"
_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True)
class _Entry:
    mode: str
    blob: str
    size: int
    name: str


@dataclass(frozen=True)
class _Change:
    """The last commit that touched a file."""

    time: str
    author: str


class GitSource:
    """Reads the files of a commit, and the messages of all commits where asked for."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.git is not None
        self._config = config
        self._git = config.git
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the commit that is read."""
        return {"commit": self._commit(self._place())}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read the files of the commit in the order of their names, then the commits.

        Raises:
            SourceError: No repository, no such ref, or no git.
        """
        place = self._place()
        commit = self._commit(place)
        with _scratch(place, reader.folder) as export:
            yield from self._files(place, commit, export, reader)
            if self._git.commits:
                path = export.temporary / "commits"
                with path.open("wb") as handle:
                    _write(place, handle, "log", "-z", f"--format={COMMIT_FORMAT}", commit)
                file = SourceFile(path, export.uri("commits"), self._config, "git commits")
                yield from read_unless_known([FileWork(file, revision=commit)], reader)

    def _place(self) -> Path:
        path = self._git.path
        if path.startswith("file://"):
            path = unquote(urlsplit(path).path)
        return place_of(path, self._project)

    def _commit(self, place: Path) -> str:
        ref = self._git.ref
        try:
            found = _run(place, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        except SourceError as error:
            why = str(error)
            if "single revision" in why:  # its word for a name that it doesn't have
                raise SourceError(
                    f"sources: git: {self._git.path} has no commit, branch or tag {ref!r}; "
                    "`git branch -a` lists its branches"
                ) from None
            raise SourceError(f"sources: git: {self._git.path}: no Git repository: {why}") from None
        return found.decode().strip()

    def _files(self, place: Path, commit: str, export: Export, reader: Reader) -> Iterator[Reading]:
        entries = list(_entries(place, commit))
        with _blobs(place) as blobs:
            attributes = Attributes(
                (e.name, blobs.read(e) or b"") for e in entries
                if e.name.rpartition("/")[2] == ".gitattributes" and e.size < 1_000_000
            )  # fmt: skip
            changes = _changes(place, commit, {entry.name for entry in entries})
            written: dict[str, Path] = {}

            def works() -> Iterator[FileWork | LeftOut]:
                for entry in entries:
                    work = self._work(entry, export, attributes, changes, blobs, reader)
                    if isinstance(work, FileWork):
                        written[work.file.uri] = work.file.path
                    yield work

            for reading in read_unless_known(works(), reader):
                yield reading
                if reading.last and reading.uri in written:
                    written.pop(reading.uri).unlink(missing_ok=True)

    def _work(
        self,
        entry: _Entry,
        export: Export,
        attributes: Attributes,
        changes: Mapping[str, _Change],
        blobs: "_Blobs",
        reader: Reader,
    ) -> FileWork | LeftOut:
        uri = export.uri(entry.name)
        reason = _reason_to_leave_out(entry, attributes)
        if reason is not None:
            return LeftOut(uri, *reason)
        ending = PurePosixPath(entry.name).suffix
        safe = ending if ending[1:].isalnum() and ending.isascii() and len(ending) < 12 else ""
        path = export.temporary / f"{entry.blob}-{len(uri)}{safe.lower()}"
        # By its whole name: some kinds go by two endings, or by a name without one.
        left_out = choose(Item(entry.name, Path(entry.name)), export, self._config)
        if left_out is not None:
            return left_out
        change = changes.get(entry.name)
        given: dict[str, Any] = {"commit_author": change.author} if change else {}
        if change:
            given["modified"] = change.time
        kind = _kind_of(entry.name)
        file = SourceFile(path, uri, self._config, kind, given)
        if not reader.done(uri):  # also what is known: the files before it may change that
            data = blobs.read(entry)
            if data is None:
                return LeftOut(uri, "unreadable", "its content is missing in the repository")
            if data.startswith(_LARGE_FILE) and len(data) < 1000:
                return LeftOut(uri, "lfs_pointer", "its content is not in the repository (LFS)")
            path.write_bytes(data)
        return FileWork(file, revision=entry.blob)


def _kind_of(name: str) -> str | None:
    kind = kind_of(PurePosixPath(name).name)
    return kind.name if kind else None


def _reason_to_leave_out(entry: _Entry, attributes: Attributes) -> tuple[str, str] | None:
    if entry.mode == _SUBMODULE:
        return "submodule", "another repository; name it as a source of its own"
    if entry.mode == _LINK:
        return "link", "a symbolic link"
    if any(part.startswith(".") for part in entry.name.split("/")):
        return "hidden", "its name starts with a dot"
    if entry.size > _MAX_BLOB_BYTES:
        return "too_large", f"{entry.size:,} bytes, the limit is {_MAX_BLOB_BYTES:,}"
    for name in ("linguist-generated", "linguist-vendored"):
        if attributes.has(entry.name, name):
            return name.replace("linguist-", ""), f".gitattributes says {name}"
    return None


@contextmanager
def _scratch(place: Path, folder: Path) -> Iterator[Export]:
    """Open an empty export that is labelled like the repository, for the files we write."""
    empty = folder / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    label = place.resolve().name.removesuffix(".git") or place.resolve().parent.name
    with open_export(empty, folder) as export:
        yield Export(label, (), (), export.temporary)


def _entries(place: Path, commit: str) -> Iterator[_Entry]:
    listing = _run(place, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    for line in listing.split(b"\0"):
        head, tab, name = line.partition(b"\t")
        fields = head.split()
        if tab and len(fields) == 4:
            mode, _, blob, size = (field.decode("ascii", "replace") for field in fields)
            length = int(size) if size.isdecimal() else 0
            yield _Entry(mode, blob, length, name.decode("utf-8", "replace"))


def _changes(place: Path, commit: str, wanted: set[str]) -> dict[str, _Change]:
    """Walk the log once, newest first, until every file is found."""
    changes: dict[str, _Change] = {}
    arguments = ("log", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv",
                 "--format=%x01%cI%x02%an", commit, "--")  # fmt: skip
    process = subprocess.Popen(
        _command(place, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL, env=_environment(place),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        change = _Change("", "")
        for raw in _fields(process.stdout):
            text = raw.decode("utf-8", "replace").lstrip("\n")
            if text.startswith("\x01"):
                time, _, rest = text[1:].partition("\x02")
                author, _, text = rest.partition("\n")
                change = _Change(time, author.strip())
            if text in wanted and text not in changes:
                changes[text] = change
                if len(changes) == len(wanted):
                    break
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    return changes


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """Split a stream at its NULs."""
    held = b""
    while block := stream.read(1 << 16):
        *whole, held = (held + block).split(b"\0")
        yield from whole
    yield held


class _Blobs:
    """Objects by their hash, from one `git cat-file` that stays open."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def read(self, entry: _Entry) -> bytes | None:
        """Return the bytes of a file as they were committed; None where they are missing."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(f"{entry.blob}\n".encode())
        asked.flush()
        head = answers.readline().split()
        if len(head) != 3 or not head[2].isdigit():
            return None
        data = answers.read(int(head[2]))
        answers.read(1)
        return data


@contextmanager
def _blobs(place: Path) -> Iterator[_Blobs]:
    process = subprocess.Popen(
        _command(place, "cat-file", "--batch"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=_environment(place),
    )  # fmt: skip
    try:
        yield _Blobs(process)
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.wait()


def _run(place: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            _command(place, *arguments), capture_output=True, check=True, env=_environment(place),
            stdin=subprocess.DEVNULL, timeout=_TIMEOUT_SECONDS,
        )  # fmt: skip
    except FileNotFoundError:
        raise SourceError("sources: git is not installed; a repository needs it") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git did not answer within {_TIMEOUT_SECONDS} seconds") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise SourceError(said[-1][:300] if said else f"git failed ({error.returncode})") from None
    return done.stdout


def _write(place: Path, handle: IO[bytes], *arguments: str) -> None:
    done = subprocess.run(
        _command(place, *arguments), stdout=handle, stderr=subprocess.DEVNULL, check=False,
        stdin=subprocess.DEVNULL, env=_environment(place),
    )  # fmt: skip
    if done.returncode:
        raise SourceError(f"sources: git {arguments[0]} failed ({done.returncode}) in {place.name}")


def _command(place: Path, *arguments: str) -> list[str]:
    return ["git", "-C", str(place), *_SAFE, *arguments]


def _environment(place: Path) -> dict[str, str]:
    """What git needs of ours: neither a GIT_DIR nor a folder above may name another repository."""
    ceiling = {"GIT_CEILING_DIRECTORIES": str(place.resolve().parent)}
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, **ceiling, **_ENVIRONMENT}


# Of one commit: hash, time, author, subject and body; `log -z` ends each with a NUL.
COMMIT_FORMAT = "%H%x01%cI%x01%an%x01%s%x01%b"

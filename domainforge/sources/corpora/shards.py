"""A corpus as a list of large files of one kind, on this machine or at addresses."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domainforge.errors import SourceError
from domainforge.records import text_hash
from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.config import Remote
from domainforge.sources.files import find_files, read_unless_known
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.web.addresses import check_url
from domainforge.sources.web.fetch import open_stream
from domainforge.sources.web.request import Access, FetchError
from domainforge.sources.web.source import parse_pieces

_BLOCK_BYTES = 1 << 20
_MOST_AT_ONCE = 4
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Corpus:
    """What a corpus is made of.

    Attributes:
        kind: Name of the kind of all its files.
        endings: How the names of its files end; others in a folder are left out.
        settings: What shapes its documents, as JSON.
        files: Folder, file or glob; None where it is at addresses.
        given: What is known of every document.
    """

    kind: str
    endings: tuple[str, ...]
    remote: Remote
    settings: Mapping[str, Any]
    files: str | None = None
    urls: Sequence[str] = ()
    given: Mapping[str, Any] = field(default_factory=dict)


class ShardSource:
    """Reads the files of a corpus one after the other, each in parts."""

    def __init__(self, config: SourceConfig, project: Path, corpus: Corpus) -> None:
        """Check every address; nothing is asked yet.

        Raises:
            SourceError: One of them can't be asked.
        """
        self._config = config
        self._project = project
        self._corpus = corpus
        self._access = Access(
            frozenset(corpus.remote.allow_hosts), timeout_seconds=_TIMEOUT_SECONDS
        )
        for url in corpus.urls:
            try:
                check_url(url, corpus.remote.allow_hosts)
            except UnreadableError as error:
                detail = f"{url_name(url)[:200]}: {error.detail}"
                raise SourceError(f"sources: {config.place}: {detail}") from None

    def identity(self) -> Mapping[str, Any]:
        """Return its settings, and of local files their names, sizes and times.

        To hash a corpus would take as long as to read it.
        """
        fields = {"kind": self._corpus.kind, **self._corpus.settings}
        fields["urls"] = [url_name(url) for url in self._corpus.urls]
        if self._corpus.files is not None:
            found, left_out = self._find()
            digest = hashlib.sha256()
            for file in found:
                digest.update(f"{file.uri}\0{_state(file.path)}\n".encode())
            for item in left_out:
                digest.update(f"{item.uri}\0{item.reason}\n".encode())
            fields["files"] = digest.hexdigest()
        return fields

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read all files in order; one at an address is loaded first, and removed when it is read.

        Raises:
            SourceError: No such file or folder, or no room for a file.
        """
        if self._corpus.files is None:
            yield from self._read_remote(reader)
            return
        found, left_out = self._find()
        for item in left_out:
            if not reader.done(item.uri):
                loaded = Loaded(dropped=(item,))
                yield Reading(item.uri, self._corpus.kind, loaded, revision=item.reason)
        work = (FileWork(file, _state(file.path)) for file in found)
        yield from read_unless_known(work, reader)

    def _find(self) -> tuple[list[SourceFile], list[LeftOut]]:
        corpus = self._corpus
        local = self._config.model_copy(update={"files": corpus.files})
        found = find_files([local], self._project)
        fitting: list[SourceFile] = []
        left_out = list(found.dropped)
        for file in found.files:
            if file.uri.lower().endswith(corpus.endings):
                made = replace(file, config=self._config, kind=corpus.kind, given=corpus.given)
                fitting.append(made)
            else:
                detail = f"no file of this corpus; they end in {' '.join(corpus.endings)}"
                left_out.append(LeftOut(file.uri, "unknown_kind", detail))
        return fitting, left_out

    def _read_remote(self, reader: Reader) -> Iterator[Reading]:
        folder = reader.folder / "shards"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {_place_of(url, folder).stem for url in self._corpus.urls}
        for path in folder.iterdir():
            if path.stem not in wanted:
                path.unlink()
        # What the workers have at once, they have on disk; a limit may want no second file.
        at_once = 1 if self._config.limit else min(_MOST_AT_ONCE, os.cpu_count() or 1)
        pieces = self._fetch_all(reader, folder)
        try:
            while batch := list(islice(pieces, at_once)):
                yield from parse_pieces(batch, reader)
        except GeneratorExit:
            # Nobody wants more of it; after a failure what was loaded is of use.
            for path in folder.iterdir():
                path.unlink()
            raise

    def _fetch_all(self, reader: Reader, folder: Path) -> Iterator[FileWork | Reading]:
        names: set[str] = set()
        for url in self._corpus.urls:
            uri = url_name(url)
            if uri in names or reader.done(uri):
                continue
            names.add(uri)
            path = _place_of(url, folder)
            try:
                revision = self._fetch(url, path, reader.known(uri))
            except UnreadableError as error:
                fault = LeftOut(uri, error.reason, error.detail)
                yield Reading(uri, self._corpus.kind, Loaded(faults=(fault,)))
                continue
            except OSError as error:
                why = error.strerror or "no access"
                raise SourceError(f"sources: {uri}: can't be kept in {folder}: {why}") from None
            if path.exists():
                file = SourceFile(path, uri, self._config, self._corpus.kind, self._corpus.given)
                yield FileWork(file, revision)
            else:
                yield Reading(uri, self._corpus.kind, revision=revision, unchanged=True)

    def _fetch(self, url: str, path: Path, known: str | None) -> str | None:
        """Load a file, unless it is as it was; return its revision."""
        note, part = path.with_suffix(".json"), path.with_suffix(".part")
        revision = json.loads(note.read_text()) if note.exists() else None
        if path.exists():
            return revision
        offset = part.stat().st_size if part.exists() and revision else 0
        try:
            source = open_stream(url, self._access, offset=offset, revision=revision)
        except FetchError as error:
            if error.reason != "changed":
                raise
            offset, source = 0, open_stream(url, self._access)
        with source:
            if source.revision is not None and source.revision == known:
                return known
            note.write_text(json.dumps(source.revision))
            most = self._corpus.remote.max_download_mb * 1_000_000
            with part.open("ab" if offset else "wb") as target:
                while block := source.read(_BLOCK_BYTES):
                    target.write(block)
                    if target.tell() > most:
                        raise UnreadableError("too_large", f"more than {most:,} bytes")
        part.rename(path)
        return source.revision


def url_name(url: str) -> str:
    """Return an address as a name: without what may be a secret or a fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _place_of(url: str, folder: Path) -> Path:
    return folder / f"{text_hash(url)[:24]}.shard"


def _state(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return f"{found.st_size}-{found.st_mtime_ns}"

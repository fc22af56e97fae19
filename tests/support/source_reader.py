"""A reader for tests of sources: parses files in this process and remembers what it was told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from domainforge.files import file_hash
from domainforge.records import Document
from domainforge.sources.kinds.known import BY_NAME, kind_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting, UnreadableError
from domainforge.sources.reading import FileWork, Reading, Source

_FIELDS = ("title", "created", "modified", "license")


@dataclass
class SourceReader:
    """What a source reads with in tests.

    Attributes:
        revisions: Revision by uri, as an ingest before this one left them.
        finished: Uris that this ingest has already.
        said: What the source told the user.
        parsed: Uris of the files that were parsed.
    """

    folder: Path
    position: Any = None
    seed: int = 7
    revisions: dict[str, str] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    parsed: list[str] = field(default_factory=list)

    def known(self, uri: str) -> str | None:
        return self.revisions.get(uri)

    def done(self, uri: str) -> bool:
        return uri in self.finished

    def parse(self, work: Iterable[FileWork]) -> Iterator[Reading]:
        for item in work:
            file = item.file
            self.parsed.append(file.uri)
            kind = BY_NAME[file.kind] if file.kind else kind_of(file.path.name)
            assert kind is not None
            loaded = _with_given(_load(file), file)
            revision = item.revision or file_hash(file.path)
            size = file.path.stat().st_size
            yield Reading(
                file.uri, kind.name, loaded, revision, position=item.position, size_bytes=size
            )

    def say(self, text: str) -> None:
        self.said.append(text)

    def take_over(self, readings: Iterable[Reading]) -> "SourceReader":
        """Return the reader of the next whole ingest after these readings."""
        known = {r.uri: r.revision for r in readings if r.revision and not r.loaded.faults}
        return SourceReader(self.folder, seed=self.seed, revisions=known)


def read_all(source: Source, reader: SourceReader) -> list[Reading]:
    return list(source.read(reader))


def documents_of(readings: Iterable[Reading]) -> list[Document]:
    return [document for reading in readings for document in reading.loaded.documents]


def faults_of(readings: Iterable[Reading]) -> list[LeftOut]:
    return [fault for reading in readings for fault in reading.loaded.faults]


def _load(file: SourceFile) -> Loaded:
    kind = BY_NAME[file.kind] if file.kind else kind_of(file.path.name)
    assert kind is not None
    try:
        if kind.load is not None:
            return kind.load(file.path.read_bytes(), file)
        assert kind.stream is not None
        with file.path.open("rb") as handle:
            parts = [p for p in kind.stream(handle, file, 0) if not isinstance(p, Starting)]
    except UnreadableError as error:
        return Loaded(faults=(LeftOut(file.uri, error.reason, error.detail),))
    return Loaded(
        tuple(d for part in parts for d in part.documents),
        tuple(d for part in parts for d in part.dropped),
        tuple(f for part in parts for f in part.faults),
    )


def _with_given(loaded: Loaded, file: SourceFile) -> Loaded:
    """Let what the source knows win over the file, as the ingest stage does."""
    fields = {name: file.given[name] for name in _FIELDS if name in file.given}
    others = {name: value for name, value in file.given.items() if name not in _FIELDS}
    documents = tuple(
        replace(document, **fields, metadata={**document.metadata, **others})
        for document in loaded.documents
    )
    return replace(loaded, documents=documents)

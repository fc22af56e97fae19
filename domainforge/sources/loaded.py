"""What a loader of one kind of file is given and what it gives back, faults included."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from domainforge.errors import SourceError
from domainforge.records import Document
from domainforge.sources.config import SourceConfig


class UnreadableError(SourceError):
    """One file or row can't be read; ingest records it and goes on.

    Attributes:
        reason: One word to count by, for example `encrypted`.
        detail: What was found and what would help.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class SourceFile:
    """A file to read.

    Attributes:
        uri: Its name in the run: starts at the folder that the user named, not at the disk's root.
        config: The source that it belongs to.
        kind: Name of its kind where the source knows better than the file's ending.
        given: What the source knows of it (`title`, `created`, `url` ...): wins over the file.
    """

    path: Path
    uri: str
    config: SourceConfig
    kind: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The file name as a title of last resort."""
        return Path(self.uri).stem.replace("_", " ").strip() or self.uri


@dataclass(frozen=True)
class LeftOut:
    """A file, row or page that gave no document, and why."""

    uri: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Loaded:
    """What one file gave, or one part of a large one.

    Attributes:
        dropped: Left out on purpose (an exam file, an empty one).
        faults: Could not be read.
    """

    documents: tuple[Document, ...] = ()
    dropped: tuple[LeftOut, ...] = ()
    faults: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Starting:
    """Says which part a stream reads next, so that one that kills its worker can be named."""

    uri: str


# A file that fits in memory: all of its bytes to all of its documents.
Load = Callable[[bytes, SourceFile], Loaded]
# A file of any size, in parts: `skip` is how many leading parts the caller has already. The parts
# and their order depend on the file alone, since an interrupted reading goes on by their count.
Stream = Callable[[BinaryIO, SourceFile, int], Iterator[Loaded | Starting]]

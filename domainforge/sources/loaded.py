"""What a loader is given and what it gives back, faults included."""

from dataclasses import dataclass
from pathlib import Path

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
    """

    path: Path
    uri: str
    config: SourceConfig

    @property
    def stem(self) -> str:
        """The file name as a title of last resort."""
        return self.path.stem.replace("_", " ").strip() or self.uri


@dataclass(frozen=True)
class LeftOut:
    """A file or row that gave no document, and why."""

    uri: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Loaded:
    """What one file gave.

    Attributes:
        dropped: Left out on purpose (an exam file, an empty one).
        faults: Could not be read.
    """

    documents: tuple[Document, ...] = ()
    dropped: tuple[LeftOut, ...] = ()
    faults: tuple[LeftOut, ...] = ()

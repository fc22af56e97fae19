"""What every source speaks: it is asked to read, and yields what each of its items gave."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from domainforge.sources.loaded import Loaded, SourceFile


@dataclass(frozen=True)
class Reading:
    """What one item of a source gave: a file, a page, a batch of rows.

    Attributes:
        uri: The item's name, unique and stable in its source.
        kind: What it is, in the words of the ingest report: `pdf`, `web page`, `sql row`.
        loaded: Documents, what was dropped on purpose, and faults.
        revision: Changes when the item does (a hash, an ETag); None where nobody can tell.
        unchanged: It is as the last whole ingest left it, so that its documents are taken over;
            `loaded` is empty then.
        last: Whether the item is whole with this; a large file comes in several readings.
        position: Where the source is to go on after an interruption, as JSON; None where
            `Reader.done` is enough.
        size_bytes: Bytes read for it, as far as known.
    """

    uri: str
    kind: str
    loaded: Loaded = field(default_factory=Loaded)
    revision: str | None = None
    unchanged: bool = False
    last: bool = True
    position: Any = None
    size_bytes: int = 0


@dataclass(frozen=True)
class FileWork:
    """A file to be parsed in a worker process.

    Attributes:
        revision: Goes into the readings as it is; None: SHA-256 of the file.
        position: Goes into the last reading of the file.
    """

    file: SourceFile
    revision: str | None = None
    position: Any = None


class Reader(Protocol):
    """What a source may use while it reads.

    Attributes:
        folder: The source's own folder, kept from run to run, for validators, links and partial
            downloads. Never the text of documents: `domainforge forget` must find all of that.
        position: Where the interrupted reading was, or None at the start.
        seed: The run's seed.
    """

    folder: Path
    position: Any
    seed: int

    def known(self, uri: str) -> str | None:
        """Return the revision of an item in the last whole ingest, if it was read in full."""

    def done(self, uri: str) -> bool:
        """Tell whether this ingest has the item already, from before an interruption."""

    def parse(self, work: Iterable[FileWork]) -> Iterator[Reading]:
        """Parse files in worker processes with time and memory limits, in the order given.

        Takes the work lazily, a few files ahead; a file is needed until its reading is out.
        Whatever a file does (hang, crash, eat memory) is its own fault and ends only that file.
        """

    def say(self, text: str) -> None:
        """Tell the user one sentence about what happens now."""


class Source(Protocol):
    """A place that documents come from."""

    def identity(self) -> Mapping[str, Any]:
        """Return what shapes its documents and can be known without reading them, as JSON.

        For local places the state of the files is part of it; for remote ones it is not, and they
        are read again only when the user asks.
        """

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read everything, lazily, in an order that depends on the content alone.

        Raises:
            SourceError: The place as a whole can't be read: no such folder, no access.
        """

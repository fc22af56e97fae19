"""From readings to documents: each text once, what is wanted, up to the limit; all counted."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from domainforge.records import Document, canonical_json
from domainforge.sources.choice import OpenSource
from domainforge.sources.filling import fill_in
from domainforge.sources.forgotten import Forgotten
from domainforge.sources.journal import Journal
from domainforge.sources.loaded import LeftOut
from domainforge.sources.reading import FileWork, Reading
from domainforge.sources.wanted import reason_to_pass_over
from domainforge.sources.wire import mend_document
from domainforge.sources.workers import WorkerPool
from domainforge.table_writer import TableWriter

_COMMIT_BYTES = 32 << 20
_COMMIT_SECONDS = 20.0


@dataclass
class SourceReader:
    """What one source reads with; see `reading.Reader`."""

    key: str
    folder: Path
    position: Any
    seed: int
    say: Callable[[str], None]
    room: Callable[[], int | None]
    journal: Journal
    pool: WorkerPool
    mixed: bool = False

    def known(self, uri: str) -> str | None:
        """Return the revision of an item that can be taken over."""
        return self.journal.known(self.key, uri, self.room(), mixed=self.mixed)

    def done(self, uri: str) -> bool:
        """Tell whether this ingest has the item already."""
        return self.journal.done(self.key, uri)

    def parse(self, work: Iterable[FileWork]) -> Iterator[Reading]:
        """Parse files in worker processes, in the order given."""
        return self.pool.parse(work, lambda uri: self.journal.parts(self.key, uri))


class Collection:
    """The documents of all sources as they come in.

    `total` is how many items there will be, or 0 where nobody can tell.
    """

    def __init__(
        self,
        journal: Journal,
        writer: TableWriter,
        forgotten: Forgotten,
        seed: int,
        total: int,
        progress: Callable[..., None],
    ) -> None:
        self._journal = journal
        journal.leave_out(forgotten)
        self._writer = writer
        self._forgotten = forgotten
        self._seed = seed
        self._total = total
        self._progress = progress
        self._uncommitted = 0
        self._committed_at = time.monotonic()
        self._items = 0
        self.mixture_ended_by: str | None = None

    def collect(
        self,
        sources: Iterable[tuple[str, OpenSource]],
        make_reader: Callable[[str, OpenSource, Any], SourceReader],
    ) -> None:
        """Read all sources: those without a weight one after the other, then the mixture.

        Raises:
            SourceError: A source as a whole can't be read.
        """
        mixed: list[tuple[str, OpenSource, Iterator[Reading]]] = []
        for key, opened in sources:
            position, finished = self._journal.begin_source(key)
            if finished:
                continue
            reader = make_reader(key, opened, position)
            reader.mixed = opened.config.weight is not None
            readings = opened.source.read(reader)
            if reader.mixed:
                mixed.append((key, opened, readings))
                continue
            for reading in readings:
                if not self._take(key, opened, reading):
                    break
            _close(readings)
            self._journal.end_source(key)
        self._collect_mixture(mixed)
        self.commit()

    def _collect_mixture(self, mixed: list[tuple[str, OpenSource, Iterator[Reading]]]) -> None:
        """Take from whichever source has least for its weight, until that one has no more."""
        while mixed:
            key, opened, readings = min(mixed, key=lambda entry: self._filled(*entry[:2]))
            # Asked before each turn, and of what is on disk: a kill must not change where it ends.
            full = self.room(key, opened) == 0
            reading = None if full else next(readings, None)
            if reading is None:
                self.mixture_ended_by = key if len(mixed) > 1 else None
                break
            self._take(key, opened, reading)
        for key, _, readings in mixed:
            _close(readings)
            self._journal.end_source(key)

    def _filled(self, key: str, opened: OpenSource) -> float:
        return self._journal.size_of_source(key)[1] / (opened.config.weight or 1.0)

    def _take(self, key: str, opened: OpenSource, reading: Reading) -> bool:
        """Take what one item gave; returns False where the source's limit is reached."""
        room = self.room(key, opened)
        if room == 0:
            return False
        cut = False
        if reading.unchanged:
            self._journal.carry(key, reading.uri)
            self._journal.put_position(key, reading.position)
        else:
            cut = self._put(key, opened, reading, room)
            self._journal.put_item(key, reading, cut=cut)
        self._items += reading.last
        documents, characters = self._journal.size_of_source(key)
        self._progress(self._items, self._total, documents=documents, characters=characters)
        if (
            self._uncommitted >= _COMMIT_BYTES
            or time.monotonic() - self._committed_at > _COMMIT_SECONDS
        ):
            self.commit()
        return not cut

    def room(self, key: str, opened: OpenSource) -> int | None:
        """Return how many documents a source may still give; None without a limit."""
        limit = opened.config.limit
        return None if limit is None else max(0, limit - self._journal.size_of_source(key)[0])

    def commit(self) -> None:
        """Put everything so far on disk."""
        self._journal.commit(self._writer.flush())
        self._uncommitted = 0
        self._committed_at = time.monotonic()

    def _put(self, key: str, opened: OpenSource, reading: Reading, room: int | None) -> bool:
        item, loaded = reading.uri, reading.loaded
        for left_out in loaded.dropped:
            self._journal.put_left_out(key, item, left_out, fault=False)
        for left_out in loaded.faults:
            self._journal.put_left_out(key, item, left_out, fault=True)
        passed_over: Counter[str] = Counter()
        cut = False
        for found in loaded.documents:
            if room is not None and room <= 0:
                cut = True
                break
            document = fill_in(_writable(found), opened.config)
            reason = reason_to_pass_over(document, opened.config, self._seed)
            digest = hashlib.sha256(document.text.encode())
            if reason:
                passed_over[reason] += 1
            elif self._forgotten.covers(document.uri, digest.hexdigest()):
                gone = LeftOut(document.uri, "forgotten", "`domainforge forget` took it out")
                self._journal.put_left_out(key, item, gone, fault=False)
            elif self._add(key, item, document, digest.digest()) and room is not None:
                room -= 1
        for reason, number in passed_over.items():
            self._journal.put_count(key, item, reason, number)
        return cut

    def _add(self, key: str, item: str, document: Document, sha: bytes) -> bool:
        uri, number = document.uri, 2
        known = self._journal.holds_text(sha)
        while not known and not self._journal.uri_is_free(uri):
            uri, number = f"{document.uri}~{number}", number + 1
        asked, document = document.uri, replace(document, uri=uri)
        if not self._journal.put_document(key, item, document, sha, asked):
            return False
        row = {**asdict(document), "id": document.id, "sha256": sha.hex(), "uris": [uri]}
        row["metadata"] = canonical_json(document.metadata)
        size = len(document.text) + len(document.raw or "")
        self._writer.add(row, size)
        self._uncommitted += size
        return True


def _writable(document: Document) -> Document:
    """Mend what no table could hold: a source made in Python may give any text."""
    try:
        for text in (document.uri, document.title, document.text, document.raw or ""):
            text.encode()
        canonical_json(document.metadata).encode()
    except (UnicodeEncodeError, TypeError, ValueError):
        return mend_document(document)
    return document


def _close(readings: Iterator[Reading]) -> None:
    close = getattr(readings, "close", None)
    if close is not None:
        close()

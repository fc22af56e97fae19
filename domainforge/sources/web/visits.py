"""What is kept of every page between runs: validators, links, where it leads; never its text."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

_SCHEMA = """
CREATE TABLE IF NOT EXISTS visits (
    url TEXT PRIMARY KEY,
    taken INTEGER NOT NULL,
    revision TEXT,
    etag TEXT,
    modified TEXT,
    asked TEXT,
    redirect TEXT,
    canonical TEXT,
    listed TEXT,
    links TEXT NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Visit:
    """The last visit of a page.

    Attributes:
        taken: Whether it became a document.
        revision: SHA-256 of its bytes; what the validators below belong to.
        etag: For `If-None-Match`.
        modified: `Last-Modified`, for `If-Modified-Since`.
        asked: When, ISO 8601.
        redirect: Where it leads instead.
        canonical: The address that it calls its own.
        listed: The date of change that its sitemap gave.
        links: Outgoing, normalised.
    """

    url: str
    taken: bool = False
    revision: str | None = None
    etag: str | None = None
    modified: str | None = None
    asked: str | None = None
    redirect: str | None = None
    canonical: str | None = None
    listed: str | None = None
    links: Sequence[str] = ()


class Visits:
    """The visits of one source, in a SQLite file; use as a context."""

    def __init__(self, folder: Path) -> None:
        """Open the file, or begin it."""
        folder.mkdir(parents=True, exist_ok=True)
        # A reader may pull the files from a thread of its own, though never from two at once.
        self._base = sqlite3.connect(
            folder / "visits.sqlite", isolation_level=None, check_same_thread=False
        )
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=NORMAL")
        self._base.execute(_SCHEMA)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._base.close()

    def get(self, url: str) -> Visit | None:
        """Return the last visit of a page."""
        row = self._base.execute("SELECT * FROM visits WHERE url = ?", (url,)).fetchone()
        if row is None:
            return None
        *others, links = row
        return replace(Visit(*others), taken=bool(others[1]), links=tuple(json.loads(links)))

    def put(self, visit: Visit) -> None:
        """Keep a visit, in place of an earlier one."""
        row = astuple(replace(visit, links=()))[:-1]
        marks = ",".join("?" * (len(row) + 1))
        self._base.execute(
            f"INSERT OR REPLACE INTO visits VALUES ({marks})", (*row, json.dumps(list(visit.links)))
        )

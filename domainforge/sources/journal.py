"""What an ingest has read so far, in SQLite: kept beside the documents for the next one.

Holds names, hashes and counts, never text. One transaction goes with the segments of documents
that are on disk, so that an interrupted ingest goes on where the two agree.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from domainforge.records import Document
from domainforge.sources.forgotten import Forgotten
from domainforge.sources.loaded import LeftOut
from domainforge.sources.reading import Reading

FILE_NAME = ".items.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS sources (
    source TEXT PRIMARY KEY, position TEXT, documents INTEGER NOT NULL DEFAULT 0,
    characters INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS items (
    source TEXT, uri TEXT, kind TEXT, revision TEXT, parts INTEGER NOT NULL, whole INTEGER NOT NULL,
    again INTEGER NOT NULL, size_bytes INTEGER NOT NULL, PRIMARY KEY (source, uri)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, uri TEXT, sha BLOB, source TEXT, item TEXT, characters INTEGER,
    language TEXT, blank_pages INTEGER, carried INTEGER, asked TEXT) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS documents_by_text ON documents (sha);
CREATE UNIQUE INDEX IF NOT EXISTS documents_by_uri ON documents (uri);
CREATE INDEX IF NOT EXISTS documents_by_item ON documents (source, item);
CREATE TABLE IF NOT EXISTS names (sha BLOB, uri TEXT, source TEXT, item TEXT);
CREATE INDEX IF NOT EXISTS names_by_item ON names (source, item);
CREATE TABLE IF NOT EXISTS left_out (
    source TEXT, item TEXT, uri TEXT, reason TEXT, detail TEXT, fault INTEGER);
CREATE INDEX IF NOT EXISTS left_out_by_item ON left_out (source, item);
CREATE TABLE IF NOT EXISTS counts (source TEXT, item TEXT, reason TEXT, number INTEGER);
CREATE INDEX IF NOT EXISTS counts_by_item ON counts (source, item);
CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, size INTEGER, changed_ns INTEGER,
    sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT);
"""
_FORMAT = 2
# Faults that may be gone the next time, though the item is the same.
_PASSING = ("too_slow", "too_much_memory", "crashed", "changed_while_read", "unreadable", "no_ocr")

# What an item gave depends on what was there before it: none of these may find a row.
_SHAPED_BY_OTHERS = (
    # A copy whose original is neither here nor in the item itself.
    "SELECT 1 FROM old.names n WHERE source = ? AND item = ? "
    "AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.sha = n.sha) AND NOT EXISTS "
    "(SELECT 1 FROM old.documents o WHERE (o.sha, o.source, o.item) = (n.sha, n.source, n.item))",
    # A name that another text has now.
    "SELECT 1 FROM old.documents o JOIN documents d ON d.uri = o.uri AND d.sha != o.sha "
    "WHERE o.source = ? AND o.item = ?",
    # A number at a name (`x~2`) that was needed because of another item.
    "SELECT 1 FROM old.documents WHERE source = ? AND item = ? GROUP BY asked HAVING count(*) < "
    "max(CASE WHEN uri = asked THEN 1 ELSE CAST(substr(uri, length(asked) + 2) AS INTEGER) END)",
    # The same because of a text of the item that is another's copy now.
    "SELECT 1 FROM old.documents o WHERE source = ? AND item = ? AND uri != asked AND EXISTS "
    "(SELECT 1 FROM old.documents p JOIN documents d ON d.sha = p.sha "
    "WHERE p.source = o.source AND p.item = o.item)",
)


class Journal:
    """The state of one ingest, and a look at the last whole one."""

    def __init__(self, path: Path, previous: Path | None = None) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.executescript(f"{_TABLES} PRAGMA user_version = {_FORMAT};")
        self._previous = False
        self._forgotten = Forgotten()
        if previous is not None and previous.exists():
            self._previous = self._attach(previous)
        self._file.execute("BEGIN")

    @property
    def file(self) -> sqlite3.Connection:
        """The open database."""
        return self._file

    @property
    def segments(self) -> int:
        """How many segments of documents belong to this state."""
        row = self._file.execute("SELECT value FROM facts WHERE name = 'segments'").fetchone()
        return int(row[0]) if row else 0

    def commit(self, segments: int) -> None:
        """Make everything so far durable, together with that many segments."""
        self._file.execute("REPLACE INTO facts VALUES ('segments', ?)", (str(segments),))
        self._file.execute("COMMIT")
        self._file.execute("BEGIN")

    def close(self) -> None:
        """Close without committing."""
        self._file.close()

    def leave_out(self, forgotten: Forgotten) -> None:
        """Take over no item that holds a text or a name of these."""
        self._forgotten = forgotten

    def begin_source(self, source: str) -> tuple[Any, bool]:
        """Return where a source is to go on, and whether it is finished."""
        self._file.execute("INSERT OR IGNORE INTO sources (source) VALUES (?)", (source,))
        row = self._row("SELECT position, finished FROM sources WHERE source = ?", source)
        return (json.loads(row[0]) if row[0] else None), bool(row[1])

    def end_source(self, source: str) -> None:
        """Note that nothing more comes of it."""
        self._file.execute("UPDATE sources SET finished = 1 WHERE source = ?", (source,))

    def size_of_source(self, source: str) -> tuple[int, int]:
        """Return how many documents and characters it has given."""
        documents, characters = self._row(
            "SELECT documents, characters FROM sources WHERE source = ?", source
        )
        return documents, characters

    def done(self, source: str, uri: str) -> bool:
        """Tell whether an item is here whole."""
        sql = "SELECT 1 FROM items WHERE source = ? AND uri = ? AND whole = 1"
        return self._file.execute(sql, (source, uri)).fetchone() is not None

    def parts(self, source: str, uri: str) -> int:
        """Return how many parts of an unfinished item are here."""
        sql = "SELECT parts FROM items WHERE source = ? AND uri = ? AND whole = 0"
        row = self._file.execute(sql, (source, uri)).fetchone()
        return row[0] if row else 0

    def known(self, source: str, uri: str, room: int | None, *, mixed: bool = False) -> str | None:
        """Return the revision of an item that can be taken over from the last whole ingest.

        Only where reading it again would give exactly what it gave then.

        Args:
            source: Which source, by its recipe.
            uri: The item.
            room: How many documents the source may still give.
            mixed: Whether it is one of a mixture, which may end after any part of an item.
        """
        if not self._previous or self._has_begun(source, uri):
            return None
        sql = "SELECT revision, again, parts FROM old.items WHERE source = ? AND uri = ? AND whole"
        row = self._file.execute(sql, (source, uri)).fetchone()
        if row is None or row[1] or (mixed and row[2] > 1):
            return None
        same = (source, uri)
        # Reading ends where the last free place is taken, so the item must leave one.
        sql = "SELECT count(*) FROM old.documents WHERE source = ? AND item = ?"
        if room is not None and self._row(sql, *same)[0] >= room:
            return None
        if any(self._file.execute(sql, same).fetchone() for sql in _SHAPED_BY_OTHERS):
            return None
        return None if self._forgets(*same) else str(row[0])

    def _has_begun(self, source: str, uri: str) -> bool:
        """Tell whether parts of an item are here, from before an interruption."""
        sql = "SELECT 1 FROM items WHERE source = ? AND uri = ?"
        return self._file.execute(sql, (source, uri)).fetchone() is not None

    def _attach(self, previous: Path) -> bool:
        """Open the last journal; False where it is damaged or of another format."""
        try:
            # `mode=ro` would refuse a database whose folder can't be written.
            self._file.execute("ATTACH ? AS old", (str(previous),))
            if self._row("PRAGMA old.user_version")[0] != _FORMAT:
                return False
            return bool(self._row("PRAGMA old.quick_check(1)")[0] == "ok")
        except sqlite3.DatabaseError:
            return False  # it is only a memory: all is read again

    def _forgets(self, source: str, uri: str) -> bool:
        """Tell whether an item held what was forgotten since, or lost what no longer is."""
        sql = "SELECT 1 FROM old.left_out WHERE source = ? AND item = ? AND reason = 'forgotten'"
        if self._file.execute(sql, (source, uri)).fetchone():
            return True
        if not self._forgotten.digest():
            return False
        sql = (
            "SELECT asked, sha FROM old.documents WHERE source = ?1 AND item = ?2 "
            "UNION ALL SELECT uri, sha FROM old.names WHERE source = ?1 AND item = ?2"
        )
        rows = self._file.execute(sql, (source, uri))
        return any(self._forgotten.covers(name, sha.hex()) for name, sha in rows)

    def carry(self, source: str, uri: str) -> None:
        """Take an unchanged item over as it was."""
        where = (source, uri)
        # What became another's copy since then is one more name of that.
        self._file.execute(
            "INSERT INTO names SELECT o.sha, o.asked, o.source, o.item FROM old.documents o "
            "JOIN documents d ON d.sha = o.sha WHERE o.source = ? AND o.item = ?",
            where,
        )
        for table in ("names", "left_out", "counts", "items"):
            condition = "uri = ?" if table == "items" else "item = ?"
            self._file.execute(
                f"INSERT INTO {table} SELECT * FROM old.{table} WHERE source = ? AND {condition}",
                where,
            )
        self._file.execute(
            "INSERT OR IGNORE INTO documents SELECT id, uri, sha, source, item, characters, "
            "language, blank_pages, 1, asked FROM old.documents WHERE source = ? AND item = ?",
            where,
        )
        self._file.execute(
            "UPDATE sources SET (documents, characters) = (SELECT sources.documents + count(*), "
            "sources.characters + coalesce(sum(d.characters), 0) FROM documents d "
            "WHERE d.source = ?1 AND d.item = ?2) WHERE source = ?1",
            where,
        )

    def put_document(
        self, source: str, item: str, document: Document, sha: bytes, asked: str
    ) -> bool:
        """Note a document; returns False where the same text is here under another name.

        Args:
            source: Which source, by its recipe.
            item: What it came from.
            document: With a name that is free.
            sha: Of its text.
            asked: The name that its loader gave it.
        """
        where = (source, item)
        if self.holds_text(sha):
            self._file.execute("INSERT INTO names VALUES (?, ?, ?, ?)", (sha, asked, *where))
            return False
        blank = len(document.metadata.get("pages_without_text") or ())
        size = len(document.text)
        self._file.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (document.id, document.uri, sha, *where, size, document.language, blank, asked),
        )
        self._file.execute(
            "UPDATE sources SET documents = documents + 1, characters = characters + ? "
            "WHERE source = ?",
            (size, source),
        )
        return True

    def holds_text(self, sha: bytes) -> bool:
        """Tell whether a text is here already."""
        sql = "SELECT 1 FROM documents WHERE sha = ?"
        return self._file.execute(sql, (sha,)).fetchone() is not None

    def uri_is_free(self, uri: str) -> bool:
        """Tell whether no document has that name."""
        return not self._file.execute("SELECT 1 FROM documents WHERE uri = ?", (uri,)).fetchone()

    def put_left_out(self, source: str, item: str, left_out: LeftOut, *, fault: bool) -> None:
        """Note what gave no document."""
        # What a loader says may hold half characters, which no database takes.
        told = (
            text.encode("utf-8", "replace").decode()
            for text in (left_out.uri, left_out.reason, left_out.detail)
        )
        row = (source, item, *told, fault)
        self._file.execute("INSERT INTO left_out VALUES (?, ?, ?, ?, ?, ?)", row)

    def put_count(self, source: str, item: str, reason: str, number: int) -> None:
        """Note how many documents were not wanted, where a list of them would tell nothing."""
        self._file.execute("INSERT INTO counts VALUES (?, ?, ?, ?)", (source, item, reason, number))

    def put_item(self, source: str, reading: Reading, *, cut: bool = False) -> None:
        """Note one reading of an item, after what it gave; `cut`: not all of it was taken."""
        passing = any(fault.reason in _PASSING for fault in reading.loaded.faults)
        again = cut or passing or reading.revision is None
        self._file.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT (source, uri) DO UPDATE "
            "SET parts = parts + 1, whole = max(whole, excluded.whole), revision = "
            "excluded.revision, again = max(again, excluded.again), "
            "size_bytes = max(size_bytes, excluded.size_bytes)",
            (
                source,
                reading.uri,
                reading.kind,
                reading.revision,
                reading.last,
                again,
                reading.size_bytes,
            ),
        )
        self.put_position(source, reading.position)

    def put_position(self, source: str, position: Any) -> None:
        """Note where a source is to go on, if it says so."""
        if position is not None:
            self._file.execute(
                "UPDATE sources SET position = ? WHERE source = ?", (json.dumps(position), source)
            )

    def put_hashes(self, hashes: Mapping[str, tuple[int, int, str]]) -> None:
        """Keep the hashes of files for the next ingest."""
        rows = ((name, *entry) for name, entry in hashes.items())
        self._file.executemany("REPLACE INTO hashes VALUES (?, ?, ?, ?)", rows)

    def rows(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        yield from self._file.execute(sql, values)

    def _row(self, sql: str, *values: Any) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._file.execute(sql, values).fetchone()
        return row


def known_hashes(path: Path) -> dict[str, tuple[int, int, str]]:
    """Return size, time of change (ns) and SHA-256 of files, as an ingest left them."""
    if not path.exists():
        return {}
    try:
        with closing(sqlite3.connect(path)) as file:
            rows = file.execute("SELECT path, size, changed_ns, sha256 FROM hashes").fetchall()
    except sqlite3.DatabaseError:
        return {}  # damaged, or of another version: the files are read again
    return {name: (size, changed_ns, sha256) for name, size, changed_ns, sha256 in rows}

"""Every completion ever paid for, in one SQLite file that several runs share.

Also what was in flight when a process died, which faults came, and what an endpoint can do.
"""

import hashlib
import hmac
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from domainforge.errors import StorageError
from domainforge.records import canonical_json
from domainforge.teacher.process import is_alive, own_mark

VERSION = 1
_BUSY_SECONDS = 30.0

_TABLES = """
CREATE TABLE completions (
    key TEXT PRIMARY KEY, identity TEXT NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL,
    created REAL NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL);
CREATE TABLE started (
    key TEXT NOT NULL, process TEXT NOT NULL, identity TEXT NOT NULL, started_at REAL NOT NULL,
    PRIMARY KEY (key, process));
CREATE TABLE faults (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL,
    at REAL NOT NULL);
CREATE TABLE endpoints (
    identity TEXT NOT NULL, capability TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (identity, capability));
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and run the same command again",
    sqlite3.SQLITE_IOERR: "the disk can't be written (full or failing?); mend it and run again",
    sqlite3.SQLITE_READONLY: "the ledger can't be written; check its permissions and its folder's",
    sqlite3.SQLITE_CANTOPEN: "the ledger can't be opened; check that its folder can be written",
    sqlite3.SQLITE_CORRUPT: "the ledger is damaged; move it away, or restore a copy",
    sqlite3.SQLITE_NOTADB: "this file is no ledger; move it away and run again",
    sqlite3.SQLITE_BUSY: f"another process held the ledger for over {_BUSY_SECONDS:.0f} s",
}


@dataclass(frozen=True)
class Started:
    """A request is about to leave."""

    key: str
    identity: str


@dataclass(frozen=True)
class Completed:
    """A completion in valid protocol arrived; it is final."""

    key: str
    identity: str
    request: dict[str, Any]
    response: dict[str, Any]
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Faulted:
    """A request brought a fault instead of a completion."""

    key: str
    kind: str
    detail: str


@dataclass(frozen=True)
class Withdrawn:
    """A request did not leave after all."""

    key: str


Entry = Started | Completed | Faulted | Withdrawn


@dataclass(frozen=True)
class Written:
    """What a write found.

    Attributes:
        interrupted: Keys that had been in flight before, without a reply; now asked again.
        earlier: Responses that another process had stored first, by key; they stand.
    """

    interrupted: set[str] = field(default_factory=set)
    earlier: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerStats:
    """What a ledger holds: counts by identity and by kind of fault, tokens, and its size."""

    completions: dict[str, int]
    prompt_tokens: int
    completion_tokens: int
    faults: dict[str, int]
    interrupted: int
    file_bytes: int


class Ledger:
    """One ledger file, safe to share between threads and between processes.

    A write returns when its bytes are on disk (WAL, `synchronous=FULL`).

    Raises:
        StorageError: The file is full, read-only, damaged, foreign, or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger, or create it with a fresh secret."""
        self.path = path
        self._process = own_mark()
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{path}: its folder can't be made ({error})") from error
        with _explained(path), ExitStack() as opened:
            # Two connections: a look-up need not wait for a commit to reach the disk.
            self._writer = opened.enter_context(closing(_connect(path)))
            self._reader = opened.enter_context(closing(_connect(path)))
            self._prepare()
            self._secret = bytes.fromhex(self._one("SELECT value FROM meta WHERE key = 'secret'"))
            opened.pop_all()

    def __enter__(self) -> Self:
        """Use as a context manager that closes the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; what was written stays."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the stored response for a key, or None."""
        text = self._one("SELECT response FROM completions WHERE key = ?", key)
        return None if text is None else dict(json.loads(text))

    def has(self, key: str) -> bool:
        """Tell whether a response is stored for a key."""
        return self._one("SELECT 1 FROM completions WHERE key = ?", key) is not None

    def write(self, entries: Sequence[Entry]) -> Written:
        """Store a group of entries in one transaction, in their order."""
        written, now = Written(), time.time()
        with self._transaction() as file:
            for entry in entries:
                match entry:
                    case Started():
                        self._write_started(file, entry, now, written)
                    case Completed():
                        self._write_completed(file, entry, now, written)
                    case Faulted():
                        row = (entry.key, entry.kind, entry.detail, now)
                        file.execute(
                            "INSERT INTO faults (key, kind, detail, at) VALUES (?,?,?,?)", row
                        )
                        self._clear_started(file, entry.key)
                    case Withdrawn():
                        self._clear_started(file, entry.key)
        return written

    def interrupted(self) -> int:
        """Count the requests that were in flight when their process died."""
        query = """SELECT DISTINCT key, process FROM started
                   WHERE key NOT IN (SELECT key FROM completions)"""
        with self._read_lock, _explained(self.path):
            rows = self._reader.execute(query).fetchall()
        alive = {process: is_alive(process) for _, process in rows}
        return len({key for key, process in rows if not alive[process]})

    def capability(self, identity: str, name: str) -> str | None:
        """Return what is remembered of an endpoint under that name, or None."""
        query = "SELECT value FROM endpoints WHERE identity = ? AND capability = ?"
        value = self._one(query, identity, name)
        return None if value is None else str(value)

    def set_capability(self, identity: str, name: str, value: str) -> None:
        """Remember what an endpoint can do."""
        with self._transaction() as file:
            file.execute("INSERT OR REPLACE INTO endpoints VALUES (?,?,?)", (identity, name, value))

    def fence(self, chunk_id: str) -> str:
        """Return the marker around a chunk in a prompt: 16 hexadecimal digits.

        A document can't guess it, since it depends on this file's secret; the same chunk always
        gets the same one, so that its prompts replay.
        """
        return hmac.new(self._secret, chunk_id.encode(), hashlib.sha256).hexdigest()[:16]

    def stats(self) -> LedgerStats:
        """Count what is stored."""
        with self._read_lock, _explained(self.path):
            run = self._reader.execute
            by_identity = run("SELECT identity, count(*) FROM completions GROUP BY 1").fetchall()
            sums = run(
                "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
                "FROM completions"
            ).fetchone()
            faults = run("SELECT kind, count(*) FROM faults GROUP BY 1 ORDER BY 1").fetchall()
        return LedgerStats(
            completions=dict(by_identity),
            prompt_tokens=sums[0],
            completion_tokens=sums[1],
            faults=dict(faults),
            interrupted=self.interrupted(),
            file_bytes=self.path.stat().st_size,
        )

    def _one(self, query: str, *values: str) -> Any:
        with self._read_lock, _explained(self.path):
            row = self._reader.execute(query, values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock, _explained(self.path):
            file = self._writer
            file.execute("BEGIN IMMEDIATE")
            try:
                yield file
                file.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back after some errors, a full disk among them.
                if file.in_transaction:
                    file.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        with self._transaction() as file:
            version = file.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                if file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    raise StorageError(f"{self.path}: {_ADVICE[sqlite3.SQLITE_NOTADB]}")
                for statement in _TABLES.split(";\n"):
                    file.execute(statement)
                file.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_hex(32),))
                file.execute(f"PRAGMA user_version = {VERSION}")
            elif version > VERSION:
                raise StorageError(
                    f"{self.path}: written by a newer DomainForge (ledger version {version}, this "
                    f"one reads up to {VERSION}); upgrade domainforge, or use another ledger file"
                )

    def _write_started(
        self, file: sqlite3.Connection, entry: Started, now: float, written: Written
    ) -> None:
        query = "SELECT process FROM started WHERE key = ?"
        for (process,) in file.execute(query, (entry.key,)).fetchall():
            if process == self._process or not is_alive(process):
                written.interrupted.add(entry.key)
                row = (entry.key, process)
                file.execute("DELETE FROM started WHERE key = ? AND process = ?", row)
        values = (entry.key, self._process, entry.identity, now)
        file.execute("INSERT INTO started VALUES (?,?,?,?)", values)

    def _write_completed(
        self, file: sqlite3.Connection, entry: Completed, now: float, written: Written
    ) -> None:
        texts = (canonical_json(entry.request), canonical_json(entry.response))
        tokens = (entry.prompt_tokens, entry.completion_tokens)
        values = (entry.key, entry.identity, *texts, now, *tokens)
        done = file.execute("INSERT OR IGNORE INTO completions VALUES (?,?,?,?,?,?,?)", values)
        if done.rowcount == 0:
            query = "SELECT response FROM completions WHERE key = ?"
            stored = file.execute(query, (entry.key,)).fetchone()[0]
            written.earlier[entry.key] = json.loads(stored)
        self._clear_started(file, entry.key)

    def _clear_started(self, file: sqlite3.Connection, key: str) -> None:
        file.execute("DELETE FROM started WHERE key = ? AND process = ?", (key, self._process))


def _connect(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # Two processes that switch a new file to WAL at once get "locked" without any wait.
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                file.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        file.execute("PRAGMA synchronous = FULL")
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in _ADVICE:
            raise
        raise StorageError(f"{path}: {_ADVICE[code]} ({error})") from error

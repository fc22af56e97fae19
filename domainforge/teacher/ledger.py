"""Every completion ever paid for, in one SQLite file that several runs share.

Also what was in flight when a process died, which faults came, what each run has spent, and what
an endpoint can do.
"""

import hashlib
import hmac
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from domainforge.errors import StorageError
from domainforge.teacher.ledger_file import connect, explained
from domainforge.teacher.ledger_tables import prepare
from domainforge.teacher.process import is_alive, own_mark

# SQLite gives the interpreter up for each statement, and may wait 5 ms to get it back while the
# event loop works. So a group is a few statements of many rows, not many of one.
_ROWS_PER_INSERT = 64

CUT_OFF = "left_in_flight"


@dataclass(frozen=True, slots=True)
class Started:
    """A request is about to leave; `nano_usd` and `tokens` are the most that it can cost."""

    key: str
    identity: str
    account: str = ""
    nano_usd: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """A completion in valid protocol arrived; it is final.

    Attributes:
        request: What was asked, as JSON.
        response: The completion, as JSON.
        nano_usd: What it cost, in billionths of a dollar.
        tokens: What it counts against a cap on tokens.
    """

    key: str
    identity: str
    request: str
    response: str
    prompt_tokens: int
    completion_tokens: int
    account: str = ""
    nano_usd: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Faulted:
    """A request brought a fault instead of a completion; it may have been billed all the same."""

    key: str
    kind: str
    detail: str
    account: str = ""
    nano_usd: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A request did not leave after all."""

    key: str


@dataclass(frozen=True, slots=True)
class Charged:
    """Something cost money beside the requests that are kept (a probe)."""

    account: str
    nano_usd: int
    tokens: int


Entry = Started | Completed | Faulted | Withdrawn | Charged


@dataclass(frozen=True)
class Written:
    """What a write found.

    Attributes:
        interrupted: Keys that had been in flight before, without a reply; now asked again.
        earlier: Responses that another process had stored first, by key; they stand.
    """

    interrupted: set[str] = field(default_factory=set)
    earlier: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """What an account has been charged so far."""

    nano_usd: int
    tokens: int


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
        with explained(path), ExitStack() as opened:
            # Two connections: a look-up need not wait for a commit to reach the disk.
            self._writer = opened.enter_context(closing(connect(path)))
            self._reader = opened.enter_context(closing(connect(path)))
            with self.transaction() as file:
                prepare(file, str(path))
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

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the stored responses of those keys that have one, as JSON, in one look-up."""
        query = """SELECT key, response FROM completions
                   WHERE key IN (SELECT value FROM json_each(?))"""
        return dict(self.read(query, json.dumps(keys)))

    def has(self, key: str) -> bool:
        """Tell whether a response is stored for a key."""
        return self._one("SELECT 1 FROM completions WHERE key = ?", key) is not None

    def write(self, entries: Sequence[Entry]) -> Written:
        """Store a group of entries in one transaction.

        What ends a request (`Completed`, `Faulted`, `Withdrawn`) is written before what begins
        one, whatever their order: a request begins again only after its fault was handed in.
        """
        written, now = Written(), time.time()
        completed = [entry for entry in entries if isinstance(entry, Completed)]
        faulted = [entry for entry in entries if isinstance(entry, Faulted)]
        started = [entry for entry in entries if isinstance(entry, Started)]
        charged = [entry for entry in entries if isinstance(entry, Charged)]
        cut_off = [entry.key for entry in faulted if entry.kind == CUT_OFF]
        ended = {e.key for e in entries if not isinstance(e, Started | Charged)}
        over = list(ended.difference(cut_off))
        with self.transaction() as file:
            if completed:
                self._write_completed(file, completed, now, written)
            if faulted:
                rows = [(entry.key, entry.kind, entry.detail, now) for entry in faulted]
                _insert(file, "INSERT INTO faults (key, kind, detail, at) VALUES", rows)
            _charge(file, [*completed, *faulted, *charged])
            if over:
                query = """DELETE FROM started WHERE process = ?
                           AND key IN (SELECT value FROM json_each(?))"""
                file.execute(query, (self._process, json.dumps(over)))
            if cut_off:
                # Charged now; the row stays, to tell when it is asked again.
                query = """UPDATE started SET nano_usd = 0, tokens = 0 WHERE process = ?
                           AND key IN (SELECT value FROM json_each(?))"""
                file.execute(query, (self._process, json.dumps(cut_off)))
            if started:
                self._write_started(file, started, now, written)
        return written

    def interrupted(self) -> int:
        """Count the requests that were in flight when their process died."""
        query = """SELECT DISTINCT key, process FROM started
                   WHERE key NOT IN (SELECT key FROM completions)"""
        rows = self.read(query)
        alive = {process: is_alive(process) for _, process in rows}
        return len({key for key, process in rows if not alive[process]})

    def spent(self, account: str) -> Spent:
        """Return what an account was charged.

        What was in flight when a process died counts with the most that it can have cost.
        """
        query = "SELECT nano_usd, tokens FROM charges WHERE account = ?"
        charged = self.read(query, account) or [(0, 0)]
        query = "SELECT process, nano_usd, tokens FROM started WHERE account = ?"
        lost = [row for row in self.read(query, account) if not is_alive(row[0])]
        return Spent(
            charged[0][0] + sum(row[1] for row in lost), charged[0][1] + sum(row[2] for row in lost)
        )

    def capability(self, identity: str, name: str) -> str | None:
        """Return what is remembered of an endpoint under that name, or None."""
        query = "SELECT value FROM endpoints WHERE identity = ? AND capability = ?"
        value = self._one(query, identity, name)
        return None if value is None else str(value)

    def set_capability(self, identity: str, name: str, value: str) -> None:
        """Remember what an endpoint can do."""
        with self.transaction() as file:
            file.execute("INSERT OR REPLACE INTO endpoints VALUES (?,?,?)", (identity, name, value))

    def fence(self, chunk_id: str) -> str:
        """Return the marker around a chunk in a prompt: 16 hexadecimal digits.

        A document can't guess it, since it depends on this file's secret; the same chunk always
        gets the same one, so that its prompts replay.
        """
        return hmac.new(self._secret, chunk_id.encode(), hashlib.sha256).hexdigest()[:16]

    def in_open_batches(self, keys: Sequence[str]) -> int:
        """Count those requests that a provider holds in a batch, to be billed and answered."""
        query = """SELECT count(*) FROM batch_requests
                   WHERE key IN (SELECT value FROM json_each(?))"""
        return int(self.read(query, json.dumps(keys))[0][0])

    def read(self, query: str, *values: Any) -> list[Any]:
        """Return all rows of a query that changes nothing."""
        with self._read_lock, explained(self.path):
            return self._reader.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the file for writing; what is written lands whole on disk, or not at all."""
        with self._write_lock, explained(self.path):
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

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Give a connection of its own for what takes long; others write meanwhile."""
        with explained(self.path), closing(connect(self.path)) as file:
            yield file

    def _one(self, query: str, *values: str) -> Any:
        with self._read_lock, explained(self.path):
            row = self._reader.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _write_started(
        self, file: sqlite3.Connection, started: Sequence[Started], now: float, written: Written
    ) -> None:
        keys = json.dumps([entry.key for entry in started])
        query = """SELECT key, process, account, nano_usd, tokens FROM started
                   WHERE key IN (SELECT value FROM json_each(?))"""
        lost = []
        for key, process, account, nano_usd, tokens in file.execute(query, (keys,)).fetchall():
            if process == self._process or not is_alive(process):
                written.interrupted.add(key)
                lost.append(Faulted(key, "interrupted", "", account, nano_usd, tokens))
                row = (key, process)
                file.execute("DELETE FROM started WHERE key = ? AND process = ?", row)
        _charge(file, lost)
        rows = [
            (e.key, self._process, e.identity, now, e.account, e.nano_usd, e.tokens)
            for e in started
        ]
        _insert(file, "INSERT INTO started VALUES", rows)

    def _write_completed(
        self, file: sqlite3.Connection, completed: Sequence[Completed], now: float, written: Written
    ) -> None:
        rows = [
            (e.key, e.identity, e.request, e.response, now, e.prompt_tokens, e.completion_tokens)
            for e in completed
        ]
        if _insert(file, "INSERT OR IGNORE INTO completions VALUES", rows) == len(rows):
            return
        query = "SELECT response FROM completions WHERE key = ?"
        for entry in completed:
            stored = str(file.execute(query, (entry.key,)).fetchone()[0])
            if stored != entry.response:
                written.earlier[entry.key] = stored


def _insert(file: sqlite3.Connection, verb: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert rows, many to a statement; return how many were new."""
    inserted = 0
    for start in range(0, len(rows), _ROWS_PER_INSERT):
        part = rows[start : start + _ROWS_PER_INSERT]
        marks = ",".join([f"({','.join('?' * len(part[0]))})"] * len(part))
        values = [value for row in part for value in row]
        inserted += file.execute(f"{verb} {marks}", values).rowcount
    return inserted


def _charge(file: sqlite3.Connection, entries: Sequence[Completed | Faulted | Charged]) -> None:
    nano_usd: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for entry in entries:
        nano_usd[entry.account] += entry.nano_usd
        tokens[entry.account] += entry.tokens
    for account in tokens:
        if nano_usd[account] or tokens[account]:
            file.execute(
                "INSERT INTO charges VALUES (?,?,?) ON CONFLICT DO UPDATE SET "
                "nano_usd = nano_usd + excluded.nano_usd, tokens = tokens + excluded.tokens",
                (account, nano_usd[account], tokens[account]),
            )

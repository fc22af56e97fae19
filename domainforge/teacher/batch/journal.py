"""What was handed to a Batch API and has not come back, kept in the ledger file.

Written before anything leaves, so that a process that dies at any moment leaves a trail that the
next one follows, and so that two processes never hand over the same request.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from domainforge.teacher.ledger import Ledger
from domainforge.teacher.prices import Cost
from domainforge.teacher.process import is_alive, own_mark

OPEN = "open"
WITHDRAWN = "withdrawn"
_RELEASED = ""
_COLUMNS = "submission, base_url, process, file_id, batch_id, status, created"


class Handed(NamedTuple):
    """A request as it is handed over.

    Attributes:
        request: What is asked, as JSON.
        account: Who pays.
        nano_usd: The most that it can cost, in billionths of a dollar.
        tokens: The most that it can count against a cap on tokens.
    """

    key: str
    request: str
    account: str = ""
    nano_usd: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Submission:
    """One batch as the journal knows it.

    Attributes:
        submission: Our name for it; goes along as metadata, so that it can be found again.
        process: Who is at work on it, handing over or fetching; empty when nobody is.
        file_id: The uploaded requests; from here on the batch may exist at the provider.
        batch_id: The provider's name for it, once known.
        status: `open`, or how it ended.
    """

    submission: str
    base_url: str
    process: str
    file_id: str | None
    batch_id: str | None
    status: str
    created: float

    @property
    def is_open(self) -> bool:
        """Whether its requests have not come back."""
        return self.status == OPEN

    @property
    def has_owner(self) -> bool:
        """Whether a living process is at work on it."""
        return self.process != _RELEASED and is_alive(self.process)


@dataclass
class Claim:
    """Which of some requests are ours to hand over.

    Attributes:
        taken: Ours now; written down under the new submission.
        held: In an open batch already, by its submission.
        known: Answered in the meantime.
    """

    taken: set[str] = field(default_factory=set)
    held: dict[str, set[str]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)


class Journal:
    """The batches of one identity at one address. Every write is on disk when it returns."""

    def __init__(self, ledger: Ledger, identity: str, base_url: str) -> None:
        """Use the tables in that ledger."""
        self._ledger = ledger
        self._identity = identity
        self._base_url = base_url
        self._process = own_mark()

    def claim(self, submission: str, requests: Sequence[Handed]) -> Claim:
        """Write down a new submission with those requests that nobody holds and nobody answered.

        Args:
            submission: Its name; nothing is written when no request is left for it.
            requests: In the order of the file.
        """
        claim = Claim()
        keys = json.dumps([request.key for request in requests])
        with self._ledger.transaction() as file:
            query = "SELECT key FROM completions WHERE key IN (SELECT value FROM json_each(?))"
            claim.known = {key for (key,) in file.execute(query, (keys,))}
            query = """SELECT key, submission FROM batch_requests
                       WHERE key IN (SELECT value FROM json_each(?))"""
            holders = dict(file.execute(query, (keys,)))
            for key in holders.keys() - claim.known:
                claim.held.setdefault(holders[key], set()).add(key)
            free = [r for r in requests if r.key not in claim.known and r.key not in holders]
            if free:
                claim.taken = {request.key for request in free}
                rows = [(key, submission, *rest) for key, *rest in free]
                file.executemany("INSERT INTO batch_requests VALUES (?,?,?,?,?,?)", rows)
                values = (submission, self._identity, self._base_url, self._process)
                file.execute(
                    "INSERT INTO batches (submission, identity, base_url, process, status, created)"
                    " VALUES (?,?,?,?,?,?)",
                    (*values, OPEN, time.time()),
                )
        return claim

    def get(self, submission: str) -> Submission:
        """Return a submission."""
        query = f"SELECT {_COLUMNS} FROM batches WHERE submission = ?"
        return Submission(*self._ledger.read(query, submission)[0])

    def find_open(self) -> list[Submission]:
        """Return what was handed over and has not come back, oldest first."""
        query = f"""SELECT {_COLUMNS} FROM batches
                    WHERE identity = ? AND base_url = ? AND status = ? ORDER BY id"""
        rows = self._ledger.read(query, self._identity, self._base_url, OPEN)
        return [Submission(*row) for row in rows]

    def keys(self, submission: str) -> list[str]:
        """Return the keys of an open submission, in the order of its file."""
        query = "SELECT key FROM batch_requests WHERE submission = ? ORDER BY rowid"
        return [key for (key,) in self._ledger.read(query, submission)]

    def handed(self, submission: str, keys: Sequence[str]) -> dict[str, Handed]:
        """Return those of the requests that the open submission holds, by key."""
        query = """SELECT key, request, account, nano_usd, tokens FROM batch_requests
                   WHERE submission = ? AND key IN (SELECT value FROM json_each(?))"""
        rows = self._ledger.read(query, submission, json.dumps(keys))
        return {row[0]: Handed(*row) for row in rows}

    def set_file(self, submission: str, file_id: str) -> None:
        """Note the uploaded file: from now on the batch may exist."""
        self._set(submission, "file_id", file_id)

    def set_batch(self, submission: str, batch_id: str) -> None:
        """Note the provider's name for the batch: from now on anyone can follow it."""
        self._set(submission, "batch_id", batch_id)

    def take_over(self, found: Submission) -> bool:
        """Become the one at work on it; False when somebody else was quicker, or it has ended."""
        query = """UPDATE batches SET process = ?
                   WHERE submission = ? AND process = ? AND status = ?"""
        values = (self._process, found.submission, found.process, OPEN)
        with self._ledger.transaction() as file:
            return file.execute(query, values).rowcount == 1

    @contextmanager
    def working(self, submission: str) -> Iterator[None]:
        """Let go of a submission that is ours when the work is over, however it ends."""
        try:
            yield
        finally:
            query = "UPDATE batches SET process = ? WHERE submission = ? AND process = ?"
            with self._ledger.transaction() as file:
                file.execute(query, (_RELEASED, submission, self._process))

    def close(self, submission: str, status: str) -> bool:
        """Note how it ended and set its requests free; False when another process had done so."""
        query = "UPDATE batches SET status = ? WHERE submission = ? AND status = ?"
        with self._ledger.transaction() as file:
            first = file.execute(query, (status, submission, OPEN)).rowcount == 1
            if first:
                file.execute("DELETE FROM batch_requests WHERE submission = ?", (submission,))
        return first

    def _set(self, submission: str, column: str, value: str) -> None:
        query = f"UPDATE batches SET {column} = ? WHERE submission = ?"
        with self._ledger.transaction() as file:
            file.execute(query, (value, submission))


def open_costs(ledger: Ledger, identity: str, account: str) -> dict[str, Cost]:
    """Return the most that each request in an open batch may still cost an account."""
    query = """SELECT key, nano_usd, tokens FROM batch_requests JOIN batches USING (submission)
               WHERE identity = ? AND account = ?"""
    return {key: Cost(*cost) for key, *cost in ledger.read(query, identity, account)}

"""Remove from a ledger what nobody wants to replay; what was spent on it stays charged."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from domainforge.errors import ConfigError, StorageError
from domainforge.teacher.batch.journal import OPEN
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.ledger_tools import check_identity, file_bytes, live_requests
from domainforge.teacher.process import is_alive
from domainforge.teacher.request import ReplyStatus, classify

STATUSES = tuple(status for status in get_args(ReplyStatus) if status not in ("failed", "withheld"))
"""How a completion in a ledger can read."""

_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Wanted:
    """What is to go: completions that fit all that is given, or else the log of faults.

    Attributes:
        before: Only what came before this time, in seconds since 1970.
        statuses: Only completions that read so.
        faults: The log of faults, and no completion.
    """

    identity: str | None = None
    before: float | None = None
    statuses: frozenset[str] = frozenset()
    faults: bool = False


@dataclass(frozen=True)
class Doomed:
    """What would go.

    Attributes:
        completions: How many, by identity.
        prompt_tokens: Read by the teacher to make them.
        completion_tokens: Written by the teacher.
        oldest: When the first came, in seconds since 1970; None where there is none.
        newest: When the last came.
        faults: How many logged faults, by kind.
    """

    completions: dict[str, int]
    prompt_tokens: int
    completion_tokens: int
    oldest: float | None
    newest: float | None
    faults: dict[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self.completions and not self.faults


@dataclass(frozen=True)
class Compacted:
    """What became of the file's size.

    Attributes:
        shortage: Why the file was left as it is; None where it was written anew.
    """

    bytes_before: int
    bytes_after: int
    shortage: str | None = None


class Prune:
    """A prune that is planned; exactly what `doomed` counts goes, whatever is added meanwhile."""

    def __init__(self, ledger: Ledger, file: sqlite3.Connection, wanted: Wanted) -> None:
        """Find what fits; nothing is changed."""
        self._ledger = ledger
        self._file = file
        self._faults = "1"
        file.execute(
            """CREATE TEMP TABLE doomed (
                   key TEXT PRIMARY KEY, identity TEXT, created REAL, prompt_tokens INTEGER,
                   completion_tokens INTEGER) WITHOUT ROWID"""
        )
        faults = {}
        if wanted.faults:
            faults = self._find_faults(wanted)
        else:
            _find_completions(file, wanted)
        query = """SELECT identity, count(*), sum(prompt_tokens), sum(completion_tokens),
                          min(created), max(created) FROM temp.doomed GROUP BY identity"""
        rows = file.execute(query).fetchall()
        self.doomed = Doomed(
            completions={row[0]: row[1] for row in rows},
            prompt_tokens=sum(row[2] for row in rows),
            completion_tokens=sum(row[3] for row in rows),
            oldest=min((row[4] for row in rows), default=None),
            newest=max((row[5] for row in rows), default=None),
            faults=faults,
        )

    def carry_out(self) -> None:
        """Remove what was found, all of it or nothing.

        Raises:
            StorageError: Another process is at work with the ledger.
        """
        file = self._file
        file.execute("BEGIN IMMEDIATE")
        try:
            refuse_while_used(self._ledger)
            if self.doomed.completions:
                file.execute("DELETE FROM completions WHERE key IN (SELECT key FROM temp.doomed)")
            if self.doomed.faults:
                file.execute(f"DELETE FROM faults WHERE {self._faults}")
            file.execute("COMMIT")
        except BaseException:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise

    def _find_faults(self, wanted: Wanted) -> dict[str, int]:
        last = self._file.execute("SELECT coalesce(max(id), 0) FROM faults").fetchone()[0]
        before = "" if wanted.before is None else f" AND at < {wanted.before!r}"
        self._faults = f"id <= {last}{before}"
        query = (
            f"SELECT kind, count(*) FROM faults WHERE {self._faults} GROUP BY kind ORDER BY kind"
        )
        return dict(self._file.execute(query))


def check_statuses(names: Sequence[str]) -> frozenset[str]:
    """Return the statuses of those names.

    Raises:
        ConfigError: There is no such status.
    """
    unknown = [name for name in names if name not in STATUSES]
    if unknown:
        raise ConfigError(
            f"--status {unknown[0]}: not a status of a completion; there are {', '.join(STATUSES)}"
        )
    return frozenset(names)


@contextmanager
def plan_prune(ledger: Ledger, wanted: Wanted) -> Iterator[Prune]:
    """Find what a prune would remove, for the length of a `with`.

    Raises:
        ConfigError: Nothing is named, options exclude each other, or nobody bears that identity.
        StorageError: The ledger can't be read, or another process is at work with it.
    """
    if wanted.faults and (wanted.identity is not None or wanted.statuses):
        raise ConfigError("--faults goes without --identity and --status: the log names neither")
    if wanted == Wanted():
        raise ConfigError("say what is to go: --identity, --before, --status or --faults")
    if wanted.identity is not None:
        check_identity(ledger, wanted.identity)
    refuse_while_used(ledger)
    with ledger.connection() as file:
        yield Prune(ledger, file, wanted)


def refuse_while_used(ledger: Ledger) -> None:
    """Refuse while a process has requests in flight or is at work on a batch.

    Raises:
        StorageError: One has; it is named by its number.
    """
    live = live_requests(ledger)
    rows = ledger.read("SELECT DISTINCT process FROM batches WHERE status = ?", OPEN)
    # An empty name: the batch is at the provider, and nobody looks after it now.
    busy = {process for (process,) in rows if process and is_alive(process)} - live.keys()
    found = [f"process {_number(p)} has {count:,} requests in flight" for p, count in live.items()]
    found += [f"process {_number(p)} is at work on a batch" for p in sorted(busy)]
    if found:
        raise StorageError(
            f"{ledger.path}: {'; '.join(found)}; wait for it to end, or stop it, and prune again"
        )


def compact(
    ledger: Ledger,
    min_empty_share: float = 0.0,
    free_bytes: Callable[[Path], int] | None = None,
) -> Compacted:
    """Write the file anew without its empty room, where the disk has space for that.

    Args:
        ledger: The one to compact.
        min_empty_share: Leave the file as it is when less of it than this is empty.
        free_bytes: Tells what a folder's disk has left.

    Raises:
        StorageError: The disk is full all the same, or another process holds the ledger.
    """
    with ledger.connection() as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = file_bytes(ledger.path)
        pages, empty, page_bytes = (
            file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        if not empty or empty < min_empty_share * pages:
            return Compacted(before, before)
        shortage = _find_shortage(
            ledger.path.parent, (pages - empty) * page_bytes, free_bytes or _free_bytes
        )
        if shortage is not None:
            return Compacted(before, before, shortage)
        file.execute("VACUUM")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Compacted(before, file_bytes(ledger.path))


def _find_completions(file: sqlite3.Connection, wanted: Wanted) -> None:
    """Note what fits in the table of the doomed; only a wanted status makes it read replies."""
    tests, values = [], list[str | float]()
    if wanted.identity is not None:
        tests.append("identity = ?")
        values.append(wanted.identity)
    if wanted.before is not None:
        tests.append("created < ?")
        values.append(wanted.before)
    columns = "key, identity, created, prompt_tokens, completion_tokens"
    # In the order of the index, so that it is the index that finds them, not a read of all texts.
    rest = f"FROM completions WHERE {' AND '.join(tests) or '1'} ORDER BY identity, created"
    if not wanted.statuses:
        file.execute(f"INSERT INTO temp.doomed SELECT {columns} {rest}", values)
        return
    rows = file.execute(f"SELECT response, {columns} {rest}", values)
    while group := rows.fetchmany(_ROWS_AT_ONCE):
        fitting = [row[1:] for row in group if _status(row[0]) in wanted.statuses]
        file.executemany("INSERT INTO temp.doomed VALUES (?,?,?,?,?)", fitting)


def _status(response: str) -> ReplyStatus:
    import orjson

    try:
        completion = orjson.loads(response)
    except orjson.JSONDecodeError:
        return "malformed"
    return classify(completion).status if isinstance(completion, dict) else "malformed"


def _number(process: str) -> str:
    return process.partition(":")[0]


def _find_shortage(folder: Path, live_bytes: int, free_bytes: Callable[[Path], int]) -> str | None:
    """Say which disk lacks room for a copy of what lives, and a log of as many pages."""
    needed: dict[int, tuple[Path, int]] = {}
    for place in (folder, _temporary_folder()):
        device = place.stat().st_dev
        first, bytes_there = needed.get(device, (place, 0))
        needed[device] = (first, bytes_there + live_bytes + live_bytes // 50)
    for place, bytes_there in needed.values():
        free = free_bytes(place)
        if free < bytes_there:
            return f"{place} has {free:,} bytes free, and {bytes_there:,} are needed"
    return None


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _temporary_folder() -> Path:
    """Where SQLite puts the copy (sqlite.org/tempfiles.html, section 5)."""
    named = [os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR")]
    for name in [*named, "/var/tmp", "/usr/tmp", "/tmp"]:
        if name and Path(name).is_dir() and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return Path()

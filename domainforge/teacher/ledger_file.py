"""Connections to a ledger's SQLite file, and its failures in words."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domainforge.errors import StorageError

_BUSY_SECONDS = 30.0

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space and run the same command again",
    sqlite3.SQLITE_IOERR: "the disk can't be written (full or failing?); mend it and run again",
    sqlite3.SQLITE_READONLY: "the ledger can't be written; check its permissions and its folder's",
    sqlite3.SQLITE_CANTOPEN: "the ledger can't be opened; check that its folder can be written",
    sqlite3.SQLITE_CORRUPT: "the ledger is damaged; move it away, or restore a copy",
    sqlite3.SQLITE_NOTADB: "this file is no ledger; move it away and run again",
    sqlite3.SQLITE_BUSY: f"another process held the ledger for over {_BUSY_SECONDS:.0f} s",
}


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that any thread may use, to a file that several processes share."""
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
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite can't do with a file into a message that says what to do.

    Raises:
        StorageError: In its place.
    """
    try:
        yield
    except sqlite3.Error as error:
        # No code: Python itself found a text that is no UTF-8, and would quote it.
        damaged = not hasattr(error, "sqlite_errorcode") and "decode" in str(error)
        if damaged:
            advice = _ADVICE[sqlite3.SQLITE_CORRUPT]
            raise StorageError(f"{path}: {advice} (a text that can't be read)") from error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in _ADVICE:
            raise
        raise StorageError(f"{path}: {_ADVICE[code]} ({error})") from error

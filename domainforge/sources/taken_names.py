"""Which names of rows were there already, for sources of any size."""

import sqlite3

from domainforge.records import text_hash

_HASH_BYTES = 16
_CACHE_KIB = 16_384


class TakenNames:
    """A set of names that stays small in memory: their hashes lie in a temporary file.

    A million names take 16 MB of memory at most, a Python set of them about 120.
    """

    def __init__(self) -> None:
        # An empty name is a private database on disk that is gone when it is closed.
        self._names = sqlite3.connect("", isolation_level=None)
        self._names.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._names.execute("PRAGMA journal_mode = OFF")
        self._names.execute("PRAGMA synchronous = OFF")
        self._names.execute("CREATE TABLE names (hash BLOB PRIMARY KEY) WITHOUT ROWID")
        self._names.execute("BEGIN")

    def take(self, name: str) -> bool:
        """Take a name; False where it was taken before."""
        key = bytes.fromhex(text_hash(name))[:_HASH_BYTES]
        found = self._names.execute("INSERT OR IGNORE INTO names VALUES (?)", (key,))
        return found.rowcount == 1

    def close(self) -> None:
        """Remove the file."""
        self._names.close()

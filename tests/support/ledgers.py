"""A ledger whose secret is known: it enters the prompts, and so the test teacher's replies."""

import sqlite3
from contextlib import closing
from pathlib import Path

from domainforge.teacher.ledger import Ledger


def make_ledger(path: Path) -> None:
    """Make an empty ledger with a fixed secret, so that every run gets the same replies."""
    Ledger(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("UPDATE meta SET value = ? WHERE key = 'secret'", ("00" * 32,))

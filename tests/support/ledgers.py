"""Ledgers made for tests: one whose secret is known, and one as version 1 wrote them."""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domainforge.teacher.ledger import Ledger

VERSION_1 = """
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
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
SECRET_1 = "5e" * 32


def make_version_1(path: Path, completions: int = 3) -> None:
    """Make a ledger as version 1 did, with something in every table.

    Keys of completions are numbers; `lost` was in flight in a process that is no more.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.executescript(VERSION_1)
        file.execute("BEGIN")
        file.execute("INSERT INTO meta VALUES ('secret', ?)", (SECRET_1,))
        rows = [
            (str(n), "m", json.dumps({"prompt": n}), json.dumps({"choices": [{"text": f"r{n}"}]}))
            for n in range(completions)
        ]
        query = "INSERT INTO completions VALUES (?,?,?,?,1700000000.5,7,3)"
        file.executemany(query, rows)
        file.execute("INSERT INTO started VALUES ('lost', '4194305:1', 'm', 1700000001.5)")
        file.execute("INSERT INTO faults VALUES (1, 'bad', 'http_500', 'no', 1700000002.5)")
        file.execute("INSERT INTO endpoints VALUES ('m', 'json_schema', 'yes')")
        file.execute("COMMIT")


def make_ledger(path: Path) -> None:
    """Make an empty ledger with a fixed secret, so that every run gets the same replies."""
    Ledger(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("UPDATE meta SET value = ? WHERE key = 'secret'", ("00" * 32,))


@dataclass(frozen=True)
class Stats:
    """What a ledger holds: counts by identity and by kind of fault, and tokens."""

    completions: dict[str, int]
    faults: dict[str, int]
    prompt_tokens: int
    completion_tokens: int


def stats(ledger: Ledger) -> Stats:
    """Count what is in the tables, without the product's own counting."""
    sums = "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0)"
    return Stats(
        dict(ledger.read("SELECT identity, count(*) FROM completions GROUP BY 1")),
        dict(ledger.read("SELECT kind, count(*) FROM faults GROUP BY 1 ORDER BY 1")),
        *ledger.read(f"{sums} FROM completions")[0],
    )

"""The tables of a ledger file, and how a file of an older version becomes one of this."""

import secrets
import sqlite3

from domainforge.errors import StorageError

VERSION = 2

_SINCE_1 = """
CREATE TABLE completions (
    key TEXT PRIMARY KEY, identity TEXT NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL,
    created REAL NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL);
CREATE TABLE faults (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL,
    at REAL NOT NULL);
CREATE TABLE endpoints (
    identity TEXT NOT NULL, capability TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (identity, capability));
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# The index answers what `ledger stats` asks: the columns that it sums lie behind the large texts,
# so that a million rows would be 5 GB to read and are 90 MB. It takes about 2 us of the processor
# and 75 bytes a completion (7 % of a commit, 1.6 % of the file).
_SINCE_2 = """
CREATE INDEX completions_by_identity
    ON completions (identity, created, prompt_tokens, completion_tokens);
CREATE TABLE started (
    key TEXT NOT NULL, process TEXT NOT NULL, identity TEXT NOT NULL, started_at REAL NOT NULL,
    account TEXT NOT NULL, nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL,
    PRIMARY KEY (key, process)) WITHOUT ROWID;
CREATE TABLE charges (
    account TEXT PRIMARY KEY, nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL);
CREATE TABLE batches (
    id INTEGER PRIMARY KEY, submission TEXT NOT NULL UNIQUE, identity TEXT NOT NULL,
    base_url TEXT NOT NULL, process TEXT NOT NULL, file_id TEXT, batch_id TEXT,
    status TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE batch_requests (
    key TEXT PRIMARY KEY, submission TEXT NOT NULL, request TEXT NOT NULL,
    account TEXT NOT NULL, nano_usd INTEGER NOT NULL, tokens INTEGER NOT NULL);
CREATE INDEX batch_requests_submission ON batch_requests (submission);
"""

TABLES = _SINCE_1 + _SINCE_2

# Version 1 kept no money and no batches; what was in flight then has no reservation.
_FROM_1 = f"""
ALTER TABLE started RENAME TO started_1;
{_SINCE_2}
INSERT INTO started SELECT key, process, identity, started_at, '', 0, 0 FROM started_1;
DROP TABLE started_1;
"""

_MIGRATIONS = {1: _FROM_1}


def prepare(file: sqlite3.Connection, name: str) -> None:
    """Create the tables in a new file, or bring an older one to this version.

    Runs inside the caller's transaction, so that a file is never left between two versions.

    Raises:
        StorageError: A file of another program, or of a newer version.
    """
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StorageError(
            f"{name}: written by a newer DomainForge (ledger version {version}, this one reads "
            f"up to {VERSION}); upgrade domainforge, or use another ledger file"
        )
    tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master")}
    is_new = version == 0 and not tables
    is_ours = version > 0 and {"completions", "meta"} <= tables
    if not is_new and not is_ours:
        raise StorageError(f"{name}: this file is no ledger; move it away and run again")
    if is_new:
        _execute_all(file, TABLES)
        file.execute("INSERT INTO meta VALUES ('secret', ?)", (secrets.token_hex(32),))
    else:
        for step in range(version, VERSION):
            _execute_all(file, _MIGRATIONS[step])
    if version != VERSION:
        file.execute(f"PRAGMA user_version = {VERSION}")


def _execute_all(file: sqlite3.Connection, script: str) -> None:
    # Not `executescript`, which commits the transaction it finds.
    for statement in script.split(";\n"):
        if statement.strip():
            file.execute(statement)

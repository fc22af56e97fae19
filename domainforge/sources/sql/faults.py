"""What a database's refusal means, in words that help; never with the password in them."""

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from domainforge.errors import SourceError
from domainforge.sources.sql.address import Address
from domainforge.sources.sql.config import SqlConfig

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.exc import SQLAlchemyError

_NO_TABLE = re.compile(
    r"no such table: (?P<a>\S+)|relation \"(?P<b>[^\"]+)\" does not exist|"
    r"Table '(?P<c>[^']+)' doesn't exist"
)
_NO_COLUMN = re.compile(
    r"no such column: (?P<a>\S+)|column \"?(?P<b>[^\" ]+)\"? does not exist|"
    r"Unknown column '(?P<c>[^']+)'"
)
_REFUSED = re.compile(
    r"password authentication failed|no password supplied|Access denied|no pg_hba.conf entry|"
    r"role \"[^\"]*\" does not exist|permission denied",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"connection (refused|failed|timeout)|Can't connect|could not translate host|"
    r"failed to resolve|Name or service not known|Network is unreachable|timed out",
    re.IGNORECASE,
)
_NO_DATABASE = re.compile(r"database \"[^\"]*\" does not exist|Unknown database", re.IGNORECASE)
_WRITES = re.compile(r"read-?only|not authorized|data-modifying", re.IGNORECASE)
_TOO_SLOW = re.compile(r"statement timeout|interrupted|read operation timed out|Lost connection")
_LOST = re.compile(r"closed the connection|terminating connection|gone away|connection is lost")
_NOT_A_DATABASE = re.compile(r"file is not a database|malformed|encrypted", re.IGNORECASE)
_WRITING_WORD = re.compile(
    r"\s*(insert|update|delete|merge|replace|create|alter|drop|truncate|grant|call|do|copy|set|"
    r"attach|pragma|vacuum)\b",
    re.IGNORECASE,
)
_ONLY_READS = "DomainForge only reads; write a query that only reads (SELECT ...)"
_MOST_NAMES = 12


def explain(
    error: "SQLAlchemyError",
    address: Address,
    config: SqlConfig,
    engine: "Engine",
    after_rows: int = 0,
) -> SourceError:
    """Return an error that says what the database said, where, and what to do next."""
    text = _own_words(error, address)
    advice = _advise(text, config, address, engine)
    where = f" after {after_rows:,} rows" if after_rows else ""
    return SourceError(f"sources: sql: {address.label}{where}: {text}; {advice}")


def near_match(name: str, known: list[str]) -> str:
    """Return `; did you mean 'pages'?` and all the names, as far as there are few."""
    lower = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), list(lower), n=1)
    meant = f"did you mean '{lower[close[0]]}'? " if close else ""
    shown = ", ".join(sorted(known)[:_MOST_NAMES]) or "none"
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"{meant}there are: {shown}{more}"


def _own_words(error: "SQLAlchemyError", address: Address) -> str:
    """Return what the driver said, without SQLAlchemy's wrapping, which repeats the query."""
    original = getattr(error, "orig", None)
    if original is None:
        text = str(error).partition("\n")[0]
    elif len(original.args) > 1 and isinstance(original.args[0], int):
        text = str(original.args[1])  # PyMySQL: number, text
    else:
        text = str(original)
    # The drivers add where in the query it was, over several lines.
    text = re.split(r"\n+(?:LINE \d|HINT|CONTEXT|Multiple)", text)[0]
    return address.scrub(" ".join(text.split()))[:400].rstrip(".;")


def _advise(text: str, config: SqlConfig, address: Address, engine: "Engine") -> str:
    if found := _NO_TABLE.search(text):
        name = _name(found).rpartition(".")[2]
        return near_match(name, _tables(engine))
    if found := _NO_COLUMN.search(text):
        name = _name(found).rpartition(".")[2]
        return near_match(name, _columns(engine, config.query))
    if _NO_DATABASE.search(text):
        return f"check the database's name in {address.written}"
    if _REFUSED.search(text):
        return f"check user, password and rights of {address.written}"
    if _TOO_SLOW.search(text):
        return (
            f"it took longer than statement_timeout_seconds: {config.statement_timeout_seconds}, "
            "or the connection broke; the same command goes on from there"
        )
    if _LOST.search(text):
        return "the connection broke; the same command goes on from there"
    if "database is locked" in text:
        return "another program is writing to it; try again when that is done"
    if _UNREACHABLE.search(text):
        return f"does the server run, and are host and port right in {address.written}?"
    if _WRITES.search(text) or _WRITING_WORD.match(config.query):
        return _ONLY_READS
    if _NOT_A_DATABASE.search(text):
        return "name a SQLite file that is whole and not encrypted"
    if "does not return rows" in text:
        return _ONLY_READS
    return "mend the query or the database and run the same command again"


def _name(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group)


def _tables(engine: "Engine") -> list[str]:
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with engine.connect() as connection:
            inspector = inspect(connection)
            return [*inspector.get_table_names(), *inspector.get_view_names()]
    except SQLAlchemyError:
        return []


def _columns(engine: "Engine", query: str) -> list[str]:
    """Return the columns of the tables that a query speaks of."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    words = {word.lower() for word in re.findall(r"\w+", query)}
    tables = [name for name in _tables(engine) if name.lower() in words]
    try:
        with engine.connect() as connection:
            inspector = inspect(connection)
            found = {c["name"] for name in tables for c in inspector.get_columns(name)}
    except SQLAlchemyError:
        return []
    return sorted(found)

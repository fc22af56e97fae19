"""Read a query's rows as a stream, from a connection that can't write."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domainforge.errors import SourceError
from domainforge.sources.sql.address import Address
from domainforge.sources.sql.config import SqlConfig
from domainforge.sources.sql.faults import explain
from domainforge.sources.sql.postgres_values import keep_odd_values

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# Rows that are fetched together: few, since one may hold megabytes.
_BATCH_ROWS = 200
_SQLITE_STEPS = 20_000
_SLOW_READER_SECONDS = 86_400
# What a driver raises for a value that Python can't hold (JSON nested too deeply, year 10000).
_UNREADABLE_VALUES = (ValueError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Rows:
    """What a query gives.

    Attributes:
        columns: Their names, each once.
        batches: The rows, a few hundred at a time; can be read once.
    """

    columns: tuple[str, ...]
    batches: Iterator[Sequence[Sequence[Any]]]


@contextmanager
def open_rows(address: Address, config: SqlConfig) -> Iterator[Rows]:
    """Run the query of a config, in one read-only transaction that ends with the context.

    Raises:
        SourceError: The database can't be reached or refuses the query; says which, and what to
            do. Also while rows are read.
    """
    from sqlalchemy.exc import SQLAlchemyError

    clock = _Clock(config.statement_timeout_seconds)
    engine = _make_engine(address, config, clock)
    try:
        with engine.connect() as connection:
            clock.start()
            try:
                result = _run_query(connection, address, config)
            except _UNREADABLE_VALUES as error:
                raise _unreadable_value(error, address, 0) from None
            try:
                columns = tuple(result.keys())
                _check_columns(columns)
                yield Rows(columns, _batches(result, address, config, engine, clock))
            finally:
                _stop(connection, result, address)
    except SQLAlchemyError as error:
        raise explain(error, address, config, engine) from None
    finally:
        engine.dispose()


class _Clock:
    """Tells SQLite, which has no timeout of its own, when a statement has run too long."""

    def __init__(self, limit_seconds: int) -> None:
        self._limit_seconds = limit_seconds
        self.start()

    def start(self) -> None:
        """Begin to count."""
        self._end = time.monotonic() + self._limit_seconds

    def is_over(self) -> bool:
        """Tell whether the time is up; SQLite stops then."""
        return time.monotonic() > self._end


def _make_engine(address: Address, config: SqlConfig, clock: _Clock) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    wait = config.connect_timeout_seconds
    if address.kind == "sqlite":

        def connect() -> sqlite3.Connection:
            return _open_sqlite(address, wait, clock)

        return create_engine(address.url, creator=connect, poolclass=NullPool)
    arguments: dict[str, Any] = {"connect_timeout": wait}
    if address.kind == "mysql":
        # MySQL's own limits count the time that the reader takes; silence on the line does not.
        arguments |= {
            "read_timeout": config.statement_timeout_seconds,
            "init_command": "SET SESSION TRANSACTION READ ONLY",
            "local_infile": False,
        }
    return create_engine(address.url, connect_args=arguments, poolclass=NullPool)


def _open_sqlite(address: Address, wait_seconds: int, clock: _Clock) -> sqlite3.Connection:
    assert address.file is not None
    uri = f"{address.file.resolve().as_uri()}?mode=ro"
    log = address.file.with_name(f"{address.file.name}-wal")
    try:
        connection = _connect_sqlite(uri, wait_seconds)
    except sqlite3.OperationalError as error:
        # A database in WAL mode in a folder that we may not write to: readable as it is, as long
        # as no changes wait beside it.
        closed = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not closed or (log.exists() and log.stat().st_size):
            raise
        connection = _connect_sqlite(f"{uri}&immutable=1", wait_seconds)
    connection.set_authorizer(_allow_reading)
    connection.set_progress_handler(clock.is_over, _SQLITE_STEPS)
    # Text that is no UTF-8 comes as bytes and is decoded like a file.
    connection.text_factory = _text_or_bytes
    return connection


def _connect_sqlite(uri: str, wait_seconds: int) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=wait_seconds, check_same_thread=False)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _allow_reading(action: int, first: str | None, *_: str | None) -> int:
    """Refuse what would open other files or undo that this connection only reads."""
    closed = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
    undoes = action == sqlite3.SQLITE_PRAGMA and first in ("query_only", "writable_schema")
    return sqlite3.SQLITE_DENY if action in closed or undoes else sqlite3.SQLITE_OK


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _run_query(connection: "Connection", address: Address, config: SqlConfig) -> Any:
    if address.kind == "postgresql":
        keep_odd_values(connection.connection.dbapi_connection)
        limit = config.statement_timeout_seconds * 1000
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {limit}")
        # The transaction is idle while documents are made of a batch of rows.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    if address.kind == "mysql":
        connection.exec_driver_sql(f"SET SESSION net_write_timeout = {_SLOW_READER_SECONDS}")
    # The query goes to the driver as it stands: `:name` and `%` in it are no parameters.
    streaming = connection.execution_options(
        stream_results=True, max_row_buffer=_BATCH_ROWS, no_parameters=True
    )
    return streaming.exec_driver_sql(config.query.rstrip("; \n"))


def _check_columns(columns: Sequence[str]) -> None:
    doubles = sorted({name for name in columns if columns.count(name) > 1})
    if doubles:
        raise SourceError(
            f"sources: sql: the query gives two columns of one name: {', '.join(doubles)}; "
            "give one of them another with AS"
        )


def _batches(
    result: Any, address: Address, config: SqlConfig, engine: "Engine", clock: _Clock
) -> Iterator[Sequence[Sequence[Any]]]:
    from sqlalchemy.exc import SQLAlchemyError

    partitions = result.partitions(_BATCH_ROWS)
    count = 0
    while True:
        clock.start()
        try:
            batch = next(partitions, None)
        except SQLAlchemyError as error:
            raise explain(error, address, config, engine, after_rows=count) from None
        except _UNREADABLE_VALUES as error:
            raise _unreadable_value(error, address, count) from None
        if batch is None:
            return
        count += len(batch)
        yield batch


def _unreadable_value(error: Exception, address: Address, count: int) -> SourceError:
    return SourceError(
        f"sources: sql: {address.label}: a value after row {count} of the query can't be read: "
        f"{address.scrub(str(error))[:200]}; cast its column to text in the query"
    )


def _stop(connection: "Connection", result: Any, address: Address) -> None:
    """Close the cursor; hang up on MySQL, whose driver would read all remaining rows to close."""
    if address.kind == "mysql":
        unread = getattr(result.cursor, "_result", None)
        if unread is not None:
            unread.unbuffered_active = False  # PyMySQL has no public way to leave rows unread
        connection.invalidate()
    else:
        result.close()

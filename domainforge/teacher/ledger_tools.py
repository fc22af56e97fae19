"""What `domainforge ledger` shows and writes out: the figures of a ledger, and its completions."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from domainforge.errors import ConfigError, StorageError
from domainforge.teacher.batch.journal import OPEN
from domainforge.teacher.ledger import Ledger, Spent
from domainforge.teacher.process import is_alive

_ROW_GROUP_ROWS = 2_000
_ROW_GROUP_CHARS = 16 * 2**20


class IdentityFigures(NamedTuple):
    """What one teacher has answered; times are seconds since 1970."""

    identity: str
    completions: int
    prompt_tokens: int
    completion_tokens: int
    oldest: float
    newest: float


class OpenBatch(NamedTuple):
    """A batch that has not come back.

    Attributes:
        submission: Our name for it; it is in the batch's metadata at the provider.
        batch_id: The provider's name for it; None where that was not heard.
        created: When it was handed over, in seconds since 1970.
        requests: How many are in it.
    """

    submission: str
    batch_id: str | None
    identity: str
    base_url: str
    created: float
    requests: int

    @property
    def age_seconds(self) -> float:
        """How long ago it was handed over."""
        return max(0.0, time.time() - self.created)


@dataclass(frozen=True)
class LedgerFigures:
    """What a ledger holds.

    Attributes:
        version: Of the file's tables.
        file_bytes: The file, and what is written but not merged into it yet.
        free_bytes: Empty room inside the file.
        identities: A line for each teacher, by name.
        faults: How many were logged, by kind.
        charges: What each account (run) was charged. What was in flight when its process died
            counts with the most that it can have cost.
        interrupted: Requests whose process died before their reply was kept.
        in_flight: Requests of processes that are running now.
        batches: Those that have not come back, oldest first.
        open_batches: How many these are.
        batch_requests: Requests in them.
    """

    path: Path
    version: int
    file_bytes: int
    free_bytes: int
    identities: tuple[IdentityFigures, ...]
    faults: dict[str, int]
    charges: dict[str, Spent]
    interrupted: int
    in_flight: int
    batches: tuple[OpenBatch, ...]
    open_batches: int
    batch_requests: int

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values."""
        return {
            "path": str(self.path),
            "version": self.version,
            "file_bytes": self.file_bytes,
            "free_bytes": self.free_bytes,
            "completions": sum(line.completions for line in self.identities),
            "prompt_tokens": sum(line.prompt_tokens for line in self.identities),
            "completion_tokens": sum(line.completion_tokens for line in self.identities),
            "identities": [
                line._asdict() | {"oldest": utc_text(line.oldest), "newest": utc_text(line.newest)}
                for line in self.identities
            ],
            "faults": self.faults,
            "charges": {
                account: {
                    "usd": spent.nano_usd / 10**9,
                    "nano_usd": spent.nano_usd,
                    "tokens": spent.tokens,
                }
                for account, spent in self.charges.items()
            },
            "interrupted": self.interrupted,
            "in_flight": self.in_flight,
            "batches": [
                batch._asdict()
                | {"created": utc_text(batch.created), "age_seconds": round(batch.age_seconds)}
                for batch in self.batches
            ],
            "open_batches": self.open_batches,
            "batch_requests": self.batch_requests,
        }


@contextmanager
def open_existing(path: Path) -> Iterator[Ledger]:
    """Open a ledger that is there; none is created.

    Raises:
        StorageError: There is none, or it can't be used.
    """
    if not path.exists():
        raise StorageError(
            f"{path}: there is no ledger here; go to the project folder of a run, or name the "
            "file with --ledger"
        )
    with Ledger(path) as ledger:
        yield ledger


def read_figures(ledger: Ledger) -> LedgerFigures:
    """Read what a ledger holds; the texts of requests and replies are not touched."""
    identities = ledger.read(
        """SELECT identity, count(*), sum(prompt_tokens), sum(completion_tokens),
                  min(created), max(created)
           FROM completions GROUP BY identity ORDER BY identity"""
    )
    faults = ledger.read("SELECT kind, count(*) FROM faults GROUP BY kind ORDER BY kind")
    accounts = ledger.read(
        """SELECT account FROM charges UNION
           SELECT account FROM started WHERE nano_usd OR tokens ORDER BY account"""
    )
    spent = {account: ledger.spent(account) for (account,) in accounts}
    batches = ledger.read(
        """SELECT submission, batch_id, identity, base_url, created,
                  (SELECT count(*) FROM batch_requests AS r WHERE r.submission = b.submission)
           FROM batches AS b WHERE status = ? ORDER BY id""",
        OPEN,
    )
    pages, page_bytes = (
        ledger.read(f"PRAGMA {name}")[0][0] for name in ("freelist_count", "page_size")
    )
    return LedgerFigures(
        path=ledger.path,
        version=ledger.read("PRAGMA user_version")[0][0],
        file_bytes=file_bytes(ledger.path),
        free_bytes=pages * page_bytes,
        identities=tuple(IdentityFigures(*row) for row in identities),
        faults=dict(faults),
        charges={account: sums for account, sums in spent.items() if sums.nano_usd or sums.tokens},
        interrupted=ledger.interrupted(),
        in_flight=sum(live_requests(ledger).values()),
        batches=tuple(OpenBatch(*row) for row in batches),
        open_batches=len(batches),
        batch_requests=ledger.read("SELECT count(*) FROM batch_requests")[0][0],
    )


def file_bytes(path: Path) -> int:
    """Return the size of a ledger: the file, and its write-ahead log where there is one."""
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def live_requests(ledger: Ledger) -> dict[str, int]:
    """Count the requests in flight of each process that runs."""
    rows = ledger.read("SELECT process, count(*) FROM started GROUP BY process")
    return {process: count for process, count in rows if is_alive(process)}


def check_identity(ledger: Ledger, identity: str) -> None:
    """Refuse a name that nothing in the ledger bears.

    Raises:
        ConfigError: With the names that there are.
    """
    known = [row[0] for row in ledger.read("SELECT DISTINCT identity FROM completions ORDER BY 1")]
    if identity not in known:
        names = "".join(f"\n  {name}" for name in known) or " none"
        raise ConfigError(
            f"--identity {identity}: {ledger.path} has nothing of it; there is:{names}"
        )


def read_date(text: str, option: str) -> float:
    """Read a day, or a day and time, as seconds since 1970; local time unless it says otherwise.

    Raises:
        ConfigError: It is neither.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(
            f"{option} {text}: not a date; write it like 2026-01-31 or 2026-01-31T18:00"
        ) from error


def utc_text(seconds: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def export_completions(
    ledger: Ledger,
    target: Path,
    *,
    identity: str | None = None,
    since: float | None = None,
    force: bool = False,
) -> int:
    """Write completions into a file, in memory that doesn't grow with them; return how many.

    They are those of the moment when it starts, ordered by identity and time. The file appears
    when it is whole.

    Args:
        ledger: Where they are.
        target: A `.jsonl` file (a JSON object a line) or a `.parquet` one (request and response as
            JSON texts).
        identity: Only what this teacher answered.
        since: Only from this time on, in seconds since 1970.
        force: Replace a file that is there.

    Raises:
        ConfigError: The file is there already, its ending or the identity is unknown.
        StorageError: It can't be written, or the ledger can't be read.
    """
    writers = {".jsonl": _write_jsonl, ".parquet": _write_parquet}
    write = writers.get(target.suffix.lower())
    if write is None:
        raise ConfigError(f"{target}: the name has to end in .jsonl or .parquet")
    if target.exists():
        if target.samefile(ledger.path):
            raise ConfigError(f"{target}: that is the ledger itself; name another file")
        if not force:
            raise ConfigError(f"{target}: is there already; name another file, or add --force")
    if identity is not None:
        check_identity(ledger, identity)
    query = """SELECT key, identity, created, request, response, prompt_tokens, completion_tokens
               FROM completions WHERE created >= ? AND (? IS NULL OR identity = ?)
               ORDER BY identity, created"""  # as the index has them: nothing is sorted
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    with ledger.connection() as file:
        try:
            with unfinished.open("wb") as handle:
                rows = file.execute(query, (since or 0.0, identity, identity))
                count = write(rows, handle)
                handle.flush()
                os.fsync(handle.fileno())
            unfinished.replace(target)
        except OSError as error:
            raise StorageError(f"{target}: can't be written ({error})") from error
        finally:
            unfinished.unlink(missing_ok=True)
    return count


def _write_jsonl(rows: Iterable[tuple[Any, ...]], handle: IO[bytes]) -> int:
    import orjson

    count = 0
    for key, identity, created, request, response, prompt_tokens, completion_tokens in rows:
        line = {
            "key": key,
            "identity": identity,
            "created": utc_text(created),
            "request": _fragment(request),
            "response": _fragment(response),
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
        }
        handle.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        count += 1
    return count


def _fragment(text: str) -> Any:
    """Return JSON to be embedded as it was stored; what is no JSON becomes a string."""
    import orjson

    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    # Endpoints may send JSON in many lines; within its strings a line break can't be.
    return orjson.Fragment(text.replace("\r", " ").replace("\n", " "))


def _write_parquet(rows: Iterable[tuple[Any, ...]], handle: IO[bytes]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("key", pa.string()),
            ("identity", pa.string()),
            ("created", pa.timestamp("us", tz="UTC")),
            ("request", pa.string()),
            ("response", pa.string()),
            ("prompt_tokens", pa.int64()),
            ("completion_tokens", pa.int64()),
        ]
    )
    count = 0
    with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for group in _row_groups(rows):
            columns = [list(column) for column in zip(*group, strict=True)]
            columns[2] = [round(created * 10**6) for created in columns[2]]
            arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            count += len(group)
    return count


def _row_groups(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    group: list[tuple[Any, ...]] = []
    chars = 0
    for row in rows:
        group.append(row)
        chars += len(row[3]) + len(row[4])
        if len(group) == _ROW_GROUP_ROWS or chars > _ROW_GROUP_CHARS:
            yield group
            group, chars = [], 0
    if group:
        yield group

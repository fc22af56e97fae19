"""A forgotten document's requests and replies out of the ledger; what they cost stays."""

import json
import time
from collections.abc import Iterator

from domainforge.errors import StorageError
from domainforge.forget_traces import BLANK, Traces, leaves
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.ledger_prune import compact, refuse_while_used

# Without request and response a key is not looked up, so it is never replayed as an empty reply.
_TOMBSTONES = """CREATE TABLE IF NOT EXISTS forgotten (
    key TEXT PRIMARY KEY, identity TEXT NOT NULL, created REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    forgotten_at REAL NOT NULL) WITHOUT ROWID"""
_AT_ONCE = 500


def find_keys(ledger: Ledger, traces: Traces, kept: set[str]) -> set[str]:
    """Find requests about the document: by its rows, its passages' markers, its sentences.

    Args:
        ledger: Where to look.
        traces: Of the document.
        kept: Keys that other documents' rows are made of; they stay.

    Raises:
        StorageError: A provider holds a batch with such requests.
    """
    fences = {ledger.fence(chunk_id) for chunk_id in traces.chunks}
    held = [
        key for key, request in _rows(ledger, "batch_requests") if _tells(request, fences, traces)
    ]
    if held:
        raise StorageError(
            f"{ledger.path}: {len(held)} requests about the document are in a batch that has not "
            "come back; let the run go on until it has, then forget the document"
        )
    found = {key for key, text in _rows(ledger, "completions") if _tells(text, fences, traces)}
    return (found | traces.keys) - kept


def remove_keys(ledger: Ledger, keys: set[str], traces: Traces) -> int:
    """Replace entries by tombstones (key, teacher, time, tokens); return how many went now.

    Raises:
        StorageError: Another process is at work with the ledger.
    """
    refuse_while_used(ledger)
    with ledger.connection() as file:
        file.execute("PRAGMA secure_delete = ON")
        file.create_function("tells", 1, lambda text: int(traces.named_in(str(text))))
        file.execute("BEGIN IMMEDIATE")
        try:
            file.execute(_TOMBSTONES)
            wanted = "key IN (SELECT value FROM json_each(?))"
            listed = json.dumps(sorted(keys))
            columns = "key, identity, created, prompt_tokens, completion_tokens"
            file.execute(
                f"INSERT OR REPLACE INTO forgotten SELECT {columns}, ? FROM completions "
                f"WHERE {wanted}",
                (time.time(), listed),
            )
            count = file.execute(f"DELETE FROM completions WHERE {wanted}", (listed,)).rowcount
            file.execute(
                f"UPDATE faults SET detail = '{BLANK}' WHERE {wanted} OR tells(detail)", (listed,)
            )
            file.execute("COMMIT")
        except BaseException:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise
    compact(ledger)
    return int(count)


def _rows(ledger: Ledger, table: str) -> Iterator[tuple[str, str]]:
    with ledger.connection() as file:
        rows = file.execute(f"SELECT key, request FROM {table}")
        while group := rows.fetchmany(_AT_ONCE):
            yield from group


def _tells(request: str, fences: set[str], traces: Traces) -> bool:
    try:
        text = "\n".join(leaves(json.loads(request)))
    except ValueError:
        text = request
    return any(fence in text for fence in fences) or traces.quoted_in(text)

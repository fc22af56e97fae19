"""The tables that rows are kept in: Arrow schemas, rows to tables, hashes of what is in them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from domainforge.records import Example, canonical_json

PASSAGE = pa.struct([(name, pa.string()) for name in ("document_id", "uri", "chunk_id")])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SECTION = pa.struct(
    [("level", pa.int8()), ("title", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
)

DOCUMENT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("uri", pa.string()),
        ("title", pa.string()),
        ("media_type", pa.string()),
        ("text", pa.string()),
        ("sha256", pa.string()),
        ("metadata", pa.string()),
        ("uris", pa.list_(pa.string())),
        ("language", pa.string()),
        ("created", pa.string()),
        ("modified", pa.string()),
        ("license", pa.string()),
        ("sections", pa.list_(SECTION)),
        ("raw", pa.string()),
    ]
)

CHUNK_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("uri", pa.string()),
        ("title", pa.string()),
        ("headings", pa.list_(pa.string())),
        ("index", pa.int32()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("tokens", pa.int32()),
        ("context", pa.string()),
        ("messages", pa.list_(MESSAGE)),
    ]
)

EXAMPLE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("text", pa.string()),
        ("rejected", pa.string()),
        ("fields", pa.string()),
        ("document_id", pa.string()),
        ("uri", pa.string()),
        ("chunk_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("also", pa.list_(PASSAGE)),
        ("basis", pa.string()),
        ("unit", pa.int32()),
        ("sample", pa.int32()),
        ("item", pa.int32()),
        ("attributes", pa.string()),
        ("prompt", pa.string()),
        ("prompt_hash", pa.string()),
        ("teacher", pa.string()),
        ("sampling", pa.string()),
        ("ledger_keys", pa.list_(pa.string())),
        ("side", pa.string()),
        ("scores", pa.string()),
        ("cluster", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)


def example_table(examples: Iterable[Example]) -> pa.Table:
    """Put examples in a table, ordered by id."""
    rows = [{**asdict(e), "id": e.id} for e in examples]
    for row in rows:
        for name in ("fields", "attributes", "sampling", "scores"):
            row[name] = canonical_json(row[name])
    return ordered_table(rows, EXAMPLE_SCHEMA)


def ordered_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Put rows in a table of that schema, ordered by id, so that concurrency leaves no trace."""
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["id"])), schema=schema)


def content_hash(table: pa.Table) -> str:
    """SHA-256 over the canonical rows ordered by id: no times, no shard layout."""
    digest = hashlib.sha256()
    for row in sorted(table.to_pylist(), key=lambda row: str(row.get("id", ""))):
        digest.update(canonical_json(row).encode())
        digest.update(b"\n")
    return digest.hexdigest()

"""Documents and chunks as the tables that stages read; the stages themselves write row by row."""

from collections.abc import Iterable
from dataclasses import asdict

import pyarrow as pa

from domainforge.records import Chunk, Document, canonical_json, text_hash
from domainforge.tables import CHUNK_SCHEMA, DOCUMENT_SCHEMA, ordered_table


def document_table(documents: Iterable[Document]) -> pa.Table:
    """Put documents in a table, ordered by id."""
    rows = [
        {**asdict(d), "id": d.id, "sha256": text_hash(d.text), "uris": d.uris or (d.uri,)}
        for d in documents
    ]
    for row in rows:
        row["metadata"] = canonical_json(row["metadata"])
    return ordered_table(rows, DOCUMENT_SCHEMA)


def chunk_table(chunks: Iterable[Chunk]) -> pa.Table:
    """Put chunks in a table, ordered by id."""
    return ordered_table([{**asdict(c), "id": c.id} for c in chunks], CHUNK_SCHEMA)

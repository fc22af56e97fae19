"""Documents to chunks: passages of bounded tokens with their heading path and exact span."""

import hashlib
import json
from typing import Any

from pydantic import Field, model_validator

from domainforge.chunking import chunk_document
from domainforge.context import Context
from domainforge.errors import DataError
from domainforge.records import Chunk, Document, chunk_table
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult


class ChunkConfig(Settings):
    """How documents are cut."""

    max_tokens: int = Field(
        256, ge=16, description="Longest passage, in tokens of the student's tokenizer."
    )
    min_tokens: int = Field(
        16, ge=0, description="Shorter leftovers join their neighbour in the section if they fit."
    )

    @model_validator(mode="after")
    def _check_order(self) -> "ChunkConfig":
        if self.min_tokens >= self.max_tokens:
            raise ValueError(
                f"min_tokens ({self.min_tokens}) must be below max_tokens ({self.max_tokens})"
            )
        return self


def run(config: ChunkConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Cut every document into chunks.

    Raises:
        DataError: No document has any text.
    """
    tokenizer = context.tokenizer()
    rows = inputs.table("ingest").to_pylist()
    chunks: list[Chunk] = []
    blank: list[str] = []

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    for done, row in enumerate(rows, 1):
        made = chunk_document(_document(row), encode, config.max_tokens, config.min_tokens)
        if not made:
            blank.append(row["uri"])
        chunks += made
        context.progress(done, len(rows), chunks=len(chunks))
    if not chunks:
        raise DataError(f"none of the {len(rows)} documents has text under its title; check ingest")
    out.write(chunk_table(chunks))
    account = Account(
        unit="documents",
        total=len(rows),
        done=len(rows) - len(blank),
        dropped={"only_a_title": len(blank)} if blank else {},
    )
    tokens = sum(chunk.tokens for chunk in chunks)
    figures = {
        "chunks": len(chunks),
        "tokens": tokens,
        "mean_tokens": round(tokens / len(chunks), 1),
    }
    notes = (f"only a title and no text: {', '.join(blank)}",) if blank else ()
    return StageResult(account, notes, figures)


def identify(config: ChunkConfig, context: Context) -> dict[str, Any]:
    """Return the tokenizer's hash: another student cuts at other places."""
    return {"tokenizer": hashlib.sha256(context.tokenizer().to_str().encode()).hexdigest()}


def _document(row: dict[str, Any]) -> Document:
    metadata = json.loads(row["metadata"])
    return Document(row["uri"], row["title"], row["text"], row["media_type"], metadata)


STAGE = Stage(
    name="chunk",
    config=ChunkConfig,
    run=run,
    writes="chunks",
    reads=("ingest",),
    identity=identify,
)

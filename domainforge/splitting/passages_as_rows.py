"""Chunks as text rows, so that training reads nothing but the splits."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from domainforge.records import Example
from domainforge.tables import example_table

DOCUMENT = "document"
"""In the place of the prompt: a row that is a passage of a document, which no teacher wrote."""


def passage_rows(chunks: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Make one text row of every chunk.

    A chat is no text to learn by heart: it is an example already.
    """
    return example_table(
        Example(
            kind="text",
            document_id=chunk["document_id"],
            uri=chunk["uri"],
            chunk_id=chunk["id"],
            start=chunk["start"],
            end=chunk["end"],
            prompt=DOCUMENT,
            prompt_hash="",
            teacher="",
            text=chunk_text(chunk),
        )
        for chunk in chunks
        if not chunk.get("messages")
    )


def chunk_text(chunk: Mapping[str, Any]) -> str:
    """Return a chunk as Markdown under its title and headings.

    A heading that the chunk's own text begins with is not said twice.
    """
    said = {line.strip("# ") for line in chunk["text"].split("\n") if line.startswith("#")}
    above: list[str] = []
    for level, heading in enumerate([chunk["title"], *(chunk["headings"] or ())], 1):
        line = f"{'#' * min(level, 6)} {heading}"
        if heading and heading not in said and not (level == 2 and heading == chunk["title"]):
            above.append(line)
    return "\n".join(above) + ("\n\n" if above else "") + str(chunk["text"])


def passage_of(row: Mapping[str, Any]) -> str:
    """Return the chunk's own text of such a row."""
    return str(row["text"])[-(row["end"] - row["start"]) :]

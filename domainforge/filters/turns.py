"""How an example becomes what the checks see: a row for each answer, beside its passages."""

from collections.abc import Mapping, Sequence
from typing import Any

from domainforge.filters.rows import Row, Turn, turns_of
from domainforge.records import Basis


def read_rows(
    example: Mapping[str, Any],
    fields: Mapping[str, Any],
    chunks: Sequence[Mapping[str, Any]],
    frame: str = "",
) -> list[Row]:
    """Put an example beside its passages: one row, or one for each answer of a longer chat.

    The quote belongs to the last answer; the others are held against the passage.

    Args:
        example: A row of the examples table.
        fields: The teacher's parsed reply.
        chunks: The rows of the chunks table that the example is about.
        frame: What the prompt told the teacher, the passage aside.
    """
    passage = "\n\n".join(map(_text, chunks))
    above = [line for c in chunks for line in (c["title"] or "", *(c["headings"] or ()))]
    quote = fields.get("quote")
    basis: Basis = example["basis"] or "passage"
    shared: dict[str, Any] = {
        "id": example["id"],
        "kind": "text" if example["kind"] == "text" else "chat",
        "passage": passage,
        "asked_about": _span(example, chunks[0]) if len(chunks) == 1 else passage,
        "context": "\n".join(dict.fromkeys(above)),
        "basis": basis,
        "fields": fields,
        "frame": frame,
    }
    if example["kind"] == "text":
        turns = [Turn("", str(example["text"] or ""), "")]
    else:
        turns = list(turns_of(example)) or [Turn("", "", "")]
    last = len(turns) - 1
    return [
        Row(
            **shared,
            **turn._asdict(),
            quote=quote if isinstance(quote, str) and at == last else None,
            rejected=(example["rejected"] or "")
            if example["kind"] == "preference" and at == last
            else None,
        )
        for at, turn in enumerate(turns)
    ]


def _text(chunk: Mapping[str, Any]) -> str:
    """Return what a chunk says; of a chat without the names of the speakers, which are ours."""
    said = [message["content"] for message in chunk.get("messages") or ()]
    return "\n\n".join(said) if said else str(chunk["text"])


def _span(example: Mapping[str, Any], chunk: Mapping[str, Any]) -> str:
    """Cut the part of the chunk that was asked about; the whole, where the span is no part."""
    start, end = example["start"], example["end"]
    text: str = chunk["text"]
    if chunk["start"] <= start < end <= chunk["end"] and len(text) == chunk["end"] - chunk["start"]:
        return text[start - chunk["start"] : end - chunk["start"]]
    return text

"""Rows and passages to judge."""

from typing import Any

from domainforge.records import canonical_json
from tests.generation.prompts import make_chunk

PASSAGE = (
    "The ferry Sablewren was launched on 21 June 1958. She carries 74 passengers on a crossing and "
    "has an amber funnel."
)
QUESTION = "How many passengers does the Sablewren carry on a crossing?"
ANSWER = "She carries 74 passengers."
CHUNKS = {"c0": make_chunk(PASSAGE, id="c0")}


def make_row(question: str = QUESTION, answer: str = ANSWER, **more: Any) -> dict[str, Any]:
    """Make a row of the examples table about the passage."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    row = {
        "id": "row",
        "kind": "chat",
        "messages": messages,
        "text": None,
        "rejected": None,
        "fields": "{}",
        "document_id": "d",
        "uri": "light.md",
        "chunk_id": "c0",
        "start": 0,
        "end": len(PASSAGE),
        "also": [],
        "basis": "passage",
        "unit": 0,
        "sample": 0,
        "item": 0,
        "attributes": "{}",
        "prompt": "qa",
        "prompt_hash": "0",
        "teacher": "somebody",
        "sampling": "{}",
        "ledger_keys": [],
        "side": "train",
        "scores": "{}",
        "cluster": None,
        "reason": None,
        "evidence": None,
    }
    row |= more
    if isinstance(row["scores"], dict):
        row["scores"] = canonical_json(row["scores"])
    return row

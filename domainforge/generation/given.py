"""Chats that came with their source become examples as they are: nothing is asked."""

from collections.abc import Iterable, Mapping
from typing import Any

from domainforge.records import GIVEN, Example


def given_examples(chunks: Iterable[Mapping[str, Any]], sides: Mapping[str, str]) -> list[Example]:
    """Make an example of every chunk that is a chat, on the side of its document.

    `prompt`, `prompt_hash` and `teacher` are `given`, so that no passage is taken for its source.
    """
    return [
        Example(
            kind="chat",
            document_id=chunk["document_id"],
            uri=chunk["uri"],
            chunk_id=chunk["id"],
            start=chunk["start"],
            end=chunk["end"],
            prompt=GIVEN,
            prompt_hash=GIVEN,
            teacher=GIVEN,
            messages=tuple(chunk["messages"]),
            side=sides[chunk["id"]],
        )
        for chunk in chunks
        if chunk.get("messages")
    ]

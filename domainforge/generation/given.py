"""Examples for which nothing is asked: chats that came with their source, rows of the passage."""

from collections.abc import Iterable, Mapping
from typing import Any

from domainforge.generation.requests import plain_marker, template_values
from domainforge.generation.units import Unit
from domainforge.prompts import fill_example
from domainforge.records import GIVEN, NO_TEACHER, Example


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


def silent_examples(units: Iterable[Unit], sides: Mapping[str, str]) -> list[Example]:
    """Make the examples of prompts that ask nothing (`asks: false`), of their passages alone.

    Raises:
        PromptError: The template of one names something that isn't at hand.
    """
    examples = []
    for unit in units:
        filled = fill_example(unit.prompt, template_values(unit, {}, plain_marker))
        examples.append(
            Example(
                kind=unit.prompt.header.example["kind"],
                teacher=NO_TEACHER,
                **vars(filled),
                side=sides[unit.chunk["id"]],
                **unit.lineage(),
            )
        )
    return examples

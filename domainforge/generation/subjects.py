"""What a prompt is put to: a passage, a part of one, or several with what they have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Chunk = Mapping[str, Any]
"""Row of the chunks table."""


@dataclass(frozen=True)
class Subject:
    """What one request is about.

    Attributes:
        chunks: Rows of the chunks, the most telling first; all of one side.
        text: What is asked about, as it stands there.
        start: Of the passage in its document; of several, of the first.
        end: One past its last character.
        key: Tells it from the others that begin with the same chunk.
        values: What templates can name of it.
    """

    chunks: tuple[Chunk, ...]
    text: str
    start: int
    end: int
    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


def make_subject(
    chunks: Sequence[Chunk], key: str, values: Mapping[str, Any] | None = None
) -> Subject:
    """Make the subject of whole chunks."""
    first = chunks[0]
    text = "\n\n".join(chunk["text"] for chunk in chunks)
    return Subject(tuple(chunks), text, first["start"], first["end"], key, values or {})


def take_passages(ranked: Iterable[Chunk], most_tokens: int) -> list[Chunk]:
    """Take passages, the best first, while they fit; the first one whatever its length."""
    taken: list[Chunk] = []
    left = most_tokens
    for chunk in ranked:
        if taken and chunk["tokens"] > left:
            break
        taken.append(chunk)
        left -= chunk["tokens"]
    return taken

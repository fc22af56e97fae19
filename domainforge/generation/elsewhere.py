"""Sentences of other documents, to be asked of one that doesn't say them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domainforge.generation.spans import answer_spans, leave_gap
from domainforge.generation.subjects import Chunk, Subject
from domainforge.sentences import split_sentences

_FEWEST_WORDS = 6


@dataclass(frozen=True)
class _Foreign:
    chunk: Chunk
    said: str
    gapped: str
    span: str


def find_elsewhere(passages: Sequence[Chunk], samples: int) -> list[tuple[Subject, ...]]:
    """Return, for each passage, sentences of other documents with a gap in them.

    Which ones is drawn by a hash, so that every passage meets others. A document of the same title
    isn't another one, nor is one that says the same sentence.

    Args:
        passages: Of one side.
        samples: Sentences for each passage.
    """
    foreign = [found for chunk in passages for found in _sentences(chunk)]
    texts: dict[str, str] = {}
    for chunk in passages:
        said = " ".join(chunk["text"].split())
        texts[chunk["title"]] = f"{texts.get(chunk['title'], '')} {said}"
    found = []
    for chunk in passages:
        drawn = tuple(_draw(chunk, foreign, texts[chunk["title"]], samples))
        if drawn:
            found.append(drawn)
    return found


def _draw(
    chunk: Chunk, foreign: Sequence[_Foreign], own_text: str, samples: int
) -> Iterator[Subject]:
    taken: set[int] = set()
    for sample in range(samples):
        seed = hashlib.sha256(f"{chunk['id']}\0{sample}".encode()).digest()
        start = int.from_bytes(seed[:8], "big")
        for step in range(len(foreign)):
            place = (start + step) % len(foreign)
            other = foreign[place]
            if place in taken or other.chunk["title"] == chunk["title"] or other.said in own_text:
                continue
            taken.add(place)
            yield Subject(
                (chunk, other.chunk),
                chunk["text"],
                chunk["start"],
                chunk["end"],
                "elsewhere",
                {"elsewhere": other.gapped, "span": other.span},
            )
            break


def _sentences(chunk: Chunk) -> Iterator[_Foreign]:
    for start, end in split_sentences(chunk["text"]):
        said = " ".join(chunk["text"][start:end].split())
        spans = answer_spans(said)
        if spans and len(said.split()) >= _FEWEST_WORDS:
            gapped = leave_gap(said, spans[0])
            yield _Foreign(chunk, said, gapped, said[spans[0].start : spans[0].end])

"""Sentences of other documents, to be asked of one that doesn't say them."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from domainforge.generation.spans import answer_spans, leave_gap
from domainforge.generation.subjects import Chunk, Subject
from domainforge.sentences import split_sentences

_FEWEST_WORDS = 6
# Where so many sentences on end are the document's own as well, the others mostly are, too.
_MOST_TRIED = 200


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
    skips = _skips([found.chunk["title"] for found in foreign])
    said: dict[str, set[str]] = defaultdict(set)
    for chunk in passages:
        said[chunk["title"]] |= set(_split(chunk["text"]))
    found = []
    for chunk in passages:
        drawn = tuple(_draw(chunk, foreign, skips, said[chunk["title"]], samples))
        if drawn:
            found.append(drawn)
    return found


def _draw(
    chunk: Chunk, foreign: Sequence[_Foreign], skips: Sequence[int], own: Set[str], samples: int
) -> Iterator[Subject]:
    taken: set[int] = set()
    text = " ".join(chunk["text"].split())
    for sample in range(samples):
        seed = hashlib.sha256(f"{chunk['id']}\0{sample}".encode()).digest()
        place = int.from_bytes(seed[:8], "big") % max(1, len(foreign))
        passed = tried = 0
        while passed < len(foreign) and tried < _MOST_TRIED:
            other = foreign[place]
            is_own = other.chunk["title"] == chunk["title"]
            if not is_own and not (place in taken or other.said in own or other.said in text):
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
            step = skips[place] if is_own else 1
            tried += not is_own
            passed += step
            place = (place + step) % len(foreign)


def _skips(titles: Sequence[str]) -> list[int]:
    """Return for each place how far the next one of another title is; around the end, too.

    Without it a corpus of one long document is passed through once for each of its chunks.
    """
    count = len(titles)
    skips = [count] * count
    for at in reversed(range(2 * count)):
        place, after = at % count, (at + 1) % count
        skips[place] = 1 if titles[place] != titles[after] else min(count, skips[after] + 1)
    return skips


def _split(text: str) -> Iterator[str]:
    for start, end in split_sentences(text):
        yield " ".join(text[start:end].split())


def _sentences(chunk: Chunk) -> Iterator[_Foreign]:
    for said in _split(chunk["text"]):
        spans = answer_spans(said)
        if spans and len(said.split()) >= _FEWEST_WORDS:
            gapped = leave_gap(said, spans[0])
            yield _Foreign(chunk, said, gapped, said[spans[0].start : spans[0].end])

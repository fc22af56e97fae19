"""Entities with the passages that name them, and pairs of entities that meet in a document.

Pairs are how EntiGraph (Yang et al. 2024, arXiv 2409.07431) makes much text of few documents: each
relation is written about on its own.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set

from domainforge.generation.names import rank_places
from domainforge.generation.subjects import Chunk, Subject, make_subject, take_passages

# Names that share no chunk are paired with these, the most frequent of their document.
_CHIEF_NAMES = 8

Names = Mapping[str, Counter[int]]
"""For each name how often each chunk (by its place) has it, the most frequent name first."""


def find_entities(chunks: Sequence[Chunk], names: Names, most_tokens: int) -> list[Subject]:
    """Return a subject for each name, of the passages that name it most.

    Args:
        chunks: Of one side.
        names: The names in them.
        most_tokens: Of all passages of one entity.
    """
    return [
        make_subject(
            take_passages((chunks[place] for place in rank_places(counts)), most_tokens),
            name,
            {"entity": name},
        )
        for name, counts in names.items()
    ]


def find_entity_pairs(
    chunks: Sequence[Chunk], names: Names, per_chunk: int, most_tokens: int
) -> list[Subject]:
    """Pair the names that meet in a document, and give every name a turn before any has a second.

    The first passage is one that holds both, where there is one; no chunk is the first of more
    than `per_chunk` pairs.

    Args:
        chunks: Of one side, in the order of uri and start.
        names: The names in them.
        per_chunk: Most pairs that begin with one chunk.
        most_tokens: Of all passages of one pair.
    """
    subjects = []
    for held in _by_document(chunks, names):
        everywhere = {place for counts in held.values() for place in counts}
        waiting = list(_pairs_in_turn(held))
        for _ in range(per_chunk):
            # Chunk by chunk one more, so that a larger number keeps the pairs that were there.
            begun: set[int] = set()
            left = []
            for number, pair in enumerate(waiting):
                if begun == everywhere:
                    left += waiting[number:]
                    break
                ranked = _rank_for_both(held[pair[0]], held[pair[1]], begun)
                if not ranked:
                    left.append(pair)
                    continue
                begun.add(ranked[0])
                about = [chunks[place] for place in ranked]
                subjects.append(_pair_up(pair, about, most_tokens))
            waiting = left
    return subjects


def _pair_up(pair: tuple[str, str], ranked: Sequence[Chunk], most_tokens: int) -> Subject:
    values = dict(zip(("entity", "other"), pair, strict=True))
    return make_subject(take_passages(ranked, most_tokens), "\0".join(pair), values)


def _by_document(chunks: Sequence[Chunk], names: Names) -> list[dict[str, Counter[int]]]:
    """Part the names, and where they stand, by document; the names keep their order."""
    held: dict[str, dict[str, Counter[int]]] = {chunk["document_id"]: {} for chunk in chunks}
    for name, counts in names.items():
        for place, count in counts.items():
            document = held[chunks[place]["document_id"]]
            document.setdefault(name, Counter())[place] = count
    return list(held.values())


def _pairs_in_turn(held: Names) -> Iterator[tuple[str, str]]:
    """Yield pairs, each once: every name with its closest partner, then with its next."""
    partners = _partners(held)
    seen: set[frozenset[str]] = set()
    for turn in itertools.count():
        partners = {name: others for name, others in partners.items() if turn < len(others)}
        if not partners:
            return
        for name, others in partners.items():
            if (pair := frozenset((name, others[turn]))) not in seen:
                seen.add(pair)
                yield name, others[turn]


def _partners(held: Names) -> dict[str, list[str]]:
    """Order for each name those that share most chunks with it, then the document's chief ones."""
    at: dict[int, list[str]] = defaultdict(list)
    for name, counts in held.items():
        for place in counts:
            at[place].append(name)
    rank = {name: number for number, name in enumerate(held)}
    chief = list(held)[:_CHIEF_NAMES]
    found = {}
    for name, counts in held.items():
        shared = Counter(other for place in counts for other in at[place] if other != name)
        close = sorted(shared.items(), key=lambda item: (-item[1], rank[item[0]]))
        far = [other for other in chief if other != name and other not in shared]
        found[name] = [*(other for other, _ in close), *far]
    return found


def _rank_for_both(one: Counter[int], other: Counter[int], begun: Set[int]) -> list[int]:
    """Order the places that hold either name: where a pair may begin, then those with both first.

    Empty where every place that it may begin with has begun another.
    """
    firsts = one.keys() & other.keys() or one.keys() | other.keys()
    if firsts <= begun:  # found before anything is sorted: of many names that is the most frequent
        return []
    ranked = sorted(
        one.keys() | other.keys(),
        key=lambda place: (-min(one[place], other[place]), -one[place] - other[place], place),
    )
    first = next(place for place in ranked if place in firsts and place not in begun)
    return [first, *(place for place in ranked if place != first)]

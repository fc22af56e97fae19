"""Pairs of chunks for questions that take both: near in meaning, or one links to the other."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from domainforge.generation.links import Links
from domainforge.generation.subjects import Chunk, Subject, make_subject
from domainforge.generation.term_weights import TermWeights

# Short chunks that share one name have about .09; below .05 it is a common word or two.
LEAST_COSINE = 0.05
# Above it they say the same, so that a question needs only one of them.
MOST_COSINE = 0.95
# Looked at besides those asked for, since some of the nearest may be copies. In steps that double:
# who is nearest is chosen among so many, and mustn't change when a few more are asked for.
_MORE_LOOKED_AT = 16


def find_pairs(chunks: Sequence[Chunk], weights: TermWeights, per_chunk: int) -> list[Subject]:
    """Pair every chunk with those it links to and then with those nearest to it.

    Every chunk has its first choice before any has a second, so that a larger number keeps the
    pairs that were there. A pair is there once, whichever of the two chose it.

    Args:
        chunks: Of one side.
        weights: Their terms.
        per_chunk: Most others that a chunk chooses.
    """
    linked = _linked(chunks, weights)
    choices = []
    looked_at = 1 << (per_chunk + _MORE_LOOKED_AT - 1).bit_length()
    for index, near in enumerate(weights.nearest(looked_at)):
        close = (each.index for each in near if LEAST_COSINE <= each.cosine <= MOST_COSINE)
        choices.append(list(dict.fromkeys((*linked[index], *close)))[:per_chunk])
    seen: set[tuple[int, int]] = set()
    pairs = []
    for turn in range(per_chunk):
        for index, others in enumerate(choices):
            if turn >= len(others):
                continue
            pair = (min(index, others[turn]), max(index, others[turn]))
            if pair not in seen:
                seen.add(pair)
                both = (chunks[index], chunks[others[turn]])
                pairs.append(make_subject(both, both[1]["id"]))
    return pairs


def _linked(chunks: Sequence[Chunk], weights: TermWeights) -> dict[int, list[int]]:
    """Find for each chunk the nearest chunk of every document that it links to."""
    places: dict[str, list[int]] = defaultdict(list)
    for index, chunk in enumerate(chunks):
        places[chunk["uri"]].append(index)
    links = Links((uri, chunks[at[0]]["title"]) for uri, at in places.items())
    found: dict[int, list[int]] = defaultdict(list)
    for index, chunk in enumerate(chunks):
        for uri in links.of(chunk["uri"], chunk["text"]):
            found[index] += _nearest_of(weights, index, places[uri])
    return found


def _nearest_of(weights: TermWeights, index: int, places: Sequence[int]) -> Iterator[int]:
    if weights.matrix is None:
        return
    near = weights.rank(weights.matrix[index : index + 1], places)
    yield from (each.index for each in near[:1] if each.cosine <= MOST_COSINE)

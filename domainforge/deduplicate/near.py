"""Near-duplicates: MinHash finds candidates, the exact Jaccard similarity decides.

MinHash after Broder (1997), banding after Leskovec, Rajaraman and Ullman (Mining of Massive
Datasets, section 3.4). Every link is verified, so precision is 1; the bands are chosen so that a
pair right at the threshold is missed with a probability below one in a thousand.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.exact import exact_key, split_words
from domainforge.deduplicate.shingles import (
    Hashes,
    Shingling,
    char_shingles,
    jaccard,
    word_shingles,
)

_HASHES = 192
_MISS_SHARE = 0.001
_BLOCK_SHINGLES = 500_000


@dataclass(frozen=True)
class Link:
    """Two texts, by position, that are alike; exact copies have a Jaccard similarity of 1."""

    left: int
    right: int
    jaccard: float


@dataclass(frozen=True)
class Clusters:
    """Groups of texts that are linked, directly or through others.

    Attributes:
        labels: For each text the lowest position in its cluster.
        links: Enough verified pairs to hold every cluster together (not all pairs).
    """

    labels: list[int]
    links: list[Link]


def find_clusters(
    texts: Sequence[str],
    near_jaccard: float | None,
    seed: int,
    shingling: Shingling | None = None,
    apart: Sequence[str | None] | None = None,
) -> Clusters:
    """Group texts that are copies, or near-duplicates, of each other.

    The clusters depend on the texts, not on their order.

    Args:
        texts: What is compared.
        near_jaccard: From which similarity on texts are near-duplicates; None for exact only.
        seed: Chooses the hash functions.
        shingling: What similarity is measured by.
        apart: For each text a name, or None: texts of one name are no near-duplicates of each
            other, however alike (copies they may be).
    """
    forest = _Forest(len(texts))
    named = apart or [None] * len(texts)
    links = []
    first: dict[str, int] = {}
    for at, text in enumerate(texts):
        original = first.setdefault(exact_key(text), at)
        if forest.join(original, at):
            links.append(Link(original, at, 1.0))
    if near_jaccard is not None:
        # Copies stay out of the bands: a large group of them would be all pairs.
        for sets in _families(texts, list(first.values()), near_jaccard, shingling):
            links.extend(_link_alike(sets, near_jaccard, seed, forest, named))
    return Clusters([forest.root(at) for at in range(len(texts))], links)


def find_matches(
    texts: Sequence[str],
    references: Sequence[str],
    near_jaccard: float,
    seed: int,
    shingling: Shingling | None = None,
) -> list[Link | None]:
    """Find for each text the reference that is most like it, if one is a near-duplicate.

    Direct pairs only: what is like a text that is like a reference doesn't count.
    """
    best: dict[int, Link] = {}
    by_key: dict[str, int] = {}
    for at, reference in enumerate(references):
        by_key.setdefault(exact_key(reference), at)
    for at, text in enumerate(texts):
        key = exact_key(text)
        if key in by_key:
            best[at] = Link(at, by_key[key], 1.0)
    everything = [*texts, *references]
    for sets in _families(everything, range(len(everything)), near_jaccard, shingling):
        for bucket in _buckets(sets, near_jaccard, seed):
            own = [at for at in bucket if at < len(texts)]
            for at, other in itertools.product(own, bucket[len(own) :]):
                share = jaccard(sets[at], sets[other])
                if share >= near_jaccard and (at not in best or share > best[at].jaccard):
                    best[at] = Link(at, other - len(texts), share)
    return [best.get(at) for at in range(len(texts))]


def choose_bands(near_jaccard: float) -> tuple[int, int]:
    """Return (bands, rows per band): the most selective ones that miss hardly any pair."""
    for rows in range(_HASHES, 0, -1):
        bands = _HASHES // rows
        if (1 - near_jaccard**rows) ** bands < _MISS_SHARE:
            return bands, rows
    return _HASHES, 1


class _Forest:
    """Union-find; the root of a cluster is its lowest position."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, at: int) -> int:
        while self._parent[at] != at:
            self._parent[at] = self._parent[self._parent[at]]
            at = self._parent[at]
        return at

    def join(self, left: int, right: int) -> bool:
        low, high = sorted((self.root(left), self.root(right)))
        self._parent[high] = low
        return low != high


def _families(
    texts: Sequence[str], positions: Iterable[int], near_jaccard: float, chosen: Shingling | None
) -> Iterator[dict[int, Hashes]]:
    """Yield the shingle sets of the short texts, then those of the long ones, by position.

    Texts a little too long are among the short ones too, so that no near-duplicates are lost
    because they stand on different sides of the limit.
    """
    shingling = chosen or Shingling()
    split = {at: split_words(texts[at]) for at in positions}
    limit = shingling.long_text_words
    short = {at: own for at, own in split.items() if 0 < len(own) < limit / near_jaccard}
    yield {at: char_shingles(own, shingling.chars) for at, own in short.items()}
    long = {at: own for at, own in split.items() if len(own) >= max(limit, 1)}
    yield {at: word_shingles(own, shingling.words) for at, own in long.items()}


def _link_alike(
    sets: dict[int, Hashes],
    near_jaccard: float,
    seed: int,
    forest: _Forest,
    apart: Sequence[str | None],
) -> Iterator[Link]:
    """Join alike texts bucket by bucket, comparing only across what isn't joined yet."""
    for bucket in _buckets(sets, near_jaccard, seed):
        groups: dict[int, list[int]] = {}
        for at in bucket:
            own_root = forest.root(at)
            group = groups.pop(own_root, [])
            for root, members in list(groups.items()):
                name = apart[at]
                others = members if name is None else [m for m in members if apart[m] != name]
                link = _find_link(at, others, sets, near_jaccard)
                if link is not None:
                    forest.join(at, link.right)
                    group += groups.pop(root)
                    yield link
            groups[forest.root(at)] = [*group, at]


def _find_link(
    at: int, members: Sequence[int], sets: dict[int, Hashes], near_jaccard: float
) -> Link | None:
    for other in members:
        share = jaccard(sets[at], sets[other])
        if share >= near_jaccard:
            return Link(at, other, share)
    return None


def _buckets(sets: dict[int, Hashes], near_jaccard: float, seed: int) -> Iterator[list[int]]:
    """Yield groups of positions, ascending, whose signatures agree in a whole band."""
    positions = sorted(sets)
    if len(positions) < 2:
        return
    bands, rows = choose_bands(near_jaccard)
    signatures = _sign([sets[at] for at in positions], bands * rows, seed)
    seen: set[tuple[int, ...]] = set()
    for band in range(bands):
        part = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows])
        found: dict[bytes, list[int]] = defaultdict(list)
        for at, key in zip(positions, part, strict=True):
            found[key.tobytes()].append(at)
        for bucket in found.values():
            if len(bucket) > 1 and tuple(bucket) not in seen:
                seen.add(tuple(bucket))
                yield bucket


def _sign(sets: Sequence[Hashes], count: int, seed: int) -> npt.NDArray[np.uint32]:
    """Return MinHash signatures [text, hash]: the least value of each hash over each set."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = rng.integers(0, 2**63, count, dtype=np.uint64)
    signatures = np.empty((len(sets), count), dtype=np.uint32)
    for start, stop in _blocks(sets):
        block = sets[start:stop]
        flat = np.concatenate(block)
        starts = np.cumsum([0, *(len(hashes) for hashes in block[:-1])])
        for at in range(count):
            # The upper half of a product modulo 2**64 is a universal hash (Dietzfelbinger 1997).
            values = ((flat * factors[at] + offsets[at]) >> np.uint64(32)).astype(np.uint32)
            signatures[start:stop, at] = np.minimum.reduceat(values, starts)
    return signatures


def _blocks(sets: Sequence[Hashes]) -> Iterator[tuple[int, int]]:
    """Cut the sets into runs of bounded size, so that the hashed values fit in memory."""
    start, size = 0, 0
    for at, hashes in enumerate(sets):
        if size and size + len(hashes) > _BLOCK_SHINGLES:
            yield start, at
            start, size = at, 0
        size += len(hashes)
    yield start, len(sets)

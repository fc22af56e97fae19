"""Near-duplicates: MinHash finds candidates, the exact Jaccard similarity decides.

Every link is verified, so precision is 1; bands are chosen so that hardly a pair at the threshold
is missed. Two texts are compared by the shingles that suit the shorter one; a text that is short
and one that is much longer, in words, than any near-duplicate of it are not compared.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domainforge.deduplicate.blocks import Workers, to_array
from domainforge.deduplicate.candidates import (
    find_buckets,
    make_families,
    no_two_long,
    shingle_candidates,
    sketch_texts,
    word_limits,
)
from domainforge.deduplicate.shingles import Shingling

# In a bucket of more rows than this, the rows are parted by one more MinHash, and in a part that
# is still larger each is compared with so many before it. Without a bound a million rows of one
# form would be compared all with all.
_MOST_COMPARED = 128


@dataclass(frozen=True)
class Clusters:
    """Groups of texts that are linked, directly or through others.

    Attributes:
        labels: [row] The lowest row of its cluster.
        first: [row] The first row of which it is an exact copy, or itself.
        linked: [row] A row that it was found to be alike, or itself.
        jaccard: [row] How alike those two are; 1 of exact copies and of a row alone.
    """

    labels: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    linked: npt.NDArray[np.int32]
    jaccard: npt.NDArray[np.float64]


class Matches(NamedTuple):
    """The reference that each text is most like.

    Attributes:
        best: [text] The reference, or -1.
        jaccard: [text] How alike those two are.
        is_copy: [text] Whether it is an exact copy.
    """

    best: npt.NDArray[np.int32]
    jaccard: npt.NDArray[np.float64]
    is_copy: npt.NDArray[np.bool_]


def cluster_texts(
    texts: Iterable[pa.Array],
    near_jaccard: float | None,
    seed: int,
    shingling: Shingling | None = None,
    *,
    apart: npt.NDArray[np.uint64] | None = None,
    scratch: Path | None = None,
    threads: int | None = None,
    report: Callable[[int], None] | None = None,
) -> Clusters:
    """Group texts that are copies, or near-duplicates, of each other.

    The clusters depend on the texts alone, not on their order, on how they are cut into arrays or
    on the number of threads. That holds as long as at most 128 rows agree in a band, and in one
    more MinHash; of more, each is compared with the 128 before it that aren't in its cluster yet.
    Their near-duplicates meet in other bands, or through each other; what is lost is a link, so
    that a row too many stays, never a row.

    Args:
        texts: Arrays of strings or binaries; gone through up to three times.
        near_jaccard: From which similarity on texts are near-duplicates; None for exact only.
        seed: Chooses the hash functions.
        shingling: What similarity is measured by.
        apart: [row] A name, or 0: texts of one name are no near-duplicates of each other, however
            alike (copies they may be).
        scratch: Folder for files, with which memory stays about 60 bytes a row, and what the
            candidates' shingles take; without it more is held.
        threads: As many as there are processors where None.
        report: Called with the number of rows looked at.
    """
    from domainforge.deduplicate.linking import label_rows, link_buckets

    shingling = shingling or Shingling()
    families = make_families(near_jaccard, seed, shingling)
    limits = word_limits(near_jaccard, shingling)
    with Workers(threads) as workers:
        sketches = sketch_texts(texts, families, limits, workers, scratch, report)
        first = sketches.first
        rows = np.arange(len(first), dtype=np.int32)
        # Copies stay out of the bands: a large group of them would be in each of them.
        taken = first == rows
        parents, linked, jaccard = first.copy(), first.copy(), np.where(taken, 0.0, 1.0)
        forest = (parents, linked, jaccard)
        names = _names_of_copies(apart, first)
        for family, keys in zip(families, sketches.keys, strict=True):
            found = find_buckets(keys, family, taken, workers)
            shingles, spans = shingle_candidates(texts, found, family, workers, scratch)
            known = (names, no_two_long(sketches, family))
            for salt, bucket in enumerate(found.buckets):
                link_buckets(
                    *bucket, known, shingles, spans, near_jaccard, _MOST_COMPARED, salt, forest
                )
    label_rows(parents)
    # An original that is like nothing else is linked to its first copy.
    copies = np.flatnonzero(~taken)[::-1]
    copies = copies[linked[first[copies]] == first[copies]]
    linked[first[copies]], jaccard[first[copies]] = copies, 1.0
    jaccard[linked == rows] = 1.0
    return Clusters(parents, first, linked, jaccard)


def find_clusters(
    texts: Sequence[str],
    near_jaccard: float | None,
    seed: int,
    shingling: Shingling | None = None,
    apart: Sequence[str | None] | None = None,
) -> Clusters:
    """Group texts of a list; see `cluster_texts`."""
    names = None
    if apart is not None:
        numbers = {name: at + 1 for at, name in enumerate(sorted({n for n in apart if n}))}
        names = np.array([numbers.get(n or "", 0) for n in apart], dtype=np.uint64)
    return cluster_texts([to_array(texts)], near_jaccard, seed, shingling, apart=names)


def match_texts(
    texts: Iterable[pa.Array],
    references: Iterable[pa.Array],
    near_jaccard: float | None,
    seed: int,
    shingling: Shingling | None = None,
    scratch: Path | None = None,
) -> Matches:
    """Find for each text the reference that is most like it, if one is a near-duplicate.

    Direct pairs only: what is like a text that is like a reference doesn't count. Where more than
    128 references agree in a band and one more MinHash, a text is compared with 128 of them.

    Args:
        texts: Arrays of strings or binaries; gone through up to three times.
        references: The same.
        near_jaccard: None finds exact copies only.
        seed: Chooses the hash functions.
        shingling: What similarity is measured by.
        scratch: Folder for files, which no other call uses.
    """
    from domainforge.deduplicate.linking import match_buckets

    shingling = shingling or Shingling()
    known = sum(len(array) for array in references)
    arrays = _Both(references, texts)
    families = make_families(near_jaccard, seed, shingling)
    limits = word_limits(near_jaccard, shingling)
    with Workers() as workers:
        sketches = sketch_texts(arrays, families, limits, workers, scratch)
        first = sketches.first
        taken = first == np.arange(len(first))
        best, jaccard = np.full(len(first), -1, np.int32), np.zeros(len(first))
        for family, keys in zip(families, sketches.keys, strict=True):
            found = find_buckets(keys, family, taken, workers, known)
            shingles, spans = shingle_candidates(arrays, found, family, workers, scratch)
            parted = (known, no_two_long(sketches, family))
            matches = (best, jaccard)
            for salt, bucket in enumerate(found.buckets):
                match_buckets(
                    *bucket, parted, shingles, spans, near_jaccard, _MOST_COMPARED, salt, matches
                )
    originals = first[known:]
    is_copy = originals < known
    return Matches(
        np.where(is_copy, originals, best[originals]),
        np.where(is_copy, 1.0, jaccard[originals]),
        is_copy,
    )


class _Both:
    """Two runs of arrays, one after the other, as often as it is asked for."""

    def __init__(self, first: Iterable[pa.Array], second: Iterable[pa.Array]) -> None:
        self._parts = (first, second)

    def __iter__(self) -> Iterator[pa.Array]:
        return itertools.chain(*self._parts)


def _names_of_copies(
    apart: npt.NDArray[np.uint64] | None, first: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint64]:
    """Return the names; copies of different names have none, as some aren't apart from a row."""
    if apart is None:
        return np.empty(0, np.uint64)
    names = apart.copy()
    names[first[apart != apart[first]]] = 0
    return names

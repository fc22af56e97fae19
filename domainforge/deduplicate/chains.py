"""Chains of near-duplicates are cut: a row goes only for one that it is itself like.

Where each row is like the next one, the ends of the chain may have nothing in common. By the
triangle inequality of the Jaccard distance (Kosub 2019) two near-duplicates of one text, alike to
`t` or more, are alike to 2t - 1 at least. So a cluster is everything that is that much like the
best row of it: what surrounds one text stays together, and a longer chain becomes several clusters.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.distinct import are_other_facts
from domainforge.deduplicate.exact import split_words
from domainforge.deduplicate.near import Clusters
from domainforge.deduplicate.shingles import Hashes, Shingling, char_shingles, word_shingles

Numbers = npt.NDArray[np.int32]

_MOST_REFUSED = 32
MOST_COMPARED = 1024
"""A row is compared with so many best rows of a chain; after that it follows its nearest link."""


def cut_chains(
    clusters: Clusters,
    ranks: npt.NDArray[np.float64],
    made_of: npt.NDArray[np.uint64],
    read: Callable[[int], str],
    near_jaccard: float,
    shingling: Shingling,
    answer: Callable[[int], str] | None = None,
) -> Numbers:
    """Return new labels: each is the lowest row of its cluster.

    Args:
        clusters: Rows that are linked, directly or through others.
        ranks: [row, part] The best row of a cluster has the lowest.
        made_of: [row] A name, or 0: rows of one name are in one cluster as copies alone.
        read: Returns the text of a row.
        near_jaccard: From which likeness on rows were linked.
        shingling: What that was measured by.
        answer: Returns the answer that a row gives, or an empty text: rows whose answers are other
            facts are not in one cluster. None where that doesn't matter.
    """
    labels = clusters.labels.copy()
    floor = max(0.0, 2 * near_jaccard - 1)
    # Two texts that are linked are alike, whatever copies they have.
    for members in _chained(clusters, ranks, fewest=3 if answer is None else 2):
        best = _find_best(members, clusters, made_of, read, floor, shingling, answer)
        lowest: dict[int, int] = {}
        for row, own in zip(members, best, strict=True):
            lowest[own] = min(row, lowest.get(own, row))
        labels[members] = [lowest[own] for own in best]
    return labels


def _chained(
    clusters: Clusters, ranks: npt.NDArray[np.float64], fewest: int
) -> Iterator[list[int]]:
    """Yield the rows of each cluster of so many texts or more, the best row first."""
    rows = np.arange(len(clusters.labels))
    texts = np.bincount(clusters.labels[clusters.first == rows], minlength=len(rows))
    members = np.flatnonzero(texts[clusters.labels] >= fewest)
    keys = [ranks[members, part] for part in reversed(range(ranks.shape[1]))]
    order = members[np.lexsort([*keys, clusters.labels[members]])]
    begins = np.flatnonzero(np.diff(clusters.labels[order], prepend=-1))
    for part in np.split(order, begins[1:]) if len(order) else ():
        yield part.tolist()


def _find_best(
    members: Sequence[int],
    clusters: Clusters,
    made_of: npt.NDArray[np.uint64],
    read: Callable[[int], str],
    floor: float,
    shingling: Shingling,
    answer: Callable[[int], str] | None,
) -> list[int]:
    """Return for each row the best row that it goes for, or itself."""
    short = any(len(split_words(read(row))) < shingling.long_text_words for row in members)
    found: dict[int, int] = {}
    of_copy: dict[int, int] = {}
    leaders = _Leaders()
    for row in members:
        first = int(clusters.first[row])
        if first in of_copy:
            found[row] = of_copy[first]
            continue
        words = split_words(read(row))
        own = char_shingles(words, shingling.chars) if short else _by_words(words, shingling)
        said = answer(row) if answer else ""
        leader = leaders.find(own, floor, int(made_of[row]), said)
        if leader is None and leaders.is_full:
            leader = found.get(int(clusters.linked[row]))
        if leader is None:
            leader = row
            leaders.add(row, own, int(made_of[row]), said)
        found[row] = of_copy[first] = leader
    return [found[row] for row in members]


def _by_words(words: Sequence[str], shingling: Shingling) -> Hashes:
    return word_shingles(words, shingling.words)


class _Leaders:
    """The best rows of a chain so far, as shingles one after another."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._answers: list[str] = []
        self._names = np.zeros(MOST_COMPARED, np.uint64)
        self._ends = np.zeros(MOST_COMPARED + 1, np.int64)
        self._flat = np.empty(1024, np.uint64)

    @property
    def is_full(self) -> bool:
        return len(self._rows) == MOST_COMPARED

    def add(self, row: int, shingles: Hashes, name: int, answer: str) -> None:
        """Take another one, while there is room."""
        if self.is_full:
            return
        count = len(self._rows)
        start, end = self._ends[count], self._ends[count] + len(shingles)
        while end > len(self._flat):
            self._flat = np.concatenate([self._flat, np.empty_like(self._flat)])
        self._flat[start:end] = shingles
        self._ends[count + 1] = end
        self._names[count] = name
        self._rows.append(row)
        self._answers.append(answer)

    def find(self, shingles: Hashes, floor: float, name: int, answer: str) -> int | None:
        """Return the row that is most like these shingles, and by `floor` at least.

        One whose answer is another fact is passed over.
        """
        from domainforge.deduplicate.linking import find_most_alike

        refused = np.zeros(len(self._rows), np.bool_)
        ends = self._ends[: len(self._rows) + 1]
        for _ in range(_MOST_REFUSED):
            known = (self._flat, ends, self._names, refused)
            at = int(find_most_alike(shingles, np.uint64(name), *known, floor))
            if at < 0:
                return None
            if not are_other_facts(answer, self._answers[at]):
                return self._rows[at]
            refused[at] = True
        return None

"""Runs of words that texts share with the items of an exam."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Hit(NamedTuple):
    """A run of words, and the first item that holds it."""

    item: int
    run: tuple[str, ...]

    def __str__(self) -> str:
        """Return the words."""
        return " ".join(self.run)


class RunTable:
    """Which item holds a run of words; some twelve bytes a run.

    Runs are known by a hash of 64 bits and are checked word by word when they are found.
    """

    def __init__(self, items: Sequence[Sequence[str]], lengths: Iterable[int]) -> None:
        """Take in every run of these lengths, in words."""
        self._items = items
        self._lengths = sorted(set(lengths))
        self._fill((at, run) for at, own in enumerate(items) for run in self.runs(own))

    @classmethod
    def of(cls, items: Sequence[Sequence[str]], chosen: Iterable[tuple[int, int]]) -> "RunTable":
        """Take in chosen runs only: each item with how long its runs shall be."""
        table = cls(items, ())
        pairs = list(chosen)
        table._lengths = sorted({length for _, length in pairs})
        table._fill((at, run) for at, length in pairs for run in _runs(items[at], length))
        return table

    def runs(self, words: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Yield the runs of a text that an item could hold."""
        for length in self._lengths:
            yield from _runs(words, length)

    def find(self, texts: Sequence[Iterable[tuple[str, ...]]]) -> list[list[Hit]]:
        """Return for each text, given as its runs, those that an item holds."""
        known: list[list[tuple[str, ...]]] = [list(runs) for runs in texts]
        hashes = np.array([hash(run) for runs in known for run in runs], dtype=np.int64)
        if not len(self._hashes) or not len(hashes):
            return [[] for _ in texts]
        places = np.searchsorted(self._hashes, hashes)
        places[places == len(self._hashes)] = 0
        met = self._hashes[places] == hashes
        found: list[list[Hit]] = []
        start = 0
        for runs in known:
            hits = np.flatnonzero(met[start : start + len(runs)])
            matches = [Hit(int(self._owners[places[start + at]]), runs[at]) for at in hits]
            found.append([hit for hit in matches if self._is(hit)])
            start += len(runs)
        return found

    def _fill(self, owned: Iterable[tuple[int, tuple[str, ...]]]) -> None:
        hashes, owners = array("q"), array("i")
        for at, run in owned:
            hashes.append(hash(run))
            owners.append(at)
        every = np.frombuffer(hashes, dtype=np.int64) if hashes else np.zeros(0, np.int64)
        # Of the same runs the first item's stays.
        self._hashes, first = np.unique(every, return_index=True)
        self._owners = np.array(owners, dtype=np.int32)[first]

    def _is(self, hit: "Hit") -> bool:
        return f" {hit} " in f" {' '.join(self._items[hit.item])} "


def _runs(words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + length]) for at in range(len(words) - length + 1))

"""Training rows that are like something held out, whatever the number of both."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from domainforge.deduplicate.near import match_texts
from domainforge.deduplicate.text_store import TextStore


class Named(NamedTuple):
    """A text with the name of what it is of."""

    name: str
    text: str


class Near(NamedTuple):
    """What is held out that a text is most like."""

    name: str
    held: str
    jaccard: float


class NamedTexts:
    """Texts and their names, laid aside in files."""

    def __init__(self, folder: Path) -> None:
        """Open the files in a folder of their own; whoever gives it removes it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._names = TextStore(folder / "names.arrow")
        self.texts = TextStore(folder / "texts.arrow")

    @property
    def count(self) -> int:
        """How many there are; known once they are whole."""
        return self.texts.rows

    def add(self, one: Named) -> None:
        """Take a text."""
        self._names.add(one.name)
        self.texts.add(one.text)

    def close(self) -> None:
        """Say that no more texts come."""
        self._names.close()
        self.texts.close()

    def name(self, at: int) -> str:
        """Return the name of a text by its number."""
        return self._names.read(at)


def match_near(
    trained: Iterable[Named], held: NamedTexts, near_jaccard: float, seed: int, scratch: Path
) -> Iterator[Near]:
    """Find texts that are copies or near-duplicates of what is held out, and the nearest of it.

    Args:
        trained: Texts of the training side; read once.
        held: What is held out, whole.
        near_jaccard: From which likeness on.
        seed: Chooses the hash functions.
        scratch: A new folder, which is removed at the end.
    """
    texts = NamedTexts(scratch)
    for one in trained:
        texts.add(one)
    texts.close()
    if texts.count and held.count:
        found = match_texts(texts.texts, held.texts, near_jaccard, seed, scratch=scratch)
        for at in np.flatnonzero(found.best >= 0).tolist():
            held_name = held.name(int(found.best[at]))
            yield Near(texts.name(at), held_name, float(found.jaccard[at]))
    shutil.rmtree(scratch)

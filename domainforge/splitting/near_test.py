"""Training rows that are like something held out, found block by block."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from domainforge.deduplicate.near import find_matches

# So many texts of each side are compared at once.
_BLOCK_ROWS = 100_000
_PENDING_ROWS = 2_000
_SCHEMA = pa.schema([("name", pa.string()), ("text", pa.string())])


class Named(NamedTuple):
    """A text with the name of what it is of."""

    name: str
    text: str


class Near(NamedTuple):
    """What is held out that a text is most like."""

    name: str
    held: str
    jaccard: float


class HeldTexts:
    """Texts of the test side, laid aside in a file while they are looked for."""

    def __init__(self, path: Path) -> None:
        """Open the file for writing; whoever gives the folder removes it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writer = pq.ParquetWriter(path, _SCHEMA, compression="zstd")
        self._pending: list[Named] = []
        self.count = 0

    def add(self, name: str, text: str) -> None:
        """Take a text."""
        self._pending.append(Named(name, text))
        self.count += 1
        if len(self._pending) >= _PENDING_ROWS:
            self._flush()

    def close(self) -> None:
        """Make the file whole."""
        self._flush()
        self._writer.close()

    def read(self) -> Iterator[Named]:
        """Yield the texts again; the file must be whole."""
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=_PENDING_ROWS):
                yield from map(Named._make, zip(*batch.to_pydict().values(), strict=True))

    def _flush(self) -> None:
        if self._pending:
            rows = [one._asdict() for one in self._pending]
            self._writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
            self._pending = []


def match_near(
    texts: Iterable[Named], held: Callable[[], Iterator[Named]], near_jaccard: float, seed: int
) -> Iterator[Near]:
    """Find texts that are copies or near-duplicates of what is held out, and the nearest of it.

    Args:
        texts: Of the training side; read once.
        held: Reads the held-out texts; called for every block of the others.
        near_jaccard: From which likeness on.
        seed: Chooses the hash functions.
    """
    for block in _blocks(iter(texts)):
        best: dict[int, Near] = {}
        for others in _blocks(held()):
            matches = find_matches(
                [one.text for one in block], [one.text for one in others], near_jaccard, seed
            )
            for link in matches:
                if link is not None:
                    found = Near(block[link.left].name, others[link.right].name, link.jaccard)
                    known = best.get(link.left)
                    if known is None or found.jaccard > known.jaccard:
                        best[link.left] = found
        yield from best.values()


def _blocks(texts: Iterator[Named]) -> Iterator[list[Named]]:
    while block := list(islice(texts, _BLOCK_ROWS)):
        yield block

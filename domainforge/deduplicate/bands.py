"""MinHash bands: how many, which hash functions, and where their keys are kept.

MinHash after Broder (1997), banding after Leskovec, Rajaraman and Ullman (Mining of Massive
Datasets, section 3.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.shingles import Shingling

Keys = npt.NDArray[np.uint32]

_MOST_HASHES = 192
_MISS_SHARE = 0.001
# Runs of words are hardly ever shared by chance, so few rows select as well as many do, and cost
# fewer hash functions; runs of characters are.
_MOST_WORD_ROWS = 4
_HELD_BYTES = 512 << 20


def choose_bands(near_jaccard: float, *, by_words: bool = False) -> tuple[int, int]:
    """Return (bands, rows per band): the most selective ones that miss hardly any pair.

    A pair right at the threshold is missed with a probability below one in a thousand, one that
    is more alike with a far lower one.
    """
    most_rows = _MOST_WORD_ROWS if by_words else _MOST_HASHES
    for rows in range(most_rows, 1, -1):
        for bands in range(1, _MOST_HASHES // rows + 1):
            if (1 - near_jaccard**rows) ** bands < _MISS_SHARE:
                return bands, rows
    return _MOST_HASHES, 1


@dataclass(frozen=True)
class Family:
    """Texts that are compared with each other by one sort of shingles.

    Attributes:
        size: Characters, or words, in a shingle.
        rows: Hash functions in a band.
        factors: One for each hash function.
        offsets: One for each hash function.
    """

    by_words: bool
    size: int
    bands: int
    rows: int
    factors: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.uint32]


def make_family(shingling: Shingling, near_jaccard: float, seed: int, *, by_words: bool) -> Family:
    """Choose bands and hash functions."""
    bands, rows = choose_bands(near_jaccard, by_words=by_words)
    rng = np.random.default_rng([seed, int(by_words)])
    factors, offsets = rng.integers(0, 2**32, (2, bands * rows), dtype=np.uint32)
    size = shingling.words if by_words else shingling.chars
    return Family(by_words, size, bands, rows, factors | np.uint32(1), offsets)


@dataclass
class KeyStore:
    """The band keys of many rows, in memory or, where they are many, in files.

    Attributes:
        scratch: Folder for them; None to hold them all.
        prefix: Begins the files' names.
        held_bytes: What is held before it goes to the files.
    """

    scratch: Path | None
    prefix: str
    held_bytes: int = _HELD_BYTES
    rows: int = 0
    _held: list[tuple[Keys, Keys]] = field(default_factory=list)
    _held_bytes: int = 0
    _bands: int = 0

    def add(self, rows: Keys, keys: Keys) -> None:
        """Take keys [band, n] of n rows."""
        self._held.append((rows, keys))
        self._held_bytes += keys.nbytes
        self.rows += len(rows)
        self._bands = len(keys)
        if self.scratch is not None and self._held_bytes > self.held_bytes:
            for band in range(-1, self._bands):
                with self._path(band).open("ab") as handle:
                    for part in self._parts(band):
                        part.tofile(handle)
            self._held, self._held_bytes = [], 0

    def row_numbers(self) -> Keys:
        """Return the rows, ascending."""
        return self.band(-1)

    def band(self, band: int) -> Keys:
        """Return the keys of one band, in the order of the rows."""
        parts = self._parts(band)
        if self.scratch is not None and self._path(band).exists():
            parts = [np.fromfile(self._path(band), dtype=np.uint32), *parts]
        return np.concatenate(parts) if parts else np.empty(0, np.uint32)

    def clear(self) -> None:
        """Forget all keys."""
        self._held = []
        if self.scratch is not None:
            for band in range(-1, self._bands):
                self._path(band).unlink(missing_ok=True)

    def _parts(self, band: int) -> Sequence[Keys]:
        return [rows if band < 0 else np.ascontiguousarray(keys[band]) for rows, keys in self._held]

    def _path(self, band: int) -> Path:
        assert self.scratch is not None
        return self.scratch / f"{self.prefix}-{band + 1:03d}.u32"


@dataclass
class ShingleStore:
    """Sorted shingles of many rows, in memory or, where they are many, in a file.

    Attributes:
        scratch: Folder for it; None to hold them all.
        prefix: Begins the file's name.
        held_bytes: What is held before it goes to the file.
        size: How many there are.
    """

    scratch: Path | None
    prefix: str
    held_bytes: int = _HELD_BYTES
    size: int = 0
    _held: list[Keys] = field(default_factory=list)
    _held_bytes: int = 0

    def add(self, shingles: Keys) -> None:
        """Take the shingles of some rows."""
        self._held.append(shingles)
        self._held_bytes += shingles.nbytes
        self.size += len(shingles)
        if self.scratch is not None and self._held_bytes > self.held_bytes:
            self._flush(self.scratch)

    def whole(self) -> Keys:
        """Return all of them, one after the other; the store is empty then."""
        if self.scratch is not None and self._held_bytes < 4 * self.size:
            self._flush(self.scratch)
            return np.memmap(self._path(self.scratch), dtype=np.uint32, mode="r")
        held, self._held = self._held, []
        return np.concatenate(held) if held else np.empty(0, np.uint32)

    def _flush(self, scratch: Path) -> None:
        with self._path(scratch).open("ab") as handle:
            for part in self._held:
                part.tofile(handle)
        self._held, self._held_bytes = [], 0

    def _path(self, scratch: Path) -> Path:
        return scratch / f"{self.prefix}-shingles.u32"

"""Sets of names that don't fit in memory as texts: 64-bit hashes in sorted arrays.

Two of ten million names share a hash with a probability of 3 in a million. In the audit that could
show a leak that is none; it can't hide one.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]


def key_of(name: str) -> int:
    """Return 64 bits that depend only on the name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def keys_of(names: Iterable[str]) -> Keys:
    """Return the key of each name."""
    digests = b"".join(hashlib.blake2b(n.encode(), digest_size=8).digest() for n in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


class KeyTable:
    """A value for each key, a few bytes each; of several values of a key the least stays."""

    def __init__(
        self, keys: Sequence[Keys], values: Sequence[npt.NDArray[np.generic]] | None = None
    ) -> None:
        """Build the table of parts, which may come in any order."""
        every = np.concatenate([np.zeros(0, np.uint64), *keys])
        if values is None:
            self.keys, self.values = np.unique(every), np.zeros(0)
            return
        given = np.concatenate(values) if values else np.zeros(0)
        order = np.lexsort((given, every))
        every, given = every[order], given[order]
        first = np.ones(len(every), dtype=bool)
        first[1:] = every[1:] != every[:-1]
        self.keys, self.values = every[first], given[first]

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Return where each key stands in the table, -1 where it doesn't."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.searchsorted(self.keys, keys)
        places[places == len(self.keys)] = 0
        return np.where(self.keys[places] == keys, places, -1)

    def value(self, name: str) -> str | None:
        """Return the text that is kept for a name."""
        (place,) = self.find(keys_of([name]))
        return None if place < 0 else bytes(self.values[place]).decode()


def text_values(names: Iterable[str]) -> npt.NDArray[np.bytes_]:
    """Return names, which are short, as values of a table."""
    return np.array([name.encode() for name in names], dtype=np.bytes_)

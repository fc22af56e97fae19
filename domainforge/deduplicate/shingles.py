"""Texts as sets of hashed shingles, and the Jaccard similarity of such sets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.exact import split_words

Hashes = npt.NDArray[np.uint64]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class Shingling:
    """What texts are compared by: short ones by characters, long ones by words.

    A short text has too few word sequences to be compared by them: one changed word of twelve
    takes three of its ten. In a long text character sequences only cost more.

    Attributes:
        chars: Characters in a shingle of a short text.
        words: Words in a shingle of a long text.
        long_text_words: From how many words on a text is long.
    """

    chars: int = 5
    words: int = 3
    long_text_words: int = 100


def char_shingles(words: Sequence[str], size: int) -> Hashes:
    """Hash every run of `size` characters of the words joined by spaces; sorted, unique."""
    text = " ".join(words)
    # surrogatepass: a lone surrogate in a source text must not end the run.
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return _windows(codes.astype(np.uint64), size)


def word_shingles(words: Sequence[str], size: int) -> Hashes:
    """Hash every run of `size` words; sorted, unique."""
    return _windows(np.array([_word_hash(word) for word in words], dtype=np.uint64), size)


def jaccard(left: Hashes, right: Hashes) -> float:
    """Return the size of the intersection over that of the union, of two sorted unique sets."""
    if not left.size or not right.size:
        return 0.0
    both = np.concatenate([left, right])
    both.sort()
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (left.size + right.size - shared)


class ShingledText:
    """A text to be compared with many others: its shingles are made once."""

    def __init__(self, text: str, shingling: Shingling) -> None:
        self._words = split_words(text)
        self._shingling = shingling

    def jaccard(self, other: "ShingledText") -> float:
        """Return how alike two texts are, by the shingles that suit the shorter one."""
        shortest = min(len(self._words), len(other._words))
        if shortest < self._shingling.long_text_words:
            return jaccard(self._chars, other._chars)
        return jaccard(self._word_runs, other._word_runs)

    @cached_property
    def _chars(self) -> Hashes:
        return char_shingles(self._words, self._shingling.chars)

    @cached_property
    def _word_runs(self) -> Hashes:
        return word_shingles(self._words, self._shingling.words)


def text_jaccard(left: str, right: str, shingling: Shingling) -> float:
    """Return how alike two texts are, by the shingles that suit the shorter one."""
    return ShingledText(left, shingling).jaccard(ShingledText(right, shingling))


def _windows(items: Hashes, size: int) -> Hashes:
    """Hash each window of `size` items; a shorter sequence is one window."""
    count = max(len(items) - size + 1, min(len(items), 1))
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(min(size, len(items))):
        hashes = _scramble(hashes * _FACTOR + items[offset : offset + count] + np.uint64(offset))
    return np.unique(hashes)


def _scramble(values: Hashes) -> Hashes:
    values = (values ^ (values >> _HALF)) * _MIX
    return values ^ (values >> _HALF)


@lru_cache(maxsize=100_000)
def _word_hash(word: str) -> int:
    # hash() differs from process to process.
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")

"""Arrow arrays of texts, cut into blocks, each sketched or shingled by one call on one thread."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domainforge.deduplicate.bands import Family, Keys
from domainforge.deduplicate.exact import normalise
from domainforge.deduplicate.folding import fold_tables

_BLOCK_ROWS = 16_384
_BLOCK_BYTES = 4 << 20
# What numpy sorts at once: as much as stays in a core's cache.
_SORTED_AT_ONCE = 64 << 10

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Texts of one array, as their bytes.

    Attributes:
        first: Number of the first text, of all.
        data: UTF-8; lone surrogates are let pass.
        offsets: Where each text begins, and where the last one ends.
        is_folded: Whether the texts went through `normalise`.
    """

    first: int
    data: npt.NDArray[np.uint8]
    offsets: Rows
    is_folded: bool = False

    @property
    def rows(self) -> int:
        """How many texts these are."""
        return len(self.offsets) - 1

    def fold(self, rows: Rows) -> "Block":
        """Return some texts after `normalise`, for what the tables can't fold."""
        folded = []
        for row in rows:
            raw = self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()
            try:
                text = raw.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                text = raw.decode("utf-8", "replace")
            folded.append(normalise(text).encode("utf-8", "surrogatepass"))
        offsets = np.cumsum([0, *map(len, folded)], dtype=np.int64)
        return Block(0, np.frombuffer(b"".join(folded), np.uint8), offsets, is_folded=True)


@dataclass(frozen=True)
class Sketch:
    """What is kept of the texts of a block.

    Attributes:
        exact: [row, 2] keys; equal for texts that `normalise` makes equal.
        words: [row] How many words each has.
        keys: For each family [band, row].
    """

    first: int
    exact: npt.NDArray[np.uint64]
    words: npt.NDArray[np.int32]
    keys: tuple[Keys, ...]


def to_array(texts: Sequence[str]) -> pa.Array:
    """Put texts in an array; lone surrogates too, which no array of strings may hold."""
    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    return pa.array(raw, pa.large_binary())


def cut_blocks(arrays: Iterable[pa.Array]) -> Iterator[Block]:
    """Cut arrays of strings or binaries into blocks of bounded size, without a copy."""
    first = 0
    for array in arrays:
        if array.null_count:
            array = array.fill_null(b"" if pa.types.is_large_binary(array.type) else "")
        _, offsets_buffer, data_buffer = array.buffers()
        is_large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
        width = np.int64 if is_large else np.int32
        offsets = np.zeros(1, np.int64)
        if len(array):
            whole = np.frombuffer(offsets_buffer, width)
            offsets = whole[array.offset : array.offset + len(array) + 1].astype(np.int64)
        data = np.frombuffer(data_buffer, np.uint8) if data_buffer else np.empty(0, np.uint8)
        start = 0
        while start < len(array):
            full = int(np.searchsorted(offsets, offsets[start] + _BLOCK_BYTES))
            stop = max(start + 1, min(start + _BLOCK_ROWS, len(array), full))
            yield Block(first + start, data, offsets[start : stop + 1])
            start = stop
        first += len(array)


def sketch_block(block: Block, families: Sequence[Family], limits: tuple[int, int]) -> Sketch:
    """Work out the keys of a block's texts.

    Args:
        block: The texts.
        families: Of short texts, and of long ones; or none.
        limits: From how many words on a text is long; from how many on it is not short any more.
    """
    from domainforge.deduplicate.sketching import sketch_rows

    exact = np.empty((block.rows, 2), np.uint64)
    words = np.empty(block.rows, np.int32)
    keys = tuple(np.empty((family.bands, block.rows), np.uint32) for family in families)
    none = np.empty(0, np.uint32)
    functions = [part for one in families for part in (one.factors, one.offsets)] or [none] * 4
    sizes = tuple(one.size for one in families) + tuple(one.rows for one in families)
    tables = fold_tables()
    sketch_rows(
        block.data,
        block.offsets,
        block.is_folded,
        (tables.folds, tables.kinds),
        limits,
        sizes or (1, 1, 1, 1),
        tuple(functions),
        exact,
        words,
        *(keys or [np.empty((0, 0), np.uint32)] * 2),
    )
    left = np.flatnonzero(words < 0)
    if len(left) and not block.is_folded:
        other = sketch_block(block.fold(left), families, limits)
        exact[left], words[left] = other.exact, other.words
        for own, theirs in zip(keys, other.keys, strict=True):
            own[:, left] = theirs
    return Sketch(block.first, exact, words, keys)


def shingle_block(block: Block, wanted: Rows, family: Family) -> tuple[Keys, npt.NDArray[np.int32]]:
    """Return the sorted shingles of some texts of a block, and how many each has.

    Args:
        block: The texts.
        wanted: Rows in the block, ascending.
        family: Says which shingles.
    """
    from domainforge.deduplicate.sketching import drop_repeats

    numbered, lengths = _number_shingles(block, wanted, family)
    # By parts that stay in a core's cache. The number of the text stands before each shingle.
    ends = np.cumsum(lengths, dtype=np.int64)
    start = 0
    while start < len(numbered):
        at = int(np.searchsorted(ends, start + _SORTED_AT_ONCE))
        stop = int(ends[min(at, len(ends) - 1)])
        numbered[start:stop].sort()
        start = stop
    out = np.empty(len(numbered), np.uint32)
    return out[: drop_repeats(numbered, lengths, out)].copy(), lengths


def _number_shingles(
    block: Block, wanted: Rows, family: Family
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Return shingles with the place of their text in `wanted` before them, ascending by that."""
    from domainforge.deduplicate.sketching import shingle_rows

    lengths = np.zeros(len(wanted), np.int32)
    sizes = block.offsets[wanted + 1] - block.offsets[wanted]
    numbered = np.empty(int(sizes.sum()) + len(wanted), np.uint64)
    tables = fold_tables()
    arguments = (block.is_folded, (tables.folds, tables.kinds), family.size, family.by_words)
    filled = shingle_rows(block.data, block.offsets, wanted, *arguments, numbered, lengths)
    numbered = numbered[:filled]
    left = np.flatnonzero(lengths < 0)
    if len(left):
        folded = block.fold(wanted[left])
        more, lengths[left] = _number_shingles(folded, np.arange(len(left)), family)
        places = left.astype(np.uint64)[more >> np.uint64(32)] << np.uint64(32)
        numbered = np.concatenate([numbered, places | (more & np.uint64(0xFFFFFFFF))])
        numbered.sort()
    return numbered, lengths


class Workers:
    """Threads for work that holds no lock: numpy's, and what is compiled."""

    def __init__(self, threads: int | None = None) -> None:
        self._count = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="dedup")

    def __enter__(self) -> "Workers":
        """Start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what was begun, and end."""
        self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Yield results in the order of the items, few of them ahead of the one that takes them."""
        waiting: deque[Future[_Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(work, item))
            if len(waiting) > 2 * self._count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

"""Which rows may be near-duplicates, and the shingles to tell it by; a few bytes for each row."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domainforge.deduplicate.bands import Family, Keys, KeyStore, ShingleStore, make_family
from domainforge.deduplicate.blocks import (
    Block,
    Rows,
    Sketch,
    Workers,
    cut_blocks,
    shingle_block,
    sketch_block,
)
from domainforge.deduplicate.shingles import Shingling

# Keys are counted by hash, to leave out those that are alone; about one in twelve is let pass.
_COUNTS_PER_ROW = 8
Spans = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]


class Sketches(NamedTuple):
    """What is known of all rows after one look at their texts.

    Attributes:
        first: [row] The first row that `normalise` makes equal.
        is_long: [row]
        keys: Band keys of each family.
    """

    first: npt.NDArray[np.int32]
    is_long: npt.NDArray[np.bool_]
    keys: tuple[KeyStore, ...]


class Buckets(NamedTuple):
    """Rows that may be alike.

    Attributes:
        buckets: For each band the rows of its buckets, and where each bucket ends.
        is_candidate: [row] Whether it is in any.
    """

    buckets: list[tuple[Keys, Keys]]
    is_candidate: npt.NDArray[np.bool_]


def make_families(
    near_jaccard: float | None, seed: int, shingling: Shingling
) -> tuple[Family, ...]:
    """Choose hash functions for short texts and for long ones; none without a threshold."""
    if near_jaccard is None:
        return ()
    return tuple(
        make_family(shingling, near_jaccard, seed, by_words=by_words) for by_words in (False, True)
    )


def word_limits(near_jaccard: float | None, shingling: Shingling) -> tuple[int, int]:
    """Return from how many words on a text is long, and from how many on not short any more.

    Texts a little too long are among the short ones too, so that no near-duplicates are lost
    because they stand on different sides of the limit.
    """
    long = max(shingling.long_text_words, 1)
    return long, math.ceil(shingling.long_text_words / (near_jaccard or 1.0))


def no_two_long(sketches: Sketches, family: Family) -> npt.NDArray[np.bool_]:
    """Return which rows are not compared with each other: two long ones only by words."""
    return sketches.is_long[: 0 if family.by_words else None]


def sketch_texts(
    texts: Iterable[pa.Array],
    families: tuple[Family, ...],
    limits: tuple[int, int],
    workers: Workers,
    scratch: Path | None = None,
    report: Callable[[int], None] | None = None,
) -> Sketches:
    """Look at every text once."""
    from domainforge.deduplicate.linking import find_copies

    def work(block: Block) -> Sketch:
        return sketch_block(block, families, limits)

    stores = tuple(KeyStore(scratch, f"keys-{at}") for at in range(len(families)))
    exact, is_long = [np.empty((0, 2), np.uint64)], [np.empty(0, np.bool_)]
    for sketch in workers.map(work, cut_blocks(texts)):
        exact.append(sketch.exact)
        is_long.append(sketch.words >= limits[0])
        is_short = (sketch.words > 0) & (sketch.words < limits[1])
        for mask, keys, store in zip((is_short, is_long[-1]), sketch.keys, stores, strict=False):
            rows = np.flatnonzero(mask)
            own = keys if len(rows) == len(mask) else keys[:, rows]
            if len(rows):
                store.add((rows + sketch.first).astype(np.uint32), own)
        if report:
            report(sketch.first + len(sketch.words))
    keys_of_all = np.concatenate(exact)
    del exact
    count = len(keys_of_all)
    first = np.empty(count, np.int32)
    table = np.zeros(1 << max(4, (2 * count - 1).bit_length()), np.uint32)
    find_copies(keys_of_all, table, first)
    return Sketches(first, np.concatenate(is_long), stores)


def find_buckets(
    keys: KeyStore,
    family: Family,
    taken: npt.NDArray[np.bool_],
    workers: Workers,
    references: int = 0,
) -> Buckets:
    """List the rows whose key in a band isn't alone, for each band; the keys are gone then."""
    from domainforge.deduplicate.linking import list_buckets, select_pairs

    rows = keys.row_numbers()
    is_candidate = np.zeros(len(taken), np.bool_)
    words = 1 << max(0, (_COUNTS_PER_ROW * len(rows) // 32).bit_length())

    def work(band: int) -> tuple[Keys, Keys]:
        pairs = select_pairs(keys.band(band), rows, taken, np.zeros(words, np.uint64))
        pairs.sort()
        found: tuple[Keys, Keys] = list_buckets(pairs, references, is_candidate)
        return found

    bands = range(family.bands) if len(rows) > 1 else ()
    buckets = list(workers.map(work, bands))
    keys.clear()
    return Buckets(buckets, is_candidate)


def shingle_candidates(
    texts: Iterable[pa.Array],
    found: Buckets,
    family: Family,
    workers: Workers,
    scratch: Path | None = None,
) -> tuple[Keys, Spans]:
    """Return the sorted shingles of all candidates, and where those of each row lie."""
    rows = len(found.is_candidate)
    starts, sizes = np.zeros(rows, np.int64), np.zeros(rows, np.int32)
    store = ShingleStore(scratch, "words" if family.by_words else "chars")
    if not found.is_candidate.any():
        return store.whole(), (starts, sizes)

    def work(block: Block) -> tuple[Rows, Keys, npt.NDArray[np.int32]]:
        wanted = np.flatnonzero(found.is_candidate[block.first : block.first + block.rows])
        if not len(wanted):
            return wanted, np.empty(0, np.uint32), np.empty(0, np.int32)
        return wanted + block.first, *shingle_block(block, wanted, family)

    for wanted, shingles, lengths in workers.map(work, cut_blocks(texts)):
        starts[wanted] = store.size + np.cumsum(lengths, dtype=np.int64) - lengths
        sizes[wanted] = lengths
        store.add(shingles)
    return store.whole(), (starts, sizes)

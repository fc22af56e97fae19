"""Rows of 35 to 95 words with planted near-duplicates, and all pairs that are really alike.

Words are made of syllables and drawn by Zipf's law (exponent 1, 40,000 of them), so rows share
common words and some runs of them, as texts do. Three rows in ten are edited copies of others: one
in ten of these is the same but for case and punctuation, the others have one to seven edits, each
a word put in another's place, two words swapped, one left out, one put in, or a run left out.

The truth doesn't read the texts: it joins the rows' word numbers, by runs of three, with a prefix
filter, which is complete (Chaudhuri, Ganti and Kaushik 2006). `check` compares it with the
product of the matrix of rows and runs, which is every pair, over the texts as DomainForge's
reference reads them.
"""

import json
import sys
from pathlib import Path

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

VOCABULARY = 40_000
GROUP_ROWS = 50_000
DRAWN_AT_ONCE = 10_000_000
BASE_SHARE = 0.7
JACCARD = 0.7
RUN = 3
STARTS = "b c d f g h l m n p r s t v w st tr ch sh pl gr"
MIDDLES = "a e i o u ea ou ai"
ENDS = "n r s t l nd st ng ck m"


def make_words() -> list[str]:
    """Return the vocabulary, commonest word first; common words are short."""
    rng = np.random.default_rng(5)
    starts, middles, ends = (["", *part.split()] for part in (STARTS, MIDDLES, ENDS))
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        syllables = 1 if len(words) < 1_500 else 1 + int(rng.integers(1, 3 + len(words) // 20_000))
        parts = [
            str(rng.choice(of)) for _ in range(syllables) for of in (starts, middles[1:], ends)
        ]
        words["".join(parts)] = None
    return list(words)


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _edit(source, draws, kinds, places, out):  # type: ignore[no-untyped-def]
    """Write an edited copy of a row; returns its length."""
    size = len(source)
    out[:size] = source
    for each in range(len(kinds)):
        at = int(places[each] * (size - 4))
        kind = kinds[each]
        if kind <= 1:
            out[at] = draws[each]
        elif kind == 2:
            out[at], out[at + 1] = out[at + 1], out[at]
        elif kind == 3:
            gone = 1 if places[each] < 0.7 else 4
            if size - gone < 35:
                continue
            for next_one in range(at, size - gone):
                out[next_one] = out[next_one + gone]
            size -= gone
        elif size < 95:
            for next_one in range(size, at, -1):
                out[next_one] = out[next_one - 1]
            out[at] = draws[each]
            size += 1
    return size


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _fill(numbers, starts, sources, edits, draws, kinds, places):  # type: ignore[no-untyped-def]
    """Write the edited copies after the other rows."""
    for row in range(len(sources)):
        source, base = sources[row], len(starts) - 1 - len(sources) + row
        at, end = starts[source], starts[source + 1]
        into = numbers[starts[base] :]
        n = edits[row]
        size = _edit(numbers[at:end], draws[row, :n], kinds[row, :n], places[row, :n], into)
        starts[base + 1] = starts[base] + size


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _spell(numbers, starts, order, letters, ends, styles, out, offsets):  # type: ignore[no-untyped-def]
    """Write the texts: sentences of about twelve words, with a comma here and there."""
    filled = 0
    for place in range(len(order)):
        row, style = order[place], styles[place]
        capital = True
        for at in range(starts[row], starts[row + 1]):
            word = numbers[at]
            begin = ends[word - 1] if word else 0
            for letter in range(begin, ends[word]):
                code = letters[letter]
                out[filled] = code - 32 if (capital or style == 1) else code
                capital = False
                filled += 1
            nth = at - starts[row] + style
            if nth % 12 == 11 or at + 1 == starts[row + 1]:
                out[filled] = 46
                filled += 1
                capital = True
            elif nth % 7 == 3:
                out[filled] = 44
                filled += 1
            out[filled] = 32
            filled += 1
        offsets[place + 1] = filled - 1
        # The space after the last word is not part of the row.
        filled -= 1


def make_rows(rows: int) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int64]]:
    """Return the word numbers of all rows, copies last, and where each row's begin."""
    rng = np.random.default_rng(1)
    base = int(rows * BASE_SHARE)
    chances = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
    starts = np.zeros(rows + 1, np.int64)
    starts[1 : base + 1] = np.cumsum(rng.integers(35, 96, base))
    numbers = np.zeros(int(starts[base]) + 96 * (rows - base + 1), np.uint16)
    for first in range(0, int(starts[base]), DRAWN_AT_ONCE):
        drawn = rng.random(min(DRAWN_AT_ONCE, int(starts[base]) - first)) * chances[-1]
        numbers[first : first + len(drawn)] = np.searchsorted(chances, drawn)
    copies = rows - base
    edits = np.where(rng.random(copies) < 0.1, 0, rng.integers(1, 8, copies))
    draws = np.searchsorted(chances, rng.random((copies, 8)) * chances[-1])
    kinds, places = rng.integers(0, 5, (copies, 8)), rng.random((copies, 8))
    _fill(numbers, starts, rng.integers(0, base, copies), edits, draws, kinds, places)
    return numbers[: starts[-1]], starts


def write_corpus(folder: Path, rows: int) -> None:
    """Write rows.parquet (row, text) in random order, and word numbers for the truth."""
    words = make_words()
    letters = np.frombuffer("".join(words).encode(), np.uint8)
    ends = np.cumsum([len(word) for word in words])
    folder.mkdir(parents=True, exist_ok=True)
    numbers, starts = make_rows(rows)
    rng = np.random.default_rng(2)
    order = rng.permutation(rows)
    for name, array in (("numbers", numbers), ("starts", starts), ("order", order)):
        np.save(folder / f"{name}.npy", array)
    schema = pa.schema([("row", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(folder / "rows.parquet", schema, compression="zstd") as writer:
        for first in range(0, rows, GROUP_ROWS):
            own = order[first : first + GROUP_ROWS]
            styles = rng.integers(0, 40, len(own))
            out = np.empty(95 * 32 * len(own), np.uint8)
            offsets = np.zeros(len(own) + 1, np.int32)
            _spell(numbers, starts, own, letters, ends, styles, out, offsets)
            buffers = pa.py_buffer(offsets), pa.py_buffer(out[: offsets[-1]])
            text = pa.StringArray.from_buffers(len(own), *buffers)
            row = pa.array(np.arange(first, first + len(own)))
            writer.write_table(pa.table([row, text], schema=schema))


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _runs(numbers, starts, out, spans):  # type: ignore[no-untyped-def]
    """Write the runs of words of each row, sorted and once each; returns how many."""
    filled = 0
    for row in range(len(starts) - 1):
        begin = filled
        for at in range(starts[row], starts[row + 1] - RUN + 1):
            value = np.uint64(0)
            for offset in range(RUN):
                value = value << np.uint64(16) | np.uint64(numbers[at + offset])
            # Forty-eight bits to thirty-two; neighbours in the vocabulary far apart.
            value *= np.uint64(0x9E3779B97F4A7C15)
            out[filled] = np.uint32((value ^ (value >> np.uint64(29))) >> np.uint64(32))
            filled += 1
        own = out[begin:filled]
        own.sort()
        kept = begin
        for at in range(begin, filled):
            if at == begin or out[at] != out[at - 1]:
                value32 = out[at]
                out[kept] = value32
                kept += 1
        filled = kept
        spans[row + 1] = filled
    return filled


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _prefixes(runs, spans, counts, into, fill):  # type: ignore[no-untyped-def]
    """Write `run << 32 | row` of the rarest runs of each row: as many as two alike must share one.

    Without `fill` they are only counted.
    """
    filled, mask = 0, np.uint32(len(counts) - 1)
    for row in range(len(spans) - 1):
        begin, end = spans[row], spans[row + 1]
        size = end - begin
        most = size - int(np.ceil(JACCARD * size - 1e-9)) + 1
        if not fill:
            filled += most
            continue
        keyed = np.empty(size, np.uint64)
        for at in range(size):
            run = runs[begin + at]
            keyed[at] = np.uint64(counts[run & mask]) << np.uint64(32) | np.uint64(run)
        keyed.sort()
        for at in range(most):
            # A run that is counted once is in no other row.
            if keyed[at] >> np.uint64(32) > 1:
                into[filled] = (keyed[at] << np.uint64(32)) | np.uint64(row)
                filled += 1
    return filled


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _count(runs, counts):  # type: ignore[no-untyped-def]
    mask = np.uint32(len(counts) - 1)
    for run in runs:
        if counts[run & mask] < 0xFFFF:
            counts[run & mask] += np.uint16(1)


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _root(parents, row):  # type: ignore[no-untyped-def]
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@nb.njit(cache=True)  # type: ignore[untyped-decorator]
def _join(pairs, runs, spans, parents):  # type: ignore[no-untyped-def]
    """Join all rows that share a run of their prefixes and are alike."""
    begin = 0
    for stop in range(1, len(pairs) + 1):
        if stop < len(pairs) and pairs[stop] >> np.uint64(32) == pairs[begin] >> np.uint64(32):
            continue
        for one in range(begin + 1, stop):
            row = np.int64(pairs[one] & np.uint64(0xFFFFFFFF))
            for two in range(begin, one):
                other = np.int64(pairs[two] & np.uint64(0xFFFFFFFF))
                low, high = _root(parents, row), _root(parents, other)
                if low == high:
                    continue
                at, end = spans[row], spans[row + 1]
                its, its_end = spans[other], spans[other + 1]
                total, shared = end - at + its_end - its, 0
                while at < end and its < its_end:
                    left, right = runs[at], runs[its]
                    shared += left == right
                    at += left <= right
                    its += right <= left
                if shared / (total - shared) >= JACCARD:
                    parents[max(low, high)] = min(low, high)
        begin = stop
    for row in range(len(parents)):
        parents[row] = parents[parents[row]]


def find_truth(folder: Path) -> npt.NDArray[np.int32]:
    """Return for each row of the file a number of its group: alike, directly or through others."""
    numbers, starts = np.load(folder / "numbers.npy"), np.load(folder / "starts.npy")
    runs, spans = np.empty(len(numbers), np.uint32), np.zeros(len(starts), np.int64)
    runs = runs[: _runs(numbers, starts, runs, spans)]
    del numbers
    counts = np.zeros(1 << min(32, len(runs).bit_length() + 1), np.uint16)
    _count(runs, counts)
    pairs = np.empty(_prefixes(runs, spans, counts, np.empty(0, np.uint64), False), np.uint64)
    pairs = pairs[: _prefixes(runs, spans, counts, pairs, True)]
    del counts
    pairs.sort()
    parents = np.arange(len(starts) - 1, dtype=np.int32)
    _join(pairs, runs, spans, parents)
    groups: npt.NDArray[np.int32] = parents[np.load(folder / "order.npy")]
    return groups


def check_truth(folder: Path) -> int:
    """Compare the truth with all pairs of the texts, as the reference reads them.

    Returns:
        How many groups of more than one row there are.

    Raises:
        SystemExit: They differ.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    from domainforge.deduplicate.exact import split_words
    from domainforge.deduplicate.shingles import word_shingles

    texts = pq.read_table(folder / "rows.parquet")["text"].to_pylist()
    sets = [word_shingles(split_words(text), RUN) for text in texts]
    ends = np.cumsum([0, *map(len, sets)])
    names, columns = np.unique(np.concatenate(sets), return_inverse=True)
    shape = (len(sets), len(names))
    matrix = csr_array((np.ones(len(columns), np.int32), columns, ends), shape=shape)
    shared = (matrix @ matrix.T).tocoo()
    sizes = np.diff(ends)
    alike = shared.data >= JACCARD * (sizes[shared.row] + sizes[shared.col] - shared.data)
    edges = csr_array(
        (alike[alike], (shared.row[alike], shared.col[alike])), shape=(len(sets),) * 2
    )
    _, expected = connected_components(edges, directed=False)
    found = find_truth(folder)
    pairs = len(np.unique(np.stack([expected, found]), axis=1)[0])
    groups = len(np.unique(expected))
    if not pairs == groups == len(np.unique(found)):
        raise SystemExit(f"the truth is wrong: {groups} groups, {len(np.unique(found))} found")
    return int((np.bincount(expected) > 1).sum())


def main() -> None:
    """Write a corpus and its truth, in a process of its own: `dedup_corpus.py FOLDER ROWS`."""
    folder, rows = Path(sys.argv[1]), int(sys.argv[2])
    write_corpus(folder, rows)
    groups = find_truth(folder)
    np.save(folder / "truth.npy", groups)
    removable = rows - len(np.unique(groups))
    print(json.dumps({"rows": rows, "removable": removable}))


if __name__ == "__main__":
    main()

"""Whole documents and sections, cut into windows of consecutive chunks where they are too long."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from domainforge.generation.subjects import Chunk, Subject, make_subject
from domainforge.records import section_of


def document_windows(
    chunks: Sequence[Chunk], sides: Mapping[str, str], most_tokens: int
) -> list[Subject]:
    """Cut every document into windows of consecutive chunks; each chunk is in exactly one.

    Args:
        chunks: In the order of uri and start.
        sides: Side of each chunk; a window is of one side.
        most_tokens: Of a window; a single chunk may be longer.
    """
    runs = _runs(chunks, [(c["document_id"], sides[c["id"]]) for c in chunks])
    return [make_subject(w, "document") for run in runs for w in cut_windows(run, most_tokens)]


def section_windows(
    chunks: Sequence[Chunk], sides: Mapping[str, str], most_tokens: int
) -> list[Subject]:
    """Cut every top-level section likewise; what stands before the first heading is one too."""
    runs = _runs(chunks, [(c["document_id"], sides[c["id"]], section_of(c)) for c in chunks])
    return [make_subject(w, "section") for run in runs for w in cut_windows(run, most_tokens)]


def cut_windows(chunks: Sequence[Chunk], most_tokens: int) -> list[list[Chunk]]:
    """Cut a run of chunks into as few windows as fit, and these as even as they can be.

    Filling one after the other would leave a last window of a sentence or two.
    """
    sizes = [chunk["tokens"] for chunk in chunks]
    fewest = len(_fill(sizes, most_tokens))
    low, high = min(*sizes, most_tokens), most_tokens
    while low < high:
        middle = (low + high) // 2
        if len(_fill(sizes, middle)) > fewest:
            low = middle + 1
        else:
            high = middle
    return [[chunks[index] for index in window] for window in _fill(sizes, low)]


def _fill(sizes: Sequence[int], most: int) -> list[list[int]]:
    windows: list[list[int]] = [[]]
    used = 0
    for index, size in enumerate(sizes):
        if windows[-1] and used + size > most:
            windows.append([])
            used = 0
        windows[-1].append(index)
        used += size
    return windows


def _runs(chunks: Sequence[Chunk], keys: Sequence[tuple[str, ...]]) -> Iterator[list[Chunk]]:
    """Yield runs of neighbours with the same key; a key that comes again begins a new run."""
    for _, run in groupby(zip(keys, chunks, strict=True), key=lambda pair: pair[0]):
        yield [chunk for _, chunk in run]

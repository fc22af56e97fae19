"""Which judged rows people are asked about: a few of every score, of what stayed and what went."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import heappush, heapreplace
from itertools import zip_longest
from typing import Any

from domainforge.judging.verdicts import scores_of

Row = Mapping[str, Any]


def draw_rows(rows: Iterable[Row], size: int, seed: int) -> list[Row]:
    """Draw judged rows evenly over scores and over kept and dropped, in a drawn order.

    Rows are drawn by the hash of seed and id, so their order changes nothing; in memory are `size`
    of each kind.

    Args:
        rows: Of the judge's tables; those that nobody judged are passed over.
        size: The most rows wanted.
        seed: Draws.
    """
    kinds: dict[tuple[float, bool], list[tuple[int, str, Row]]] = defaultdict(list)
    for row in rows:
        score = scores_of(row).get("judge")
        if score is None:
            continue
        heap = kinds[round(score, 1), row["reason"] is None]
        # The least of the negated hashes is the one to give way.
        entry = (-_point(seed, row["id"]), str(row["id"]), row)
        if len(heap) < size:
            heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            heapreplace(heap, entry)
    ordered = [sorted(kinds[kind], key=lambda e: e[:2], reverse=True) for kind in sorted(kinds)]
    turns = [entry for turn in zip_longest(*ordered) for entry in turn if entry is not None][:size]
    # Side by side, the order would give the scores away.
    return [row for _, _, row in sorted(turns, key=lambda entry: entry[:2], reverse=True)]


def _point(seed: int, row_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{row_id}".encode()).digest()[:8], "big")

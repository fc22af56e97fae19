"""Of each cluster and side the best rows stay; what is known of a row is a few numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.best import rank_row
from domainforge.records import NO_TEACHER, chunk_ids_of, stable_id

_PART_ROWS = 10_000


class Facts(NamedTuple):
    """What is kept of all rows, in the order of their ids.

    Attributes:
        ids: [row]
        sides: [row] A number for each side, or for none.
        ranks: [row, part] What rows are ordered by, without the id; the lowest is best.
        made_of: [row] The sentence that a row was made of without a teacher, as a number, or 0.
    """

    ids: npt.NDArray[np.bytes_]
    sides: npt.NDArray[np.int16]
    ranks: npt.NDArray[np.float64]
    made_of: npt.NDArray[np.uint64]


class FactSheet:
    """Gathers the facts row by row."""

    def __init__(self) -> None:
        self._sides: dict[str | None, int] = {}
        self._pending: list[tuple[bytes, int, tuple[float, ...], int]] = []
        self._parts: list[Facts] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Take the next row."""
        *rank, row_id = rank_row(row)
        side = self._sides.setdefault(row["side"], len(self._sides))
        self._pending.append((row_id.encode(), side, tuple(rank), _made_of(row)))
        if len(self._pending) == _PART_ROWS:
            self._pack()

    def whole(self) -> Facts:
        """Return the facts of all rows."""
        self._pack()
        return Facts(*(np.concatenate(columns) for columns in zip(*self._parts, strict=True)))

    def _pack(self) -> None:
        if self._pending or not self._parts:
            ids, sides, ranks, made_of = (
                zip(*self._pending, strict=True) if self._pending else [()] * 4
            )
            self._parts.append(
                Facts(
                    np.array(ids, dtype=np.bytes_),
                    np.array(sides, dtype=np.int16),
                    np.array(ranks, dtype=np.float64).reshape(len(ids), -1 if ids else 4),
                    np.array(made_of, dtype=np.uint64),
                )
            )
            self._pending = []


class Survivors(NamedTuple):
    """Which rows stay.

    Attributes:
        stays: [row]
        best: [row] The best row of its cluster and side.
    """

    stays: npt.NDArray[np.bool_]
    best: npt.NDArray[np.int32]


def choose_survivors(labels: npt.NDArray[np.int32], facts: Facts, candidates: int) -> Survivors:
    """Let the best rows of every cluster stay on each side that has any.

    Args:
        labels: [row] Its cluster.
        facts: Of all rows.
        candidates: How many of a cluster and side stay, at most.
    """
    best = np.arange(len(labels), dtype=np.int32)
    stays = np.ones(len(labels), np.bool_)
    grouped = np.flatnonzero(np.bincount(labels, minlength=len(labels))[labels] > 1)
    keys = [facts.ranks[grouped, part] for part in reversed(range(facts.ranks.shape[1]))]
    # Rows are ordered by id, and the sort keeps that among equals.
    order = grouped[np.lexsort([*keys, facts.sides[grouped], labels[grouped]])]
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (labels[order[1:]] != labels[order[:-1]]) | (
        facts.sides[order[1:]] != facts.sides[order[:-1]]
    )
    starts = np.flatnonzero(begins)[np.cumsum(begins) - 1] if len(order) else begins.nonzero()[0]
    best[order] = order[starts]
    stays[order] = np.arange(len(order)) - starts < candidates
    return Survivors(stays, best)


def _made_of(row: Mapping[str, Any]) -> int:
    """Number the sentence that a row was made of without a teacher; 0 for any other row.

    Rows of one sentence have gaps in different places: they look alike and ask for different
    things.
    """
    if row["teacher"] != NO_TEACHER:
        return 0
    return int(stable_id(row["prompt"], chunk_ids_of(row), row["unit"]), 16) or 1

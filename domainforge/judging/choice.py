"""The best row of each cluster and side; in memory are only clusters that have several rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from domainforge.deduplicate.best import Rank, rank_row

Group = tuple[str, str | None]
NOT_BEST = "not_best_of_cluster"


def group_of(row: Mapping[str, Any]) -> Group:
    """Return the cluster and side of a row; one without a cluster stands for itself."""
    return row["cluster"] or row["id"], row["side"]


def find_repeated(groups: Iterable[Sequence[Group]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return sorted hashes of the groups that have several rows: eight bytes a row in memory.

    Two groups may share a hash; that costs an entry more in `Best`, and no row.

    Args:
        groups: Of all rows, batch by batch.
    """
    hashes = [np.fromiter(map(hash, batch), np.int64, len(batch)) for batch in groups]
    found, counts = np.unique(np.concatenate([np.empty(0, np.int64), *hashes]), return_counts=True)
    return found[counts > 1]


class Best:
    """The best row of each group that has several."""

    def __init__(self, repeated: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Take what `find_repeated` gave; hashes hold within one process."""
        self._repeated = repeated
        self._best: dict[Group, Rank] = {}

    def take(self, row: Mapping[str, Any]) -> None:
        """Let a row compete, unless it goes for another reason."""
        group = group_of(row)
        if row["reason"] is None and self._is_repeated(group):
            rank = rank_row(row)
            self._best[group] = min(rank, self._best.get(group, rank))

    def settle(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows; those that a better one of their group beats have reason and evidence."""
        for row in rows:
            best = self._best.get(group_of(row))
            if row["reason"] is not None or best is None or best.id == row["id"]:
                yield dict(row)
                continue
            evidence = _explain(best, rank_row(row))
            yield {**row, "reason": NOT_BEST, "evidence": evidence}

    def _is_repeated(self, group: Group) -> bool:
        wanted = hash(group)
        at = int(np.searchsorted(self._repeated, wanted))
        return at < len(self._repeated) and int(self._repeated[at]) == wanted


def _explain(best: Rank, other: Rank) -> str:
    """Name the survivor, and the first thing in which it is the better one, with both values."""
    for name in ("reviewed", "judge", "support"):
        one, two = -getattr(best, name), -getattr(other, name)
        if one != two:
            return f"{best.id} is the better one of its cluster: {name} {one:g}, here {two:g}"
    if best.length != other.length:
        more = f"its question has {best.length} characters, here {other.length}"
        return f"{best.id} is the better one of its cluster: {more}"
    return f"{best.id} is as good, and the first by id"

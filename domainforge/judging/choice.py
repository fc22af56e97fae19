"""The best row of each cluster and side; in memory are only clusters that have several rows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from domainforge.deduplicate.best import Rank, rank_row

Group = tuple[str, str | None]
NOT_BEST = "not_best_of_cluster"


def find_repeated(batches: Iterable[pa.RecordBatch]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return sorted hashes of the groups that have several rows: eight bytes a row in memory.

    Two groups may share a hash; that costs an entry more in `Best`, and no row.

    Args:
        batches: Of all rows; their columns `id`, `cluster` and `side`.
    """
    hashes = [_hashes(_groups(batch)) for batch in batches]
    found, counts = np.unique(np.concatenate([_hashes([]), *hashes]), return_counts=True)
    return found[counts > 1]


class Best:
    """The best row of each cluster and side that has several."""

    def __init__(self, repeated: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Take what `find_repeated` gave; hashes hold within one process."""
        self._repeated = repeated
        self._best: dict[Group, Rank] = {}

    def take(self, batch: pa.RecordBatch) -> None:
        """Let rows compete that don't go for another reason."""
        for _, group, row in self._competing(batch):
            rank = rank_row(row)
            self._best[group] = min(rank, self._best.get(group, rank))

    def beaten(self, batch: pa.RecordBatch) -> dict[int, dict[str, Any]]:
        """Return the rows of a batch, by their place, that a better one of their group beats.

        They have reason and evidence; all rows have been taken before.
        """
        found = {}
        for at, group, row in self._competing(batch):
            best = self._best[group]
            if best.id != row["id"]:
                why = {"reason": NOT_BEST, "evidence": _explain(best, rank_row(row))}
                found[at] = {**row, **why}
        return found

    def _competing(self, batch: pa.RecordBatch) -> Iterator[tuple[int, Group, dict[str, Any]]]:
        groups = _groups(batch)
        is_repeated = np.isin(_hashes(groups), self._repeated)
        stays = batch.column("reason").is_null().to_numpy(zero_copy_only=False)
        places = np.flatnonzero(is_repeated & stays)
        rows = batch.take(pa.array(places)).to_pylist() if len(places) else []
        for at, row in zip(places.tolist(), rows, strict=True):
            yield at, groups[at], row


def _groups(batch: pa.RecordBatch) -> list[Group]:
    """Return cluster and side of each row; one without a cluster stands for itself."""
    columns = (batch.column(name).to_pylist() for name in ("id", "cluster", "side"))
    return [(cluster or row_id, side) for row_id, cluster, side in zip(*columns, strict=True)]


def _hashes(groups: Sequence[Group]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.fromiter(map(hash, groups), np.int64, len(groups))


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

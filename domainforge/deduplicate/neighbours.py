"""Pairs of vectors that are close, without all pairs: k-means buckets, products inside each.

Buckets after SemDeDup (Abbas et al. 2023, arXiv 2303.09540). There a vector is in one bucket, and
pairs across a border are lost; here it is looked for in the buckets of the nearest few centres.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_BUCKET_ROWS = 1_000
_MOST_BUCKETS = 8_192
_SAMPLE_ROWS = 50_000
_CENTRES = 3
_BLOCK_ROWS = 1_024
# Of one vector so many of the closest, and in one bucket so many looked through: a million rows of
# one form must not be compared all with all. What is lost is a link, never a row.
_MOST_NEIGHBOURS = 16
_MOST_COMPARED = 65_536

Rows = npt.NDArray[np.int64]
Centres = npt.NDArray[np.float32]


class Pairs(NamedTuple):
    """Places of vectors, and the cosine of each two."""

    left: Rows
    right: Rows
    cosines: npt.NDArray[np.float32]


def find_pairs(
    vectors: npt.NDArray[np.float16],
    keys: npt.NDArray[np.uint64],
    least: float,
    seed: int,
    bucket_rows: int = _BUCKET_ROWS,
    topics: int = 0,
) -> Iterator[Pairs]:
    """Yield pairs of vectors whose cosine is at least so high, a bounded number at a time.

    A pair may come twice. At most 16 of one vector are found.

    Args:
        vectors: [row, dimension] of length 1, or two of these side by side; may lie on disk.
        keys: [row] Only vectors of the same key are compared.
        least: The cosine.
        seed: Chooses the centres that k-means begins with.
        bucket_rows: How many vectors share a centre, about.
        topics: Buckets are made by so many of the first dimensions, and cosines are of the others;
            0 where all do both.
    """
    told = vectors[:, :topics] if topics else vectors
    nearest = _assign(told, _centres(told, seed, bucket_rows))
    vectors = vectors[:, topics:]
    members = nearest.ravel()
    rows: Rows = np.repeat(np.arange(len(vectors)), nearest.shape[1])
    own = nearest[rows, 0] == members
    # By bucket and key; in each group, ordered by row, all are compared with those at home there.
    order = np.lexsort((rows, keys[rows], members))
    members, rows, own = members[order], rows[order], own[order]
    grouped = keys[rows]
    ends = np.flatnonzero((members[1:] != members[:-1]) | (grouped[1:] != grouped[:-1])) + 1
    start = 0
    for end in [*ends.tolist(), len(rows)]:
        if end - start > 1 and own[start:end].any():
            yield from _compare(vectors, rows[start:end], own[start:end], least)
        start = end


def _centres(vectors: npt.NDArray[np.float16], seed: int, bucket_rows: int) -> Centres | None:
    """Return the centres [bucket, dimension]; None where one bucket is enough."""
    count = min(len(vectors) // bucket_rows, _MOST_BUCKETS)
    if count < 2:
        return None
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(vectors), min(len(vectors), _SAMPLE_ROWS), replace=False)
    sample = np.asarray(vectors[np.sort(chosen)], dtype=np.float32)
    options = {"batch_size": 4_096, "n_init": 1, "max_iter": 50, "init": "k-means++"}
    means = MiniBatchKMeans(min(count, len(sample)), random_state=seed, **options)
    found = means.fit(sample).cluster_centers_
    lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    centres: Centres = (found / lengths).astype(np.float32)
    return centres


def _assign(vectors: npt.NDArray[np.float16], centres: Centres | None) -> npt.NDArray[np.int32]:
    """Return [row, place] the nearest centres of each vector, the nearest first."""
    if centres is None:
        return np.zeros((len(vectors), 1), np.int32)
    most = min(_CENTRES, len(centres))
    nearest = np.empty((len(vectors), most), np.int32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        stop = start + _BLOCK_ROWS
        block = np.asarray(vectors[start:stop], dtype=np.float32)
        scores = block @ centres.T
        found = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        ranks = np.argsort(-np.take_along_axis(scores, found, 1), axis=1, kind="stable")
        nearest[start:stop] = np.take_along_axis(found, ranks, 1)
    return nearest


def _compare(
    vectors: npt.NDArray[np.float16], rows: Rows, own: npt.NDArray[np.bool_], least: float
) -> Iterator[Pairs]:
    for begin in range(0, len(rows), _MOST_COMPARED):
        part = rows[begin : begin + _MOST_COMPARED]
        home = np.flatnonzero(own[begin : begin + _MOST_COMPARED])
        everyone = np.asarray(vectors[part], dtype=np.float32)
        for start in range(0, len(home), _BLOCK_ROWS):
            places = home[start : start + _BLOCK_ROWS]
            cosines = everyone[places] @ everyone.T
            cosines[np.arange(len(places)), places] = -1.0
            most = min(_MOST_NEIGHBOURS, len(part)) - 1
            nearest = np.argpartition(-cosines, most, axis=1)[:, : most + 1]
            found = np.take_along_axis(cosines, nearest, 1)
            at, place = np.nonzero(found >= least)
            if len(at):
                ends = part[places[at]], part[nearest[at, place]]
                yield Pairs(np.minimum(*ends), np.maximum(*ends), found[at, place])

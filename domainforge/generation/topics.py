"""Topics with the passages nearest to them: found in the chunks, or named by the prompt file.

Found by spherical k-means (Dhillon and Modha 2001, "Concept Decompositions for Large Sparse Text
Data") over TF-IDF. Every sum is over sparse rows in their order, and no random number is drawn:
factorising by a dense solver would differ from one machine to the next.
"""

from collections.abc import Sequence
from typing import Any

from domainforge.generation.subjects import Chunk, Subject, make_subject, take_passages
from domainforge.generation.term_weights import TermWeights, written_words

CHUNKS_PER_TOPIC = 10
_MOST_TOPICS = 100
_MOST_ROUNDS = 20
_NAMED_BY = 4
_MOST_PASSAGES = 64
_DECIMALS = 6


def find_topics(
    chunks: Sequence[Chunk], weights: TermWeights, most_tokens: int, named: Sequence[str] = ()
) -> list[Subject]:
    """Return a subject for each topic: its name and the passages nearest to it, nearest first.

    A named topic that shares no word with any passage is left out.

    Args:
        chunks: Of one side.
        weights: Their terms.
        most_tokens: Of all passages of one topic.
        named: Topics to take instead of those that the chunks have.
    """
    if weights.matrix is None:
        return []
    vectors = weights.vectors(named) if named else _centers(weights.matrix, len(chunks))
    stems = weights.stems()
    subjects = []
    for index in range(vectors.shape[0]):
        vector = vectors[index : index + 1]
        near = [chunks[place] for place in _nearest(weights, vector)]
        if near:
            name = named[index] if named else _name(vector, stems, near)
            taken = take_passages(near, most_tokens)
            subjects.append(make_subject(taken, name, {"topic": name}))
    return subjects


def _nearest(weights: TermWeights, vector: Any) -> list[int]:
    near = weights.rank(vector, range(weights.matrix.shape[0]))
    return [each.index for each in near[:_MOST_PASSAGES] if each.cosine > 0]


def _centers(matrix: Any, chunks: int) -> Any:
    """Return the centers of the topics as sparse rows of length 1, the largest topic first."""
    import numpy as np

    count = min(_MOST_TOPICS, -(-chunks // CHUNKS_PER_TOPIC))
    centers = matrix[_spread_rows(matrix, count)]
    belongs = np.full(matrix.shape[0], -1)
    for _ in range(_MOST_ROUNDS):
        near = np.round((matrix @ centers.T).toarray(), _DECIMALS)
        now = near.argmax(axis=1)
        if (now == belongs).all():
            break
        belongs = now
        centers = _means(matrix, belongs, centers.shape[0])
    sizes = np.bincount(belongs, minlength=centers.shape[0])
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    return centers[order[sizes[order] > 0]]


def _spread_rows(matrix: Any, count: int) -> list[int]:
    """Choose rows to begin with: the nearest to all, then always the farthest from those chosen."""
    import numpy as np

    whole = np.asarray(matrix.sum(axis=0)).ravel()
    first = int(np.round(matrix @ whole, _DECIMALS).argmax())
    chosen = [first]
    nearest = np.zeros(matrix.shape[0])
    while len(chosen) < count:
        last = slice(chosen[-1], chosen[-1] + 1)
        cosines = (matrix @ matrix[last].T).toarray().ravel()
        nearest = np.maximum(nearest, np.round(cosines, _DECIMALS))
        nearest[chosen[-1]] = np.inf
        chosen.append(int(nearest.argmin()))
    return chosen


def _means(matrix: Any, belongs: Any, count: int) -> Any:
    """Return the mean direction of the rows of each topic."""
    import numpy as np
    from sklearn.preprocessing import OneHotEncoder, normalize

    members = OneHotEncoder(categories=[np.arange(count)]).fit_transform(belongs[:, None])
    return normalize(members.T @ matrix)


def _name(center: Any, stems: Sequence[str], chunks: Sequence[Chunk]) -> str:
    """Name a topic by its weightiest words."""
    import numpy as np

    weights = np.round(center.data, _DECIMALS)
    order = np.lexsort((center.indices, -weights))[:_NAMED_BY]
    wanted = [stems[center.indices[index]] for index in order]
    written = written_words(chunks, wanted)
    return ", ".join(written[each] for each in wanted)

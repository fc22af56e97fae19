"""gaoya's index of strings, filled and asked by its own threads."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from deduping import BANDS, HASHES, JACCARD, RUN, read_texts, report
from gaoya.minhash import MinHashStringIndex

_BATCH_ROWS = 10_000


def dedup(folder: Path) -> npt.NDArray[np.bool_]:
    """Keep the rows of which no earlier one that stays is alike."""
    texts = read_texts(folder)
    index = MinHashStringIndex(
        hash_size=32,
        jaccard_threshold=JACCARD,
        num_bands=BANDS,
        band_size=HASHES // BANDS,
        analyzer="word",
        lowercase=True,
        ngram_range=(RUN, RUN),
        id_container="smallvec",
    )
    index.par_bulk_insert_docs(list(range(len(texts))), texts)
    stays = np.ones(len(texts), np.bool_)
    for first in range(0, len(texts), _BATCH_ROWS):
        for at, found in enumerate(index.par_bulk_query(texts[first : first + _BATCH_ROWS])):
            row = first + at
            stays[row] = not any(other < row and stays[other] for other in found)
    return stays


if __name__ == "__main__":
    report(dedup)

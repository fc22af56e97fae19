"""rensa's inline deduplicator, the way its page shows it, by batches."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import rensa
from deduping import BANDS, HASHES, JACCARD, read_texts, report, runs_of_words

_BATCH_ROWS = 10_000


def dedup(folder: Path) -> npt.NDArray[np.bool_]:
    """Keep the rows that it takes in."""
    texts = read_texts(folder)
    index = rensa.RMinHashDeduplicator(JACCARD, HASHES, True, BANDS)
    stays = []
    for first in range(0, len(texts), _BATCH_ROWS):
        batch = texts[first : first + _BATCH_ROWS]
        stays += index.add_pairs(
            [(str(first + at), runs_of_words(t)) for at, t in enumerate(batch)]
        )
    return np.array(stays, dtype=np.bool_)


if __name__ == "__main__":
    report(dedup)

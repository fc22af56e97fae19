"""datasketch: MinHash in bulk, an LSH index in memory, each row asked before it is put in."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash
from datasketch import MinHash, MinHashLSH
from deduping import BANDS, HASHES, JACCARD, read_texts, report, runs_of_words


def dedup(folder: Path) -> npt.NDArray[np.bool_]:
    """Keep the rows that the index holds nothing like."""
    index = MinHashLSH(threshold=JACCARD, num_perm=HASHES, params=(BANDS, HASHES // BANDS))
    texts = read_texts(folder)
    sets = ([run.encode() for run in runs_of_words(text)] for text in texts)
    stays = np.ones(len(texts), np.bool_)
    sketches = MinHash.generator(sets, num_perm=HASHES, hashfunc=xxhash.xxh32_intdigest)
    for row, sketch in enumerate(sketches):
        if index.query(sketch):
            stays[row] = False
        else:
            index.insert(row, sketch, check_duplication=False)
    return stays


if __name__ == "__main__":
    report(dedup)

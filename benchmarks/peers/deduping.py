"""What the deduplicators share: a Parquet file to read, a mask to write, and the clock."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

# Rows as alike as this are near-duplicates, by the set of their runs of three words.
JACCARD = 0.7
RUN = 3
HASHES, BANDS = 128, 16


def report(dedup: Callable[[Path], npt.NDArray[np.bool_]]) -> None:
    """Deduplicate `rows.parquet` of a folder; saves which rows stay and prints what it cost.

    The function is called for the folder `first` beside it before the clock starts: imports and
    compiling are not counted.
    """
    folder, name = Path(sys.argv[1]), sys.argv[2]
    dedup(folder.parent / "first")
    before, began = cpu_seconds(), time.perf_counter()
    stays = dedup(folder)
    np.save(folder / f"{name}.npy", stays)
    wall = time.perf_counter() - began
    print(json.dumps({"wall_seconds": wall, "cpu_seconds": cpu_seconds() - before}))


def cpu_seconds() -> float:
    """Return the user and system time of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def read_texts(folder: Path) -> list[str]:
    """Return the texts as a list."""
    texts: list[str] = pq.read_table(folder / "rows.parquet", columns=["text"])["text"].to_pylist()
    return texts


def runs_of_words(text: str) -> list[str]:
    """Return the runs of words of a text, as a user would write it."""
    words = text.lower().replace(",", "").replace(".", "").split()
    return [" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1)]

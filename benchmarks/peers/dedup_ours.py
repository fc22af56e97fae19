"""DomainForge's engine, from Parquet to which rows stay."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from deduping import JACCARD, RUN, report

from domainforge.deduplicate.blocks import Workers
from domainforge.deduplicate.near import cluster_texts
from domainforge.deduplicate.shingles import Shingling

_HELD_ROWS = 2_000_000


class Texts:
    """The column of texts, read as often as it is gone through, or held where it is small."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hold = pq.read_metadata(path).num_rows <= _HELD_ROWS
        self._held: list[pa.Array] = []

    def __iter__(self) -> Iterator[pa.Array]:
        """Yield arrays of strings."""
        if self._held:
            yield from self._held
            return
        with Workers() as workers:
            groups = range(pq.read_metadata(self._path).num_row_groups)
            for column in workers.map(self._read, groups):
                if self._hold:
                    self._held += column.chunks
                yield from column.chunks

    def _read(self, group: int) -> pa.ChunkedArray:
        with pq.ParquetFile(self._path) as file:
            return file.read_row_group(group, columns=["text"], use_threads=False)["text"]


def dedup(folder: Path) -> npt.NDArray[np.bool_]:
    """Keep the first row of each cluster."""
    # The rows have 35 words at least: all are long, and compared by words, as the others do.
    shingling = Shingling(words=RUN, long_text_words=20)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        texts = Texts(folder / "rows.parquet")
        labels = cluster_texts(texts, JACCARD, 7, shingling, scratch=Path(scratch)).labels
    return labels == np.arange(len(labels))


if __name__ == "__main__":
    sys.exit(report(dedup))

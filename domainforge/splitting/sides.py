"""Which side each chunk is on, and what it was held out with, a few bytes a chunk."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domainforge.errors import DataError
from domainforge.records import chunk_ids_of
from domainforge.splitting.keys import KeyTable, keys_of

SIDE_COLUMNS = ("id", "unit", "side")
SIDES = ("train", "test")


class SideTable:
    """Sides of chunks, as `assign` wrote them."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Read the table."""
        keys, sides = [], []
        for batch in batches:
            keys.append(keys_of(batch.column("id").to_pylist()))
            numbers = [SIDES.index(side) for side in batch.column("side").to_pylist()]
            sides.append(np.array(numbers, dtype=np.int8))
        self._sides = KeyTable(keys, sides)

    def of(self, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Return the side of each row: that of the passages that it is about.

        Raises:
            DataError: A passage has no side, or a row is about passages of both.
        """
        known = list(rows)
        about = [chunk_ids_of(row) for row in known]
        places = self._sides.find(keys_of(at for ids in about for at in ids))
        found, start = [], 0
        for row, ids in zip(known, about, strict=True):
            found.append(self._one(row, ids, places[start : start + len(ids)]))
            start += len(ids)
        return found

    def _one(self, row: Mapping[str, Any], ids: list[str], places: npt.NDArray[np.int64]) -> str:
        for chunk_id, place in zip(ids, places, strict=True):
            if place < 0:
                raise DataError(
                    f"row {row['id']}: chunk {chunk_id} has no side; run again with --from assign"
                )
        sides = {int(self._sides.values[place]) for place in places}
        if len(sides) > 1:
            raise DataError(
                f"row {row['id']} is about passages of both sides; run again with --from generate"
            )
        return SIDES[sides.pop()]

"""Everything that is split, read again and again in the same order, each row with its side."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domainforge.records import Example
from domainforge.run_folder import Inputs
from domainforge.splitting.passages_as_rows import passage_rows
from domainforge.splitting.sides import SIDE_COLUMNS, SideTable
from domainforge.tables import EXAMPLE_SCHEMA, example_table

Chosen = npt.NDArray[np.bool_]
_EXAMPLES = "judge"


class SplitRows:
    """Examples, general rows and passages, as batches of the schema of examples."""

    def __init__(self, inputs: Inputs, replay: Sequence[Example]) -> None:
        self._inputs = inputs
        self._sides = SideTable(inputs.batches("assign", columns=SIDE_COLUMNS))
        self._replay = example_table(replay)
        self.failed = {row.id: row for row in replay if row.reason}
        messages = (batch.column("messages") for batch in inputs.batches("chunk"))
        self.passages = sum(not one for column in messages for one in column.to_pylist())
        self.total = inputs.count(_EXAMPLES) + len(replay) + self.passages

    def titles(self) -> set[str]:
        """Return the titles of the documents."""
        return {
            title
            for batch in self._inputs.batches("chunk", columns=["title"])
            for title in batch.column("title").to_pylist()
        }

    def written(self) -> Iterator[pa.Table]:
        """Yield what was written by a teacher, or came as it is.

        Raises:
            DataError: A row has no side, or two.
        """
        for batch in self._inputs.batches(_EXAMPLES):
            if batch.num_rows:
                yield self._place(pa.Table.from_batches([batch]))
        if self._replay.num_rows:
            yield place_rows(self._replay, ["train"] * self._replay.num_rows)

    def documents(self) -> Iterator[pa.Table]:
        """Yield the passages as text rows.

        Raises:
            DataError: A chunk has no side.
        """
        for batch in self._inputs.batches("chunk"):
            table = passage_rows(batch.to_pylist())
            if table.num_rows:
                yield self._place(table)

    def _place(self, table: pa.Table) -> pa.Table:
        about = table.select(["id", "chunk_id", "also"]).to_pylist()
        return place_rows(table, self._sides.of(about))


def place_rows(table: pa.Table, sides: Iterable[str]) -> pa.Table:
    """Return rows on these sides, without a reason to drop them."""
    nothing = pa.nulls(table.num_rows, pa.string())
    values = {"side": pa.array(sides, pa.string()), "reason": nothing, "evidence": nothing}
    for name, column in values.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table.select(EXAMPLE_SCHEMA.names).cast(EXAMPLE_SCHEMA)


def is_document(row: Mapping[str, Any]) -> bool:
    """Tell whether a row is a passage of a document, which no teacher wrote."""
    return row["kind"] == "text" and not row["prompt_hash"]


def choose_rows(table: pa.Table, chosen: Chosen) -> pa.Table:
    """Return the rows that are chosen."""
    return table.filter(pa.array(chosen))

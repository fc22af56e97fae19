from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.row_groups import group_rows
from domainforge.run_folder import Output

_SCHEMA = pa.schema([("id", pa.string()), ("chunk_id", pa.string())])


@settings(deadline=None, max_examples=40)
@given(
    values=st.lists(st.sampled_from(["a", "b", "c", "", None]), max_size=40),
    part_rows=st.integers(1, 50),
)
def test_every_row_comes_once_and_those_of_a_value_together(
    values: list[str | None], part_rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    rows = [{"id": f"{at:02d}", "chunk_id": value} for at, value in enumerate(values)]
    Output(folder / "table").write(pa.Table.from_pylist(rows, schema=_SCHEMA))
    batches = list(group_rows(folder / "table", "chunk_id", folder / "scratch", part_rows))
    found = [row for batch in batches for row in batch.to_pylist()]
    assert sorted(found, key=lambda row: str(row["id"])) == rows
    seen = [row["chunk_id"] for row in found]
    for value in set(seen):
        places = [at for at, other in enumerate(seen) if other == value]
        assert places == list(range(places[0], places[0] + len(places)))
        ids = [found[at]["id"] for at in places]
        assert ids == sorted(ids)


def test_large_tables_are_divided_and_nothing_stays(tmp_path: Path) -> None:
    rows = [{"id": f"{at:04d}", "chunk_id": f"c{at % 97}"} for at in range(2000)]
    Output(tmp_path / "table").write(pa.Table.from_pylist(rows, schema=_SCHEMA))
    scratch = tmp_path / "scratch"
    batches = group_rows(tmp_path / "table", "chunk_id", scratch, 300)
    first = next(batches)
    assert first.num_rows <= 512
    assert len(list(scratch.iterdir())) == 7
    assert first.num_rows + sum(batch.num_rows for batch in batches) == 2000
    assert list(scratch.iterdir()) == []

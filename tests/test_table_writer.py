"""Tables of any size: the same rows in any order and any number of segments give the same table."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domainforge.records import stable_id
from domainforge.run_folder import Output, read_table
from domainforge.table_writer import TableWriter, read_batches
from domainforge.tables import content_hash

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("n", pa.int64())])


def rows(count: int) -> list[dict[str, object]]:
    return [{"id": stable_id(n), "text": f"row {n} " * 20, "n": n} for n in range(count)]


@pytest.mark.parametrize("segment_bytes", [10_000, 100_000, None])
def test_any_order_and_any_segments_give_one_table(
    tmp_path: Path, segment_bytes: int | None
) -> None:
    made = rows(3_000)
    expected = content_hash(pa.Table.from_pylist(made, schema=SCHEMA))
    writer = TableWriter(tmp_path / "a", SCHEMA, segment_bytes=segment_bytes)
    for row in reversed(made):
        writer.add(row, len(str(row["text"])))
    summary = writer.finish()
    assert summary == {"rows": 3_000, "content_hash": expected}
    table = read_table(tmp_path / "a")
    assert table["id"].to_pylist() == sorted(str(row["id"]) for row in made)
    assert content_hash(table) == expected
    assert not (tmp_path / "a" / ".segments").exists()
    if segment_bytes == 10_000:
        assert len(list((tmp_path / "a").glob("part-*.parquet"))) > 10


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    assert TableWriter(tmp_path, SCHEMA).finish()["rows"] == 0
    assert read_table(tmp_path).schema == SCHEMA


def test_goes_on_from_flushed_segments_and_drops_what_came_after(tmp_path: Path) -> None:
    made = rows(400)
    first = TableWriter(tmp_path, SCHEMA)
    for row in made[:200]:
        first.add(row)
    kept = first.flush()
    for row in made[200:300]:
        first.add(row)
    first.flush()  # not committed by the caller, so it must not count

    second = TableWriter(tmp_path, SCHEMA, segments=kept)
    assert second.rows == 200
    for row in made[200:]:
        second.add(row)
    expected = content_hash(pa.Table.from_pylist(made, schema=SCHEMA))
    assert second.finish() == {"rows": 400, "content_hash": expected}


def test_shards_of_a_writer_that_was_killed_are_not_kept(tmp_path: Path) -> None:
    """It may have cut the same rows into more of them."""
    made = rows(3_000)
    for segment_bytes in (10_000, None):  # the first was killed when all its shards were there
        writer = TableWriter(tmp_path, SCHEMA, segment_bytes=segment_bytes)
        for row in made:
            writer.add(row, len(str(row["text"])))
        writer.finish()
    assert read_table(tmp_path).num_rows == 3_000


def test_rows_can_come_as_tables(tmp_path: Path) -> None:
    made = rows(50)
    writer = TableWriter(tmp_path, SCHEMA)
    writer.add(made[0])
    writer.add_table(pa.Table.from_pylist(made[1:], schema=SCHEMA))
    writer.finish()
    assert read_table(tmp_path).num_rows == 50


def test_a_stage_writes_and_reads_in_parts(tmp_path: Path) -> None:
    out = Output(tmp_path)
    writer = out.stream(SCHEMA, "big")
    for row in rows(2_000):
        writer.add(row)
    out.finish(writer, "big")
    batches = list(read_batches(tmp_path / "big", ["id", "n"]))
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == out.tables["big"]["rows"] == 2_000
    assert pq.read_schema(tmp_path / "big" / "part-00000.parquet").names == SCHEMA.names

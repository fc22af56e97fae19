import io
import random
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.parquet import stream_parquet
from domainforge.sources.loaded import SourceFile
from tests.sources.samples import load_bytes


def make_parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer, row_group_size=700)
    return buffer.getvalue()


def test_rows_are_documents(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "title": "Ferry", "text": "It runs.", "day": date(1347, 5, 1),
         "at": datetime(2020, 1, 2, 3), "fare": Decimal("2.50"), "tags": ["a", "b"], "raw": b"\0"},
        {"id": None, "title": None, "text": " "},
        {"id": 8, "title": None, "text": None},
    ]  # fmt: skip
    loaded = load_bytes(tmp_path, "x.parquet", make_parquet(rows))
    (document,) = loaded.documents
    assert (document.uri, document.title, document.text) == ("kb/x.parquet#7", "Ferry", "It runs.")
    assert document.metadata["day"] == "1347-05-01"
    assert document.metadata["fare"] == 2.5
    assert document.metadata["tags"] == ["a", "b"]
    assert [(i.uri, i.reason) for i in loaded.dropped] == [("kb/x.parquet#row-2", "empty")]
    assert [(i.uri, i.reason) for i in loaded.faults] == [("kb/x.parquet#8", "no_text_field")]


def test_reading_goes_on_after_any_part(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(make_parquet([{"text": f"row {i}", "id": i % 2000} for i in range(2500)]))
    file = SourceFile(path, "kb/x.parquet", SourceConfig(files="x"))
    with path.open("rb") as handle:
        whole = list(stream_parquet(handle, file, 0))
    assert sum(len(part.documents) for part in whole) == 2500
    for skip in range(len(whole) + 1):
        with path.open("rb") as handle:
            assert list(stream_parquet(handle, file, skip)) == whole[skip:]


def test_damage_is_a_fault(tmp_path: Path) -> None:
    good = make_parquet([{"text": f"row {i}"} for i in range(50)])
    for data in (b"", b"PAR1", good[:-20], good[50:]):
        loaded = load_bytes(tmp_path, "x.parquet", data)
        assert [fault.reason for fault in loaded.faults] == ["unreadable"]
    picker = random.Random(5)
    for _ in range(60):
        damaged = bytearray(good)
        for _ in range(4):
            damaged[picker.randrange(len(damaged))] = picker.randrange(256)
        load_bytes(tmp_path, "x.parquet", bytes(damaged))

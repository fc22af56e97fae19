import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.pile import open_pile
from domainforge.sources.kinds.pile import stream_pile
from domainforge.sources.loaded import SourceFile
from domainforge.sources.wanted import reason_to_pass_over
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all

ROWS: list[dict[str, Any]] = [
    {"text": "The bell of Orl was cast in 1702.", "meta": {"pile_set_name": "Wikipedia (en)"}},
    {"text": "def ring(): ...", "meta": {"pile_set_name": "Github", "text": "no text of the row"}},
    {"text": "No one knows.", "meta": None},
]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def read(project: Path, name: str, data: bytes, **settings: Any) -> list[Any]:
    (project / name).write_bytes(data)
    config = SourceConfig.model_validate({"pile": name, **settings})
    return read_all(open_pile(config, project), SourceReader(project))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("00.jsonl", bytes),
        ("00.jsonl.zst", zstandard.ZstdCompressor().compress),
        ("00.jsonl.gz", gzip.compress),
    ],
)
def test_rows_of_a_shard_are_documents_and_their_meta_stands_beside(
    tmp_path: Path, name: str, pack: Any
) -> None:
    readings = read(tmp_path, name, pack(lines(ROWS)))
    documents = documents_of(readings)
    assert [d.uri for d in documents] == [f"{name}#line-{n}" for n in (1, 2, 3)]
    assert [d.text for d in documents] == [row["text"] for row in ROWS]
    assert [d.metadata.get("pile_set_name") for d in documents] == [
        "Wikipedia (en)", "Github", None
    ]  # fmt: skip
    assert {reading.kind for reading in readings} == {"pile"}


def test_a_subset_is_chosen_by_where(tmp_path: Path) -> None:
    where = {"pile_set_name": ["Wikipedia (en)", "ArXiv"]}
    readings = read(tmp_path, "00.jsonl", lines(ROWS), where=where)
    config = SourceConfig.model_validate({"pile": "00.jsonl", "where": where})
    reasons = [reason_to_pass_over(d, config, 7) for d in documents_of(readings)]
    assert reasons == [None, "not_wanted", "not_wanted"]


def test_a_bad_line_is_its_own_fault_and_a_cut_shard_keeps_what_came_before(tmp_path: Path) -> None:
    bad = lines(ROWS[:1]) + b"\n{broken\n" + lines(ROWS[1:])
    readings = read(tmp_path, "00.jsonl", bad)
    assert [f.uri for f in faults_of(readings)] == ["00.jsonl#line-2"]
    assert len(documents_of(readings)) == 3
    many = lines([{"text": f"{n} {n * 7919 % 10007} {n * 104729 % 99991}"} for n in range(40_000)])
    cut = read(tmp_path, "01.jsonl.zst", zstandard.ZstdCompressor().compress(many)[:-100_000])
    assert 3_000 < len(documents_of(cut)) < 40_000
    # A cut stream of Zstandard ends like a whole one, but within a row.
    assert [fault.reason for fault in faults_of(cut)] == ["bad_line"]


def test_an_interrupted_shard_goes_on_after_the_parts_that_are_there() -> None:
    data = zstandard.ZstdCompressor().compress(lines([{"text": f"n {n}"} for n in range(3500)]))
    file = SourceFile(Path("x"), "x.jsonl.zst", SourceConfig.model_validate({"pile": "x"}))
    parts = list(stream_pile(io.BytesIO(data), file, 0))
    assert len(parts) == 4
    assert list(stream_pile(io.BytesIO(data), file, 3)) == parts[3:]

"""Hugging Face datasets as a source: folders, and a hub on loopback."""

import io
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domainforge.errors import ConfigError, SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.hub_datasets.source import DatasetSource
from domainforge.sources.reading import Reading
from tests.support.hub_server import hub_server
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all

# Reads datasets from the hub of HF_ENDPOINT and prints what came of each, or what went wrong. A
# job may go on from where the first reading of another stopped, or know what that one read.
_READ_FROM_HUB = """
import json, sys
from pathlib import Path
from domainforge.errors import DomainForgeError
from domainforge.sources.config import SourceConfig
from domainforge.sources.hub_datasets.source import DatasetSource
from tests.support.source_reader import SourceReader
found = {}
for name, job in json.loads(sys.argv[1]).items():
    reader = SourceReader(Path("."))
    if "after" in job:
        reader.position = found[job["after"]]["position"]
    if "known" in job:
        reader.revisions = found[job["known"]]["revisions"]
    try:
        source = DatasetSource(SourceConfig(dataset=job["dataset"]), Path("."))
        readings = list(source.read(reader))
    except DomainForgeError as error:
        found[name] = {"error": str(error)}
        continue
    found[name] = {
        "texts": [d.text for r in readings for d in r.loaded.documents],
        "uris": [d.uri for r in readings for d in r.loaded.documents],
        "revisions": {r.uri: r.revision for r in readings},
        "unchanged": [r.unchanged for r in readings],
        "position": readings[0].position,
    }
print(json.dumps(found))
"""
_JOBS: dict[str, dict[str, Any]] = {
    "whole": {"dataset": "owner/rows"},
    "rest": {"dataset": "owner/rows", "after": "whole"},
    "again": {"dataset": "owner/rows", "known": "whole"},
    "private": {"dataset": "owner/private"},
    "private with token": {"dataset": {"name": "owner/private", "token_env": "MY_TOKEN"}},
    "gated": {"dataset": "owner/gated"},
    "gated with token": {"dataset": {"name": "owner/gated", "token_env": "MY_TOKEN"}},
    "gated with a wrong token": {"dataset": {"name": "owner/gated", "token_env": "WRONG_TOKEN"}},
    "nothing": {"dataset": "owner/nothing"},
    "no revision": {"dataset": {"name": "owner/rows", "revision": "v9"}},
    "no config": {"dataset": {"name": "owner/rows", "config": "german"}},
    "unplugged": {"dataset": "owner/unplugged"},
}


def parquet(start: int, count: int, row_group: int = 100) -> bytes:
    numbers = range(start, start + count)
    table = pa.table({"id": [f"n{n}" for n in numbers], "text": [f"Row {n}." for n in numbers]})
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=row_group)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two Parquet files with 600 rows."""
    path = tmp_path / "rows"
    path.mkdir()
    (path / "train-0.parquet").write_bytes(parquet(0, 400))
    (path / "train-1.parquet").write_bytes(parquet(400, 200))
    return path


def source(tmp_path: Path, name: Any = "rows", **fields: Any) -> DatasetSource:
    return DatasetSource(SourceConfig(dataset=name, **fields), tmp_path)


def read(tmp_path: Path, name: Any = "rows", **fields: Any) -> list[Reading]:
    return read_all(source(tmp_path, name, **fields), SourceReader(tmp_path))


def write_rows(tmp_path: Path, *rows: dict[str, Any], name: str = "train") -> None:
    (tmp_path / "rows").mkdir(exist_ok=True)
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (tmp_path / "rows" / f"{name}.jsonl").write_text(lines)


def test_a_folder_is_read_row_by_row(folder: Path, tmp_path: Path) -> None:
    readings = read(tmp_path)
    documents = documents_of(readings)
    assert [d.text for d in documents] == [f"Row {n}." for n in range(600)]
    assert (documents[0].uri, documents[599].uri) == (
        "datasets/rows#row-1",
        "datasets/rows#row-600",
    )
    assert documents[7].metadata == {"id": "n7"}
    assert [r.uri for r in readings] == [f"datasets/rows#rows-{n}" for n in (1, 257, 513)]
    assert {r.kind for r in readings} == {"dataset rows"}


def test_fields_and_values(tmp_path: Path) -> None:
    write_rows(
        tmp_path,
        {"words": "Water rises.", "head": "Tides", "key": "a", "n": 1, "license": "MIT"},
        {"words": "# Boats\n\nThey float.", "head": None, "key": "b", "n": 2, "license": None},
        {"words": " ", "head": "", "key": "c", "n": 3, "license": None},
        {"words": "Again.", "head": "", "key": "a", "n": 4, "license": None},
    )
    readings = read(tmp_path, text_field="words", title_field="head", id_field="key")
    documents = documents_of(readings)
    assert [d.uri.partition("#")[2] for d in documents] == ["a", "b", "row-4"]
    assert [d.title for d in documents] == ["Tides", "Boats", "rows row-4"]
    assert documents[0].license == "MIT"
    assert documents[0].metadata["n"] == 1
    assert [x.reason for x in readings[0].loaded.dropped] == ["empty"]
    with pytest.raises(SourceError, match="set text_field to one of its fields: words, head"):
        read(tmp_path)


def test_the_text_before_cleaning_is_kept_where_asked(tmp_path: Path) -> None:
    write_rows(tmp_path, {"text": "Soft­hyphen."})
    (document,) = documents_of(read(tmp_path, keep_raw=True))
    assert (document.text, document.raw) == ("Softhyphen.", "Soft­hyphen.")
    assert documents_of(read(tmp_path))[0].raw is None


def test_chats_are_written_out(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Tide?"}, {"role": "assistant", "content": "At six."}]
    write_rows(tmp_path, {"messages": turns})
    (document,) = documents_of(read(tmp_path))
    assert document.text == "**user:** Tide?\n\n**assistant:** At six."


def test_a_field_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    write_rows(tmp_path, {"text": 12}, {"text": 13})
    faults = faults_of(read(tmp_path))
    assert [fault.uri for fault in faults] == ["datasets/rows#row-1", "datasets/rows#row-2"]
    assert "int" in faults[0].detail


def test_the_split_is_chosen(tmp_path: Path) -> None:
    write_rows(tmp_path, {"text": "Trained."}, name="train")
    write_rows(tmp_path, {"text": "Tested."}, name="test")
    assert [d.text for d in documents_of(read(tmp_path))] == ["Trained."]
    (tested,) = documents_of(read(tmp_path, {"name": "rows", "split": "test"}))
    assert (tested.text, tested.uri) == ("Tested.", "datasets/rows/test#row-1")
    with pytest.raises(SourceError, match=r"no split 'tst'; there are: test, train"):
        read(tmp_path, {"name": "rows", "split": "tst"})


def test_what_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict({"text": ["One.", "Two."]}).save_to_disk(tmp_path / "rows")
    assert [d.text for d in documents_of(read(tmp_path))] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("train.csv", "text,score\n" + "".join(f"Row {n}.,{n}\n" for n in range(300))),
        ("train.txt", "".join(f"Row {n}.\n" for n in range(300))),
    ],
)
# datasets 4 hands pandas an open CSV file and leaves it to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_kinds_without_types_are_read_and_gone_on_with(
    tmp_path: Path, name: str, data: str
) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / name).write_text(data)
    readings = read(tmp_path)
    assert [d.text for d in documents_of(readings)] == [f"Row {n}." for n in range(300)]
    assert documents_of(readings)[7].metadata == ({"score": 7} if name.endswith("csv") else {})
    reader = SourceReader(tmp_path, position=readings[0].position)
    rest = read_all(source(tmp_path), reader)
    assert [d.uri for d in documents_of(rest)] == [
        f"datasets/rows#row-{n}" for n in range(257, 301)
    ]


@pytest.mark.parametrize("batches", [1, 2])
def test_reading_goes_on_where_it_was(folder: Path, tmp_path: Path, batches: int) -> None:
    first = list(islice(source(tmp_path).read(SourceReader(tmp_path)), batches))
    position = json.loads(json.dumps(first[-1].position))
    rest = read_all(source(tmp_path), SourceReader(tmp_path, position=position))
    texts = [d.text for d in documents_of([*first, *rest])]
    assert texts == [f"Row {n}." for n in range(600)]
    (folder / "train-0.parquet").write_bytes(parquet(1000, 400))
    changed = read_all(source(tmp_path), SourceReader(tmp_path, position=position))
    assert len(documents_of(changed)) == 600, "another dataset is read from its start"


def test_an_unchanged_dataset_is_not_read_again(folder: Path, tmp_path: Path) -> None:
    reader = SourceReader(tmp_path)
    again = reader.take_over(read_all(source(tmp_path), reader))
    assert [r.unchanged for r in read_all(source(tmp_path), again)] == [True] * 3
    del again.revisions["datasets/rows#rows-257"]
    readings = read_all(source(tmp_path), again)
    assert readings[0].unchanged
    assert documents_of(readings)[0].text == "Row 256."
    other = read_all(source(tmp_path, title_field="id"), again)
    assert not any(r.unchanged for r in other)


def test_identity_follows_content_and_settings(folder: Path, tmp_path: Path) -> None:
    first = source(tmp_path).identity()
    assert source(tmp_path, {"name": "rows", "split": "test"}).identity() != first
    (folder / "train-1.parquet").write_bytes(parquet(0, 1))
    assert source(tmp_path).identity() != first


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"script.py": b"raise SystemExit('ran')"}, "a folder needs files"),
        ({"train.parquet": b"PAR1 no parquet at all PAR1"}, "mend it, or leave it out"),
        ({}, "a folder needs files"),
    ],
)
def test_broken_folders_are_told(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    (tmp_path / "rows").mkdir()
    for name, data in files.items():
        (tmp_path / "rows" / name).write_bytes(data)
    with pytest.raises(SourceError) as caught:
        read(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_what_is_no_dataset_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="read it with `files:`"):
        source(tmp_path, "rows/train-0.parquet")
    with pytest.raises(SourceError, match="no folder there"):
        source(tmp_path, "./nowhere")
    with pytest.raises(ConfigError, match="MY_TOKEN is not set"):
        source(tmp_path, {"name": "a/b", "token_env": "MY_TOKEN"})
    with pytest.raises(SourceError, match="unset HF_HUB_OFFLINE"):
        read(tmp_path, "owner/name")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return what came of all jobs; one process, since imports are the most of it."""
    with hub_server() as hub:
        files = {"data/train-0.parquet": parquet(0, 300), "data/train-1.parquet": parquet(300, 300)}
        hub.add("dataset", "owner/rows", files)
        for gate in ("gated", "private", "unplugged"):
            hub.add("dataset", f"owner/{gate}", files, gate=gate)
        environment = os.environ | hub.environment(str(tmp_path_factory.mktemp("hub")))
        environment |= {"MY_TOKEN": hub.token, "WRONG_TOKEN": "hf_secret_but_wrong"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _READ_FROM_HUB, json.dumps(_JOBS)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    results: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return results


@pytest.mark.slow
def test_the_hub_is_streamed(found: dict[str, dict[str, Any]]) -> None:
    assert found["whole"]["texts"] == [f"Row {n}." for n in range(600)]
    assert found["whole"]["uris"][0] == "datasets/owner/rows#row-1"
    assert found["rest"]["texts"] == [f"Row {n}." for n in range(256, 600)]
    assert found["again"]["unchanged"] == [True] * 3


@pytest.mark.parametrize("name", ["private", "gated"])
@pytest.mark.slow
def test_closed_datasets_need_a_token(found: dict[str, dict[str, Any]], name: str) -> None:
    assert "`token_env`" in found[name]["error"]
    assert len(found[f"{name} with token"]["texts"]) == 600


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gated", "accept its terms"),
        ("gated with a wrong token", "the token in WRONG_TOKEN may not read it"),
        ("private", "no folder of that name is in the project); if it is private"),
        ("nothing", "check its name"),
        ("no revision", "check `revision`"),
        ("no config", "set `config`"),
        ("unplugged", "is the Hub reachable?"),
    ],
)
@pytest.mark.slow
def test_what_the_hub_refuses_is_told(
    found: dict[str, dict[str, Any]], name: str, message: str
) -> None:
    assert message in found[name]["error"]
    assert "hf_" not in found[name]["error"]

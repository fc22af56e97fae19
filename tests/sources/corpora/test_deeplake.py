import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.deeplake import DeepLakeSource
from domainforge.sources.kinds.deeplake import dataset_of, import_quietly, stream_deeplake
from domainforge.sources.loaded import SourceFile
from domainforge.sources.reading import FileWork
from domainforge.sources.wanted import reason_to_pass_over
from domainforge.sources.workers import Limits, WorkerPool
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all

TEXTS = ("The bell of Orl was cast in 1702.", "The ferry of Gull costs three marks — café.")


def write(folder: Path, **columns: tuple[str, list[Any]]) -> Path:
    """Write a dataset with the package itself: each column is a type and its values."""
    deeplake = import_quietly()
    dataset = deeplake.create(str(folder))
    for name, (kind, _) in columns.items():
        types = {"vector": deeplake.types.Embedding(3), "dict": deeplake.types.Dict()}
        dataset.add_column(name, types.get(kind, kind))
    dataset.append({name: values for name, (_, values) in columns.items()})
    dataset.commit("written by a test")
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("lakes") / "lake",
        text=("text", list(TEXTS)),
        title=("text", ["Bell", "Ferry"]),
        score=("float32", [0.5, 1.0]),
        year=("int64", [1702, 1850]),
        facts=("dict", [{"founder": "Ansel Rook"}, {"marks": 3}]),
        vector=("vector", [np.zeros(3, np.float32), np.ones(3, np.float32)]),
    )


def source(path: Path | str, project: Path = Path(), **settings: Any) -> DeepLakeSource:
    config = SourceConfig.model_validate({"deeplake": str(path), **settings})
    return DeepLakeSource(config, project)


def test_rows_are_documents_and_columns_their_fields(lake: Path, tmp_path: Path) -> None:
    readings = read_all(source(lake), SourceReader(tmp_path))
    documents = documents_of(readings)
    assert [(d.uri, d.title, d.text) for d in documents] == [
        ("lake#row-1", "Bell", TEXTS[0]),
        ("lake#row-2", "Ferry", TEXTS[1]),
    ]
    assert documents[0].metadata == {
        "score": 0.5, "year": 1702, "facts": {"founder": "Ansel Rook"}
    }  # fmt: skip
    assert not faults_of(readings)
    assert {reading.kind for reading in readings} == {"deeplake"}


def test_a_path_is_relative_to_the_project_and_fields_filter(lake: Path, tmp_path: Path) -> None:
    where = {"year": ">= 1800", "score": 1}
    found = documents_of(read_all(source("lake", lake.parent), SourceReader(tmp_path)))
    config = SourceConfig.model_validate({"deeplake": "lake", "where": where})
    assert [reason_to_pass_over(d, config, 7) for d in found] == ["not_wanted", None]


def test_another_column_may_hold_the_text(lake: Path, tmp_path: Path) -> None:
    settings = {"text_field": "title", "id_field": "year"}
    documents = documents_of(read_all(source(lake, **settings), SourceReader(tmp_path)))
    assert [(d.uri, d.text) for d in documents] == [("lake#1702", "Bell"), ("lake#1850", "Ferry")]


def test_a_dataset_without_a_column_of_text_says_what_it_has(lake: Path, tmp_path: Path) -> None:
    (fault,) = faults_of(read_all(source(lake, text_field="body"), SourceReader(tmp_path)))
    assert fault.reason == "no_text_field"
    assert fault.detail == (
        "no column body; set text_field to one of text, title, score, year, facts"
    )


def test_an_interrupted_reading_goes_on_at_its_row(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "long",
        text=("text", [f"Row {n} of many." for n in range(2500)]),
        id=("text", [f"name-{n % 2400}" for n in range(2500)]),
    )
    config = SourceConfig.model_validate({"deeplake": "long"})
    entry = _entry(folder)
    file = SourceFile(entry, "long", config)
    with entry.open("rb") as handle:
        parts = list(stream_deeplake(handle, file, 0))
        assert [len(part.documents) for part in parts] == [1000, 1000, 500]
        assert parts[2].documents[-1].uri == "long#name-99-row-2500"
        assert list(stream_deeplake(handle, file, 2)) == parts[2:]
    numbered = SourceFile(entry, "long", config.model_copy(update={"id_field": "none"}))
    with entry.open("rb") as handle:
        (last,) = stream_deeplake(handle, numbered, 2)
    assert last.documents[0].uri == "long#row-2001"


def test_an_unchanged_dataset_is_not_read_again(lake: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(lake, copy)
    found = source(copy)
    identity = found.identity()
    readings = read_all(found, SourceReader(tmp_path))
    again = read_all(found, SourceReader(tmp_path).take_over(readings))
    assert [reading.unchanged for reading in again] == [True]
    deeplake = import_quietly()
    dataset = deeplake.open(str(copy))
    dataset.add_column("more", "text")
    dataset.commit()
    assert found.identity() != identity


def test_a_worker_process_reads_it_and_a_broken_one_ends_nothing_else(
    lake: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(lake, broken)
    for path in broken.rglob("*"):
        if path.is_file() and "_deeplake_log" not in path.parts:
            path.write_bytes(b"\x00rubbish")  # the package itself crashes on it
    config = SourceConfig.model_validate({"deeplake": "lake"})
    work = [
        FileWork(SourceFile(_entry(folder), folder.name, config, "deeplake"), "1")
        for folder in (broken, lake)
    ]
    with WorkerPool(Limits(10**8, 60.0, 2 << 30), 1) as pool:
        readings = list(pool.parse(work))
    assert [fault.uri for fault in faults_of(readings)] == ["broken"]
    assert [document.text for document in documents_of(readings)] == list(TEXTS)


def test_a_dataset_whose_log_is_broken_is_a_fault(lake: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(lake, broken)
    for path in (broken / "_deeplake_log").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    (fault,) = faults_of(read_all(source(broken), SourceReader(tmp_path)))
    assert fault.reason == "unreadable"
    assert "no whole dataset" in fault.detail


@pytest.mark.parametrize(
    ("name", "message"),
    [("nothing", "no such folder: .*nothing"), ("empty", "no dataset of Deep Lake 4")],
)
def test_a_folder_that_is_no_dataset(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=message):
        read_all(source(tmp_path / name), SourceReader(tmp_path))


@pytest.mark.parametrize("path", ["s3://bucket/lake", "al://org/lake", "https://a.example/lake"])
def test_addresses_are_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="only a dataset on this machine"):
        SourceConfig.model_validate({"deeplake": path})


def test_the_package_does_not_get_to_report_to_its_maker() -> None:
    code = """
import os
from domainforge.sources.kinds.deeplake import import_quietly
os.environ["HTTPS_PROXY"] = "kept"
import_quietly()
assert os.environ["HTTPS_PROXY"] == "kept" and "https_proxy" not in os.environ
tasks = [open(f"/proc/self/task/{t}/comm").read() for t in os.listdir("/proc/self/task")]
print([name for name in tasks if "sentry" in name])
"""
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


def test_the_dataset_of_a_file_of_its_log() -> None:
    assert dataset_of(Path("/data/lake/_deeplake_log/_meta/next_base")) == Path("/data/lake")


def _entry(folder: Path) -> Path:
    return next(path for path in (folder / "_deeplake_log").glob("*/*") if path.is_file())

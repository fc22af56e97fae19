"""What happens to the worker, not to the file: killed, stuck, left behind; the pool goes on."""

import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import SourceFile
from domainforge.sources.reading import FileWork, Reading
from domainforge.sources.workers import Limits, WorkerPool
from tests.stages.test_ingest_hostile import hungry_pdf, make_zip

_DOCUMENT = {"uri": "a", "title": "b", "text": "c", "uris": [], "sections": []}
ENOUGH = Limits(500_000_000, 60, 2 << 30)


def work(path: Path) -> FileWork:
    return FileWork(SourceFile(path, path.name, SourceConfig(files="x")), "r")


def rows(path: Path, count: int) -> FileWork:
    with path.open("w") as handle:
        for number in range(count):
            handle.write(
                json.dumps({"id": str(number), "text": f"Row {number} of a table."}) + "\n"
            )
    return work(path)


def good(folder: Path) -> FileWork:
    (folder / "good.md").write_text("The ferry crosses every hour.")
    return work(folder / "good.md")


def _loaded(**parts: Any) -> str:
    message = {"loaded": {"documents": [], "dropped": [], "faults": [], **parts}}
    return repr(json.dumps(message).encode() + b"\n")


def kill_worker(pool: WorkerPool) -> None:
    (process,) = pool._processes
    os.kill(process.pid, signal.SIGSEGV)
    process.wait()


def faults(readings: Iterator[Reading] | list[Reading]) -> list[tuple[str, str]]:
    return [(f.uri, f.reason) for reading in readings for f in reading.loaded.faults]


def test_a_parser_that_crashes_ends_its_file_only(tmp_path: Path) -> None:
    with WorkerPool(ENOUGH, count=1) as pool:
        readings = pool.parse([rows(tmp_path / "x.jsonl", 60_000), good(tmp_path)])
        head = list(islice(readings, 1))
        kill_worker(pool)
        rest = list(readings)
    assert head[0].loaded.documents
    assert faults(rest) == [("x.jsonl", "crashed")]
    assert [r.uri for r in rest if r.last] == ["x.jsonl", "good.md"]
    assert rest[-1].loaded.documents
    (fault,) = [f for r in rest for f in r.loaded.faults]
    assert "SIGSEGV" in fault.detail


def test_a_worker_that_dies_between_files_costs_none(tmp_path: Path) -> None:
    with WorkerPool(ENOUGH, count=1) as pool:
        list(pool.parse([good(tmp_path)]))
        (process,) = pool._processes
        os.kill(process.pid, signal.SIGSTOP)  # the next file is handed to it, and not read
        readings = pool.parse([work(tmp_path / "no.kind"), good(tmp_path)])
        next(readings)
        time.sleep(0.3)
        process.kill()
        (reading,) = readings
    assert reading.loaded.documents


def test_the_folder_that_the_user_stands_in_is_not_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dataclasses.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with WorkerPool(ENOUGH, count=1) as pool:
        (reading,) = pool.parse([good(tmp_path)])
    assert reading.loaded.documents


@pytest.mark.slow
def test_a_slow_file_ends_alone(tmp_path: Path) -> None:
    big = tmp_path / "big.html"
    big.write_text("<p>word</p>" * 1_500_000)
    with WorkerPool(Limits(500_000_000, 2, 4 << 30), count=1) as pool:
        # The first file pays for the start of the process.
        readings = list(pool.parse([good(tmp_path), work(big), good(tmp_path)]))
    assert faults(readings) == [("big.html", "too_slow")]
    assert readings[-1].loaded.documents


@pytest.mark.slow
def test_a_large_file_in_little_memory_ends_alone(tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    big.write_text("words and more words\n" * 12_000_000)
    with WorkerPool(Limits(500_000_000, 60, 300 << 20), count=1) as pool:
        readings = list(pool.parse([work(big), good(tmp_path)]))
    assert faults(readings) == [("big.txt", "too_much_memory")]
    assert readings[-1].loaded.documents


@pytest.mark.slow
def test_more_killers_than_patience(tmp_path: Path) -> None:
    members = {f"{n:02}.pdf": hungry_pdf() for n in range(11)} | {"zz.md": b"Never reached."}
    (tmp_path / "x.zip").write_bytes(make_zip(members))
    with WorkerPool(Limits(500_000_000, 20, 200 << 20), count=1) as pool:
        readings = list(pool.parse([work(tmp_path / "x.zip"), good(tmp_path)]))
    named = [uri for uri, _ in faults(readings)]
    assert named == [f"x.zip/{n:02}.pdf" for n in range(10)] + ["x.zip"]
    assert readings[-1].uri == "good.md"


@pytest.mark.parametrize("count", [1, 2])
def test_who_leaves_early_leaves_no_worker_behind(tmp_path: Path, count: int) -> None:
    """A source at its limit: what it had asked for must not keep the next one waiting."""
    many = [rows(tmp_path / f"{n}.jsonl", 20_000) for n in range(3)]
    with WorkerPool(ENOUGH, count=count) as pool:
        readings = pool.parse(many)
        next(readings)
        readings.close()  # type: ignore[attr-defined]  # a generator
        (reading,) = pool.parse([good(tmp_path)])
    assert reading.uri == "good.md"
    assert reading.loaded.documents


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_files_of_several_sources_are_read_side_by_side(tmp_path: Path, count: int) -> None:
    """As in a mixture: what one has read waits for its turn, and keeps no worker from others."""
    names = [f"{number}.jsonl" for number in range(count)]
    with WorkerPool(ENOUGH, count=count) as pool:
        one, other = (
            pool.parse([rows(tmp_path / f"{source}{name}", 8_000) for name in names])
            for source in "ab"
        )
        assert next(one).uri == "a0.jsonl"
        assert {reading.uri for reading in other} == {f"b{name}" for name in names}
        assert len(pool._processes) <= count + 1


def test_a_file_that_nobody_waits_for_keeps_no_worker(tmp_path: Path) -> None:
    with WorkerPool(ENOUGH, count=1) as pool:
        list(pool.parse([good(tmp_path)]))
        (process,) = pool._processes
        os.kill(process.pid, signal.SIGSTOP)
        readings = pool.parse([work(tmp_path / "no.kind"), good(tmp_path)])
        assert next(readings).uri == "no.kind"
        time.sleep(0.3)  # the next one is with the worker by now
        readings.close()  # type: ignore[attr-defined]  # a generator
        started = time.monotonic()
        (reading,) = pool.parse([good(tmp_path)])
    assert reading.loaded.documents
    assert time.monotonic() - started < ENOUGH.max_seconds / 2


def test_a_parser_sees_no_variable_that_may_be_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "HANDBOOK", "api_key", "http_proxy", "PGPASSWORD"):
        monkeypatch.setenv(name, "s3cret-in-the-environment")
    with WorkerPool(ENOUGH, count=1) as pool:
        list(pool.parse([good(tmp_path)]))
        (process,) = pool._processes
        seen = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"PATH=" in seen
    assert b"s3cret" not in seen


@pytest.mark.slow
def test_parts_that_the_caller_has_are_not_read_again(tmp_path: Path) -> None:
    item = rows(tmp_path / "x.jsonl", 20_000)
    with WorkerPool(ENOUGH, count=1) as pool:
        whole = list(pool.parse([item]))
        rest = list(pool.parse([item], lambda uri: 2))
    assert [r.loaded for r in rest] == [r.loaded for r in whole[2:]]


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    item = rows(tmp_path / "x.jsonl", 60_000)
    with WorkerPool(ENOUGH, count=1) as pool:
        readings = pool.parse([item])
        next(readings)
        with item.file.path.open("a") as handle:
            handle.write('{"id": "late", "text": "Added late."}\n')
        rest = list(readings)
    assert faults(rest) == [("x.jsonl", "changed_while_read")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('b"no message\\n"', "crashed"),
        ("b'{}\\n'", "crashed"),
        ("b'[1]\\n'", "crashed"),
        ("""b'{"loaded": {"documents": 5}}\\n'""", "crashed"),
        ("""b'{"loaded": {"documents": [{"a": 1}], "dropped": [], "faults": []}}\\n'""", "crashed"),
        (_loaded(documents=[{**_DOCUMENT, "text": 5}]), "crashed"),
        (_loaded(documents=[{**_DOCUMENT, "metadata": []}]), "crashed"),
        (_loaded(faults=[{"uri": [], "reason": "x", "detail": "y"}]), "crashed"),
        ('b"x" * (400 << 20)', "too_much_memory"),
    ],
)
def test_a_parser_that_was_taken_over_ends_its_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, reason: str
) -> None:
    """What it answers is no message of ours: not JSON, not of our shape, or without an end."""
    code = f"import sys\nif 'PYTHONUNBUFFERED' in __import__('os').environ:\n    write = {answer}\n"
    code += "    sys.stdout.buffer.write(write)\n    sys.stdout.buffer.flush()\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    with WorkerPool(Limits(500_000_000, 60, 300 << 20), count=1) as pool:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(tmp_path))
            bad = list(pool.parse([good(tmp_path)]))
        after = list(pool.parse([good(tmp_path)]))
    assert faults(bad) == [("good.md", reason)]
    assert after[0].loaded.documents


def test_an_answer_without_an_end_is_too_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, sys, time\nwhile 'PYTHONUNBUFFERED' in os.environ:\n"
    code += "    os.write(1, b'x')\n    time.sleep(0.02)\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with WorkerPool(Limits(500_000_000, 0.5, 300 << 20), count=1) as pool:
        assert faults(list(pool.parse([good(tmp_path)]))) == [("good.md", "too_slow")]


def test_what_a_killed_run_left_on_the_side_is_gone(tmp_path: Path) -> None:
    scratch = tmp_path / "documents" / ".parsers"
    scratch.mkdir(parents=True)
    (scratch / "page.png").write_bytes(b"a scanned page")
    with WorkerPool(ENOUGH, count=1, scratch=scratch) as pool:
        assert not list(scratch.iterdir())
        (reading,) = pool.parse([good(tmp_path)])
    assert reading.loaded.documents
    assert not scratch.exists()

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from domainforge.errors import DataError
from domainforge.filters.filtering import filter_rows
from domainforge.filters.pool import Examples, FilterPlan, check_batches
from domainforge.filters.rows import FilterConfig
from domainforge.passages import lay_out
from domainforge.records import Chunk, Example
from domainforge.run_folder import Output
from domainforge.tables import example_table
from tests.support.tables import chunk_table

TEXT = "The ferry over the Osk leaves at six. Its bell was cast in 1742 by Ilse Varga."
CHUNK = Chunk("doc", "ferry.md", "The ferry", (), 0, 0, len(TEXT), TEXT, 20)
QUESTIONS = (
    ("When was the bell cast?", "1742"),
    ("When was the bell cast?", "1743"),
    ("Who cast the bell?", "Ilse Varga"),
    ("Who cast the bell?", ""),
)


def _rows(count: int) -> list[Example]:
    return [
        Example(
            kind="chat",
            document_id="doc",
            uri="ferry.md",
            chunk_id=CHUNK.id,
            start=0,
            end=len(TEXT),
            prompt="qa",
            prompt_hash="h",
            teacher="t",
            messages=(
                {"role": "user", "content": QUESTIONS[number % 4][0]},
                {"role": "assistant", "content": QUESTIONS[number % 4][1]},
            ),
            unit=number,
        )
        for number in range(count)
    ]


def _plan(folder: Path) -> FilterPlan:
    Output(folder / "chunks").write(chunk_table([CHUNK]))
    return FilterPlan(lay_out(folder / "chunks", folder / "scratch"), FilterConfig(), {})


def _batches(rows: list[Example], size: int) -> Iterator[Examples]:
    for batch in example_table(rows).to_batches(max_chunksize=size):
        yield batch.to_pylist()


def test_two_processes_find_what_one_finds_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyarrow.py").write_text("raise SystemExit('a project folder is not code')")
    monkeypatch.chdir(tmp_path)
    rows = _rows(40)
    plan = _plan(tmp_path)
    alone = list(check_batches(plan, _batches(rows, 7), 1))
    assert list(check_batches(plan, _batches(rows, 7), 2)) == alone
    kept, dropped = filter_rows(example_table(rows), chunk_table([CHUNK]), FilterConfig())
    assert [row["id"] for part in alone for row in part.kept] == kept.column("id").to_pylist()
    assert [row["id"] for part in alone for row in part.dropped] == dropped.column("id").to_pylist()
    assert (kept.num_rows, dropped.num_rows) == (20, 20)


@pytest.mark.slow
def test_a_missing_chunk_is_a_named_fault_and_no_process_stays(tmp_path: Path) -> None:
    rows = [*_rows(3), replace(_rows(1)[0], chunk_id="gone")]
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(DataError, match="chunk gone, which isn't there"):
        list(check_batches(_plan(tmp_path), _batches(rows, 1), 2))
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_filter_loudly(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children()}
    batches = check_batches(_plan(tmp_path), _batches(_rows(400), 1), 2)
    next(batches)
    for child in psutil.Process().children():
        if child.pid not in before:
            os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended by itself \\(status -9\\)"):
        list(batches)

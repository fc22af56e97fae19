import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.filters.filtering import Checked
from domainforge.filters.progress import FilterProgress
from domainforge.records import Example
from domainforge.run_folder import Output
from domainforge.table_writer import segment_path
from domainforge.tables import example_table


def _rows(count: int) -> list[dict[str, object]]:
    made = [
        Example(
            kind="text",
            document_id="d",
            uri="u",
            chunk_id="c",
            start=0,
            end=1,
            prompt="p",
            prompt_hash="h",
            teacher="t",
            text=f"row {number}",
            unit=number,
        )
        for number in range(count)
    ]
    return example_table(made).to_pylist()


def _check(rows: list[dict[str, object]]) -> Checked:
    """Drop every third row."""
    checked = Checked([], [])
    for row in rows:
        if int(str(row["unit"])) % 3 == 0:
            checked.dropped.append({**row, "reason": "empty", "evidence": "none"})
        else:
            checked.kept.append(row)
    return checked


def _finish(folder: Path, rows: list[dict[str, object]], *, cut: int, commit: int) -> Output:
    """Take rows from where an earlier writer left off to the end."""
    out = Output(folder)
    done = FilterProgress(out, commit)
    for start in range(done.rows, len(rows), cut):
        done.add(_check(rows[start : start + cut]))
    done.finish(out)
    assert done.rows == len(rows)
    assert done.kept_rows == out.tables[""]["rows"]
    assert done.reasons.total() == out.tables["dropped"]["rows"]
    return out


@settings(deadline=None, max_examples=12)
@given(
    count=st.integers(0, 40),
    stopped=st.integers(0, 40),
    cut=st.integers(1, 9),
    commit=st.integers(1, 20),
)
def test_going_on_gives_the_same_tables(
    count: int, stopped: int, cut: int, commit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = _rows(count)
    whole = _finish(tmp_path_factory.mktemp("whole"), rows, cut=count or 1, commit=10**6)
    folder = tmp_path_factory.mktemp("parts")
    before = FilterProgress(Output(folder), commit)
    for start in range(0, min(stopped, count), cut):
        before.add(_check(rows[start : start + cut]))
    again = _finish(folder, rows, cut=cut, commit=commit)
    assert again.tables == whole.tables


def test_what_was_marked_is_not_checked_again(tmp_path: Path) -> None:
    rows = _rows(25)
    before = FilterProgress(Output(tmp_path), 10)
    before.add(_check(rows[:12]))
    before.add(_check(rows[12:15]))
    assert FilterProgress(Output(tmp_path), 10).rows == 12


def test_marked_segments_that_are_gone_begin_it_again(tmp_path: Path) -> None:
    before = FilterProgress(Output(tmp_path), 10)
    before.add(_check(_rows(12)))
    assert json.loads((tmp_path / ".progress.json").read_text())["rows"] == 12
    segment_path(tmp_path, 0).unlink()
    assert FilterProgress(Output(tmp_path), 10).rows == 0
    out = _finish(tmp_path, _rows(12), cut=5, commit=10)
    assert out.tables[""]["rows"] == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropped", "part-00000.parquet"]

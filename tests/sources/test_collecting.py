"""What each field of a source does to its documents; every account balances."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from domainforge.run_folder import Inputs, Output
from domainforge.sources import collecting
from domainforge.sources.journal import Journal
from domainforge.stage import StageResult
from domainforge.stages import ingest as stage
from tests.stages.test_ingest_again import context_of

SIZE = 1000


def write_pages(project: Path, folder: str, count: int) -> None:
    (project / folder).mkdir()
    for number in range(count):
        text = f"{folder} {number:03d} ".ljust(SIZE - 1, "x") + "."
        (project / folder / f"{number:03d}.txt").write_text(text)


def ingest(project: Path, *sources: dict[str, Any]) -> tuple[StageResult, list[dict[str, Any]]]:
    out = Output(project / "out")
    out.folder.mkdir(exist_ok=True)
    result = stage.run(stage.IngestConfig(), Inputs({}), out, context_of(project, *sources))
    assert result.account.balances
    rows = out.read().to_pylist()
    assert result.account.done == len(rows)
    return result, rows


def characters(rows: list[dict[str, Any]], folder: str) -> int:
    return sum(len(row["text"]) for row in rows if row["uri"].startswith(f"{folder}/"))


@pytest.mark.parametrize("weights", [{"a": 3.0, "b": 1.0}, {"a": 0.5, "b": 0.3, "c": 0.2}])
def test_a_mixture_has_the_weights_until_one_runs_out(
    tmp_path: Path, weights: dict[str, float]
) -> None:
    for folder in weights:
        write_pages(tmp_path, folder, 24)
    write_pages(tmp_path, "plain", 2)
    mixed = [{"files": folder, "weight": weight} for folder, weight in weights.items()]
    result, rows = ingest(tmp_path, *mixed, {"files": "plain"})
    assert "the mixture ended where a had no more, after 24 documents of it" in result.notes
    assert characters(rows, "plain") == 2 * SIZE
    assert characters(rows, "a") == 24 * SIZE  # has most to give, and so runs out first
    for folder, weight in weights.items():
        wanted = 24 * SIZE * weight / weights["a"]
        assert abs(characters(rows, folder) - wanted) <= SIZE


@pytest.mark.slow
def test_a_mixture_ends_at_the_same_place_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "_COMMIT_BYTES", 1)
    lines = [json.dumps({"id": n, "text": f"Row {n}."}) for n in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    write_pages(tmp_path, "b", 4)
    mixed = {"files": "a.jsonl", "limit": 1, "weight": 1.0}, {"files": "b", "weight": 500.0}
    _, whole = ingest(tmp_path, *mixed)
    assert len(whole) == 1 + 3
    commit = Journal.commit

    def interrupted(journal: Journal, segments: int) -> None:
        commit(journal, segments)
        raise KeyboardInterrupt

    for stops in (1, 2):
        shutil.rmtree(tmp_path / "out")
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "commit", interrupted)
            for _ in range(stops):
                with contextlib.suppress(KeyboardInterrupt):
                    ingest(tmp_path, *mixed)
        assert ingest(tmp_path, *mixed)[1] == whole


def test_limit_is_exact_and_stops_the_reading(tmp_path: Path) -> None:
    rows = [json.dumps({"id": n, "text": f"Row {n}."}) for n in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    (tmp_path / "b.txt").write_text("Beyond.")
    result, documents = ingest(tmp_path, {"files": "*.*", "limit": 4})
    assert sorted(row["text"] for row in documents) == [f"Row {n}." for n in range(4)]
    assert result.figures["items"] == 1  # b.txt was never come to


def test_where_and_sample_are_counted(tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"Row {n}.", "score": n} for n in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_pages(tmp_path, "b", 20)
    result, documents = ingest(
        tmp_path,
        {"files": "a.jsonl", "where": {"score": ">= 6"}},
        {"files": "b", "sample_share": 0.5},
    )
    assert {row["text"] for row in documents if row["uri"].startswith("a")} == {
        f"Row {n}." for n in range(6, 10)
    }
    assert result.account.dropped["not_wanted"] == 6
    assert 0 < result.account.dropped["not_sampled"] < 20


def test_a_source_that_gives_nothing_is_named(tmp_path: Path) -> None:
    write_pages(tmp_path, "a", 1)
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "of a.txt").write_bytes((tmp_path / "a" / "000.txt").read_bytes())
    (tmp_path / "none").mkdir()
    write_pages(tmp_path, "b", 1)
    nothing = [{"files": "none"}, {"files": "b", "where": {"langauge": "en"}}, {"files": "a/*"}]
    result, _ = ingest(tmp_path, {"files": "a"}, {"files": "copies"}, *nothing)
    assert [note for note in result.notes if note.startswith("nothing")] == [
        "nothing found in none: no files, pages or rows there",
        "nothing taken from b: not_wanted 1 (by `where`)",
        "nothing taken from a/*: an earlier entry of `sources` has its files",
    ]


def test_what_one_entry_does_not_include_is_there_for_the_next(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    for name in ("a.md", "b.txt", "c.rst"):
        (tmp_path / "kb" / name).write_text(f"Text of {name}.")
    entries: list[dict[str, Any]] = [
        {"files": "kb", "include": ["*.md"], "license": "MIT"},
        {"files": "kb", "include": ["*.txt", "*.md"], "license": "CC0-1.0"},
    ]
    result, rows = ingest(tmp_path, *entries)
    assert {row["uri"]: row["license"] for row in rows} == {"kb/a.md": "MIT", "kb/b.txt": "CC0-1.0"}
    assert result.account.dropped == {"not_included": 1}


def test_license_and_raw_text(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.html").write_text(f"<title>T</title><p>Page {folder}.</p>")
    _, rows = ingest(tmp_path, {"files": "a", "license": "MIT", "keep_raw": True}, {"files": "b"})
    one, other = sorted(rows, key=lambda row: str(row["uri"]))
    assert (one["license"], other["license"]) == ("MIT", None)
    assert "<p>" in one["raw"]
    assert other["raw"] is None

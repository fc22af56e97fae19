"""Ingest the second time: what is unchanged is taken over, and all is as a fresh one has it."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domainforge.context import Context
from domainforge.records import text_hash
from domainforge.run_folder import Inputs, Output
from domainforge.sources.config import SourceConfig
from domainforge.sources.forgotten import add_forgotten
from domainforge.stage import StageResult
from domainforge.stages import ingest as stage
from tests.stages.runs import make_context

Edit = Callable[[Path], Any]


def context_of(project: Path, *sources: dict[str, Any]) -> Context:
    configs = tuple(SourceConfig(**source) for source in sources or ({"files": "kb"},))
    return replace(make_context(project), sources=configs)


def ingest(context: Context, name: str, previous: Output | None = None) -> Any:
    out = Output(context.project / name, previous.folder if previous else None)
    if out.folder.exists():
        shutil.rmtree(out.folder)
    out.folder.mkdir()
    result = stage.run(stage.IngestConfig(), Inputs({}), out, context)
    assert result.account.balances
    return result, out


def parsed(out: Output) -> set[str]:
    """Documents that were not taken over, by the journal."""
    with closing(sqlite3.connect(out.folder / ".items.sqlite")) as file:
        rows = file.execute("SELECT uri FROM documents WHERE carried = 0").fetchall()
    return {uri for (uri,) in rows}


def same(one: tuple[StageResult, Output], other: tuple[StageResult, Output]) -> None:
    """Assert that two ingests gave the same: tables, account, and the list of every item."""
    for table in ("", "dropped", "faults"):
        assert one[1].read(table).to_pylist() == other[1].read(table).to_pylist()
    assert one[1].tables == other[1].tables
    assert one[0].account == other[0].account
    lists = [(out.folder / "ingest.csv").read_text() for _, out in (one, other)]
    assert lists[0] == lists[1]


def make_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.md").write_text("# Alpha\n\nThe lamp was lit by the keeper.")
    (folder / "b.md").write_text("# Beta\n\nThe ferry crosses the sound.")
    (folder / "c.md").write_text("# Alpha\n\nThe lamp was lit by the keeper.")
    rows = [{"id": "x", "text": "Row x."}, {"id": "x", "text": "Row x again."}]
    rows += [{"id": "y", "text": "Row x."}, {"id": "z", "text": "Row z."}]
    (folder / "d.jsonl").write_text("\n".join([*map(json.dumps, rows), "broken"]))
    (folder / "e.png").write_bytes(b"\x89PNG")
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))


EDITS: dict[str, tuple[Edit, set[str] | None]] = {
    "nothing": (lambda kb: None, set()),
    "edited": (lambda kb: (kb / "b.md").write_text("# Beta\n\nIt sank."), {"kb/b.md"}),
    "added": (lambda kb: (kb / "aa.md").write_text("New."), {"kb/aa.md"}),
    "removed": (lambda kb: (kb / "b.md").unlink(), set()),
    "renamed": (lambda kb: (kb / "b.md").rename(kb / "bb.md"), {"kb/bb.md"}),
    "touched": (lambda kb: os.utime(kb / "b.md"), set()),
    "copy made": (lambda kb: shutil.copy(kb / "b.md", kb / "f.md"), set()),
    "earlier copy": (lambda kb: shutil.copy(kb / "b.md", kb / "aa.md"), {"kb/aa.md"}),
    "original removed": (lambda kb: (kb / "a.md").unlink(), {"kb/c.md"}),
    "original edited": (lambda kb: (kb / "a.md").write_text("Else."), {"kb/a.md", "kb/c.md"}),
    # The first row's text comes earlier now: the name it had is free for the second.
    "a row's text elsewhere": (lambda kb: (kb / "aa.md").write_text("Row x."), None),
}
FAST = ("edited", "earlier copy", "original removed")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in EDITS],
)
def test_only_what_changed_is_read_and_all_is_as_fresh(tmp_path: Path, name: str) -> None:
    edit, read = EDITS[name]
    make_folder(tmp_path / "kb")
    context = context_of(tmp_path)
    first = ingest(context, "first")
    edit(tmp_path / "kb")
    again = ingest(context, "again", first[1])
    same(again, ingest(context, "fresh"))
    if read is not None:
        assert parsed(again[1]) == read
        whole = again[0].figures
        assert whole["documents_unchanged"] == whole["documents"] - len(read)


def test_duplicates_within_a_file_and_numbered_names(tmp_path: Path) -> None:
    make_folder(tmp_path / "kb")
    (tmp_path / "kb" / "d.jsonl#z.md").write_text("Else.")
    rows = [{"id": "z.md", "text": "Row."}, {"id": "w", "text": "Row."}]
    (tmp_path / "kb" / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    context = context_of(tmp_path)
    first = ingest(context, "first")
    uris = first[1].read().column("uri").to_pylist()
    assert {"kb/d.jsonl#z.md", "kb/d.jsonl#z.md~2"} <= set(uris)
    again = ingest(context, "again", first[1])
    same(again, first)
    assert parsed(again[1]) == {"kb/d.jsonl#z.md~2"}  # its name depends on the other file
    (tmp_path / "kb" / "d.jsonl").unlink()
    same(ingest(context, "third", again[1]), ingest(context, "fresh"))


def test_sources_swapped(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "kb").mkdir(parents=True)
        (tmp_path / name / "kb" / "same.md").write_text("Same in both.")
        (tmp_path / name / "kb" / "own.md").write_text(f"Only in {name}.")
    sources = [{"files": "one/kb"}, {"files": "two/kb"}]
    first = ingest(context_of(tmp_path, *sources), "first")
    swapped = context_of(tmp_path, *reversed(sources))
    again = ingest(swapped, "again", first[1])
    same(again, ingest(swapped, "fresh"))


def test_a_config_change_reads_only_its_source_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.md").write_text(f"Only in {name}.")
    first = ingest(context_of(tmp_path, {"files": "one"}, {"files": "two"}), "first")
    changed = context_of(tmp_path, {"files": "one", "license": "MIT"}, {"files": "two"})
    again = ingest(changed, "again", first[1])
    same(again, ingest(changed, "fresh"))
    assert parsed(again[1]) == {"one/page.md"}


@pytest.mark.parametrize(
    "limit", [pytest.param(n, marks=() if n == 3 else pytest.mark.slow) for n in (2, 3, 4, 5)]
)
def test_limit_after_an_edit(tmp_path: Path, limit: int) -> None:
    make_folder(tmp_path / "kb")
    context = context_of(tmp_path, {"files": "kb", "limit": limit})
    first = ingest(context, "first")
    rows = [json.dumps({"text": f"Row {n}."}) for n in range(2)]
    (tmp_path / "kb" / "aa.jsonl").write_text("\n".join(rows))
    again = ingest(context, "again", first[1])
    same(again, ingest(context, "fresh"))
    assert again[0].figures["documents"] == limit


@pytest.mark.slow
def test_what_is_forgotten_since_goes_and_may_come_back(tmp_path: Path) -> None:
    make_folder(tmp_path / "kb")
    context = context_of(tmp_path)
    first = ingest(context, "first")
    add_forgotten(tmp_path, [("kb/b.md", text_hash("# Beta\n\nThe ferry crosses the sound."))])
    again = ingest(context, "again", first[1])
    same(again, ingest(context, "fresh"))
    dropped = {row["uri"]: row["reason"] for row in again[1].read("dropped").to_pylist()}
    assert dropped["kb/b.md"] == "forgotten"
    assert "kb/b.md" not in again[1].read().column("uri").to_pylist()
    (tmp_path / "forgotten.jsonl").unlink()
    third = ingest(context, "third", again[1])
    same(third, ingest(context, "fresh"))
    assert parsed(third[1]) == {"kb/b.md"}


def test_files_that_settled_are_not_hashed_again(tmp_path: Path) -> None:
    make_folder(tmp_path / "kb")
    context = context_of(tmp_path)
    out = ingest(context, "first")[1]
    known = stage.known_hashes(out.folder / ".items.sqlite")
    assert {Path(name).name for name in known} == {"a.md", "b.md", "c.md", "d.jsonl"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_edits_give_what_a_fresh_ingest_gives(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    kb = tmp_path / "kb"
    make_folder(kb)
    context = context_of(tmp_path, {"files": "kb", **({"limit": 6} if seed % 2 else {})})
    before = ingest(context, "out-0")
    texts = [f"Text {n}." for n in range(5)]
    for step in range(1, 7):
        for _ in range(chance.randint(1, 3)):
            path = kb / chance.choice(
                ["a.md", "b.md", "c.md", "d.jsonl", "f.jsonl", "d.jsonl#x.md"]
            )
            if path.exists() and chance.random() < 0.3:
                path.unlink()
            elif path.suffix == ".md":
                path.write_text(chance.choice(texts))
            else:
                ids = ["x", "y", "x.md", "x"]
                rows = [{"id": chance.choice(ids), "text": chance.choice(texts)} for _ in range(4)]
                path.write_text("\n".join(map(json.dumps, rows)))
        (kb / "keep.md").write_text("Always there.")
        again = ingest(context, f"out-{step}", before[1])
        same(again, ingest(context, "fresh"))
        before = again

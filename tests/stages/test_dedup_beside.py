"""What dedup looks at beside its rows: passages, other runs, files, an embedding model."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.deciding import Rules
from domainforge.deduplicate.earlier import find_earlier
from domainforge.errors import ConfigError
from domainforge.pipeline import recipe, run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.records import NO_TEACHER, Chunk
from domainforge.run_folder import Inputs, Manifest, Output, RunFolder, read_manifest
from domainforge.stages import dedup as stage
from domainforge.stages.dedup import DedupConfig, dedup_rows
from domainforge.tables import example_table
from tests.stages.runs import make_context
from tests.stages.test_dedup import ANSWER, CLOSE, QUESTION, example
from tests.support.tables import chunk_table

PASSAGE = "The bridge of Veltren has nine arches of stone. Ilse Varga built it over the river Osk."


def write_run(project: Path, name: str, *rows: Any) -> Manifest:
    """A run whose split is whole, with these rows to train on."""
    run = RunFolder(project / "runs" / name)
    run.write_record({"name": name, "stages": {}})
    out = run.begin("splits", "f", resumable=False)
    out.write(example_table(rows), "train")
    values = {"account": {}, "notes": [], "figures": {}, "seconds": 0.0}
    return run.finish("splits", out, {"stage": "split", "fingerprint": "f", **values})


def run_stage(project: Path, config: DedupConfig, *rows: Any) -> tuple[Any, dict[str, Any]]:
    chunks, kept = Output(project / "chunks"), Output(project / "kept")
    chunks.write(chunk_table([Chunk("d", "d.md", "Veltren", (), 0, 0, 9, PASSAGE, 5)]))
    kept.write(example_table(rows))
    inputs = Inputs({"chunk": chunks.folder, "filter": kept.folder})
    out = Output(project / "unique")
    result = stage.STAGE.run(config, inputs, out, make_context(project))
    assert result.account.balances
    dropped = {row["id"]: row for row in out.read("dropped").to_pylist()}
    assert out.read().num_rows + len(dropped) == len(rows)
    return result, dropped


def test_what_another_run_was_trained_on_is_dropped(tmp_path: Path) -> None:
    old = example(QUESTION, ANSWER)
    write_run(tmp_path, "first", old)
    again, near = example(QUESTION, ANSWER, sample=1), example(CLOSE, ANSWER)
    other = example("What does the ferry cost?", "2.50 crowns")
    made = {"teacher": NO_TEACHER, "prompt": "cloze"}
    gap = example(CLOSE, ANSWER, **made)
    result, dropped = run_stage(tmp_path, DedupConfig(against=("first",)), again, near, other, gap)
    # A gap in another place of a sentence that was seen is not a row that was seen.
    assert dropped.keys() == {again.id, near.id}
    assert result.account.dropped == {"seen_before": 2}
    assert dropped[again.id]["evidence"] == f"run first row {old.id}, jaccard 1.00"
    assert dropped[near.id]["evidence"].startswith(f"run first row {old.id}, jaccard 0.8")


def test_the_fingerprint_holds_what_the_other_run_holds(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    config = DedupConfig(against=("first",))
    prints = {recipe(stage.STAGE, DedupConfig(), context)}
    for question in (QUESTION, CLOSE):
        write_run(tmp_path, "first", example(question, ANSWER))
        prints.add(recipe(stage.STAGE, config, context))
    assert len(prints) == 3
    assert read_manifest(tmp_path / "runs/first/splits") is not None


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("against", ["frist"], "dedup.against: frist is no run"),
        ("semantic", {"model": "nowhere"}, "dedup.semantic.model: nowhere is no folder"),
    ],
)
def test_what_is_not_there_shows_before_any_work(
    tmp_path: Path, key: str, value: Any, fault: str
) -> None:
    (tmp_path / "a.md").write_text("# A\n\nText.")
    values = {"name": "own", "sources": [{"files": "a.md"}], "dedup": {key: value}}
    with pytest.raises(ConfigError, match=fault):
        run_pipeline(check_pipeline(values, "p"), tmp_path)
    assert not (tmp_path / "runs/own/documents").exists()


def test_texts_that_copy_their_passage_are_dropped(tmp_path: Path) -> None:
    def text(said: str, **changes: Any) -> Any:
        values = {"kind": "text", "messages": (), "chunk_id": "c", "prompt": "rephrase"}
        passage = Chunk("d", "d.md", "Veltren", (), 0, 0, 9, PASSAGE, 5)
        return example("", "", **{**values, "chunk_id": passage.id, "text": said, **changes})

    copy, own = text(PASSAGE), text("Over the Osk, Ilse Varga put a bridge: nine stone arches.")
    made = text(PASSAGE[:50], teacher=NO_TEACHER)
    result, dropped = run_stage(tmp_path, DedupConfig(), copy, own, made)
    assert dropped.keys() == {copy.id}
    assert result.account.dropped == {"copies_document": 1}
    assert dropped[copy.id]["evidence"].startswith("1.00 of it stands in its passage, 17 words")
    _, dropped = run_stage(tmp_path, DedupConfig(max_copied_share=None), copy, own)
    assert not dropped


WORDS = st.sampled_from(["bridge", "osk", "veltren", "ferry", "eel", "salt", "arch"])
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(TEXTS, max_size=12), old=st.lists(TEXTS, min_size=1, max_size=4))
def test_rows_balance_and_only_what_was_seen_or_has_a_better_one_goes(
    rows: list[str], old: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("old")
    lines = [json.dumps({"text": said}) for said in old]
    (folder / "old.jsonl").write_text("\n".join(lines))
    earlier = find_earlier(["old.jsonl"], folder / "runs", "own", lambda name: folder / name)
    base = DedupConfig(near_jaccard=0.7).rules(7)
    rules = Rules(**{**vars(base), "earlier": earlier})
    table = example_table(
        example("", "", kind="text", messages=(), text=said, sample=at)
        for at, said in enumerate(rows)
    )
    found = dedup_rows(table, rules)
    unique, dropped = found.unique.to_pylist(), found.dropped.to_pylist()
    assert sorted(row["id"] for row in unique + dropped) == table.column("id").to_pylist()
    stays = {row["id"] for row in unique}
    for row in dropped:
        if row["reason"] == "seen_before":
            assert row["evidence"].startswith("old.jsonl row ")
        else:
            assert row["evidence"].split(",")[0] in stays
    assert not {row["text"] for row in unique} & set(old)

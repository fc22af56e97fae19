import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.dry_run import plan_run
from domainforge.filters.filtering import Checked, RowFilter
from domainforge.filters.pool import FilterPlan, check_batches
from domainforge.filters.rows import FilterConfig
from domainforge.label_file import LabelFile
from domainforge.labels import Content, Label, Labels, Verdict, label_row
from domainforge.passages import lay_out
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.records import answer_of
from domainforge.run_folder import Output, RunFolder, read_table
from domainforge.status import read_status
from domainforge.tables import example_table
from tests.stages.test_filter import CHUNK, GOOD, example
from tests.support.small_run import make_project, make_small_run
from tests.support.tables import chunk_table

BAD = ("Who designed the bridge?", "Tove Lind", "The engineer Ilse Varga designed its bridge")


def as_row(*said: str) -> dict[str, Any]:
    found: dict[str, Any] = example_table([example(*said)]).to_pylist()[0]
    return found


def check(row: dict[str, Any], *labels: Label) -> Checked:
    chunks = {chunk["id"]: chunk for chunk in chunk_table([CHUNK]).to_pylist()}
    return RowFilter(chunks, FilterConfig(), labels=Labels(labels)).check([row])


def rewritten(answer: str) -> Content:
    messages = [{"role": "user", "content": GOOD[0]}, {"role": "assistant", "content": answer}]
    return Content.model_validate({"messages": messages})


def test_a_row_that_was_dropped_by_hand_leaves_whatever_the_checks_say() -> None:
    row = as_row(*GOOD)
    label = label_row(row, "drop", Labels(), comment="asked too often")
    (dropped,) = check(row, label).dropped
    assert dropped["reason"] == "reviewed"
    assert dropped["evidence"] == f"dropped on {label.at}: asked too often"
    assert len(check(row, label_row(row, None, Labels(), comment="odd")).kept) == 1


def test_a_row_that_was_kept_by_hand_passes_whatever_the_checks_say() -> None:
    row = as_row(*BAD)
    assert check(row).dropped[0]["reason"] == "unsupported"
    (kept,) = check(row, label_row(row, "keep", Labels())).kept
    scores = json.loads(kept["scores"])
    assert (scores["reviewed"], scores["support"], "edited" in scores) == (1.0, 0.0, False)
    assert kept["reason"] is None


def test_an_edited_row_says_what_it_was_edited_to_and_keeps_its_id() -> None:
    row = as_row(*BAD)
    edit = label_row(row, "keep", Labels(), edited=rewritten("It was Ilse Varga."))
    (kept,) = check(row, edit).kept
    assert (kept["id"], answer_of(kept)) == (row["id"], "It was Ilse Varga.")
    scores = json.loads(kept["scores"])
    assert (scores["edited"], scores["reviewed"], scores["support"]) == (1.0, 1.0, 1.0)
    (again,) = check(kept, edit).kept
    assert again == kept
    (dropped,) = check(row, edit, label_row(kept, "drop", Labels([edit]))).dropped
    assert answer_of(dropped) == "Tove Lind"


@pytest.mark.parametrize("verdict", ["keep", "drop"])
def test_a_label_does_not_bring_a_secret_back(verdict: Verdict) -> None:
    key = "ghp_" + "a1B2c3D4e5F6" * 3
    row = as_row(GOOD[0], f"Ilse Varga, with {key}", GOOD[2])
    (dropped,) = check(row).dropped
    assert (dropped["reason"], key in answer_of(dropped)) == ("secret", False)
    kept, left = check(row, label_row(dropped, verdict, Labels()))
    (found,) = kept or left
    assert found["reason"] == (None if verdict == "keep" else "reviewed")
    assert answer_of(found) == answer_of(dropped)


def test_several_processes_know_the_labels_too(tmp_path: Path) -> None:
    rows = [as_row(*GOOD), as_row(*BAD)]
    labels = Labels([label_row(rows[0], "drop", Labels()), label_row(rows[1], "keep", Labels())])
    out = Output(tmp_path / "chunks")
    out.write(chunk_table([CHUNK]))
    plan = FilterPlan(lay_out(out.folder, tmp_path / "scratch"), FilterConfig(), {}, labels)
    (two,) = check_batches(plan, [rows], 2)
    (one,) = check_batches(plan, [rows], 1)
    assert two == one
    assert [row["id"] for row in one.kept] == [rows[1]["id"]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_small_run(make_project(tmp_path_factory.mktemp("reviewed") / "project"))


def test_a_label_runs_the_filter_and_later_stages_again_and_nothing_else(
    finished: RunFolder,
) -> None:
    project, kept = finished.path.parent.parent, finished.stage_folder("kept")
    pipeline = check_pipeline(json.loads((project / "small.yaml").read_text()), "small.yaml")

    def planned() -> dict[str, str]:
        plans = plan_run(pipeline, project, until_stage="filter").stages
        return {plan.stage: plan.why for plan in plans if plan.state == "would run"}

    assert planned() == {}
    rows = read_table(kept).to_pylist()
    file = LabelFile(project)
    elsewhere = {**rows[0], "id": "another", "chunk_id": "another"}
    file.add(label_row(elsewhere, "drop", Labels()))
    file.add(label_row(rows[1], None, Labels(), comment="no verdict"))
    assert planned() == {}
    assert not read_status(finished).labels_changed
    given = label_row(rows[1], "drop", file.read())
    file.add(given)
    assert planned() == {"filter": "labels were given or taken back"}
    assert read_status(finished).labels_changed
    report = run_pipeline(pipeline, project, until_stage="split")
    states = {state.stage: state.state for state in report.stages}
    assert next(name for name, state in states.items() if state == "done") == "filter"
    assert states["generate"] == "unchanged"
    dropped = read_table(kept, "dropped").to_pylist()
    assert rows[1]["id"] in {row["id"] for row in dropped if row["reason"] == "reviewed"}
    assert planned() == {}
    assert not read_status(finished).labels_changed
    file.undo(given)
    assert planned() == {"filter": "labels were given or taken back"}
    run_pipeline(pipeline, project, until_stage="filter")
    assert read_table(kept).to_pylist() == rows

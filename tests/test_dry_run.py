import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from domainforge.dry_run import DryRun, plan_run
from domainforge.errors import ConfigError, SourceError
from domainforge.pipeline import STAGES, run_pipeline
from domainforge.pipeline_file import check_pipeline
from tests.support.small_run import make_project, make_small_run, pipeline_values
from tests.support.teacher_server import TeacherServer

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("dry") / "project")
    make_small_run(project)
    return project


def plan(project: Path, **more: Any) -> DryRun:
    options = {name: more.pop(name) for name in ("from_stage", "until_stage") if name in more}
    values = json.loads((project / "small.yaml").read_text())
    return plan_run(check_pipeline({**values, **more}, "small.yaml"), project, **options)


def would_run(result: DryRun) -> list[str]:
    return [stage.stage for stage in result.stages if stage.state == "would run"]


def test_what_is_whole_is_unchanged_and_asks_nothing(finished: Path) -> None:
    result = plan(finished)
    assert would_run(result) == ["train", "evaluate", "export"]
    assert result.calls is None


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"dedup": {"near_jaccard": 0.9}}, "dedup"),
        ({"generate": {"tasks": [{"prompt": "ask", "per_chunk": 2}]}}, "generate"),
        ({"from_stage": "filter"}, "filter"),
    ],
)
def test_a_change_reaches_all_that_reads_it(
    finished: Path, change: dict[str, Any], first: str
) -> None:
    assert would_run(plan(finished, **change)) == NAMES[NAMES.index(first) :]


def test_what_writes_the_same_again_changes_nothing_after_it(finished: Path) -> None:
    result = plan(finished, chunk={"max_tokens": 255})
    assert would_run(result) == ["chunk", "train", "evaluate", "export"], "no chunk is that long"


def test_fields_that_shape_nothing_change_nothing(finished: Path) -> None:
    teacher = json.loads((finished / "small.yaml").read_text())["teacher"]
    result = plan(finished, teacher={**teacher, "concurrency": 1}, min_yield_share=0.5)
    assert would_run(result) == ["train", "evaluate", "export"]


def test_calls_are_those_that_the_run_makes(tmp_path: Path, finished: Path) -> None:
    shutil.copytree(finished, tmp_path / "p")
    with TeacherServer() as server:
        values = pipeline_values("http://127.0.0.1:1/v1")
        values["teacher"] |= {"base_url": server.base_url}
        values["generate"]["tasks"][0]["per_chunk"] = 8
        values["name"] = "more"
        pipeline = check_pipeline(values, "p.yaml")
        before = plan_run(pipeline, tmp_path / "p").calls
        assert before is not None
        run_pipeline(pipeline, tmp_path / "p", lambda event: None, until_stage="generate")
        assert before.to_ask == len(server.seen) == before.planned == 40
        again = plan_run(pipeline, tmp_path / "p", from_stage="generate").calls
        assert again is not None
        assert (again.planned, again.in_ledger, again.to_ask) == (40, 40, 0)


def test_a_project_that_never_ran_stays_untouched(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    before = sorted(project.rglob("*"))
    values = pipeline_values("http://127.0.0.1:1/v1")
    values["generate"]["rounds"] = 2
    result = plan_run(check_pipeline(values, "p.yaml"), project)
    assert would_run(result) == NAMES
    assert result.calls is not None
    assert (result.calls.planned, result.calls.in_ledger) == (30, 0)
    assert any("counted is the first of 2 rounds" in note for note in result.notes)
    assert sorted(project.rglob("*")) == before


def test_until_leaves_the_rest_out(finished: Path) -> None:
    result = plan(finished, until_stage="chunk")
    assert [stage.state for stage in result.stages] == ["unchanged"] * 2 + ["left out"] * 9
    with pytest.raises(ConfigError, match="no such stage"):
        plan(finished, until_stage="nope")


def test_what_would_stop_the_run_stops_the_plan(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    values = pipeline_values("http://127.0.0.1:1/v1", sources=[{"files": "gone"}])
    with pytest.raises(SourceError, match="gone"):
        plan_run(check_pipeline(values, "p.yaml"), project)
    values = pipeline_values("http://127.0.0.1:1/v1", evaluate={"control": "gone"})
    with pytest.raises(ConfigError, match=r"evaluate\.control: .*gone"):
        plan_run(check_pipeline(values, "p.yaml"), project)


def test_a_key_that_is_missing_is_told_before_any_work(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_TEACHER_KEY", "something")
    values = pipeline_values("http://127.0.0.1:1/v1")
    entries = [{"api_key_env": name} for name in ("LOST_TEACHER_KEY", "SET_TEACHER_KEY")]
    values["teacher"] |= {"api_key_env": "NO_TEACHER_KEY", "endpoints": entries}
    pipeline = check_pipeline({**values, "name": "keys"}, "p.yaml")
    project = make_project(tmp_path / "p")
    first, second = plan_run(pipeline, project).notes
    assert first.startswith("the environment variable NO_TEACHER_KEY (teacher.api_key_env) is not ")
    assert "LOST_TEACHER_KEY (teacher.endpoints.0.api_key_env)" in second
    events: list[dict[str, Any]] = []
    run_pipeline(pipeline, project, lambda event: events.append(dict(event)), until_stage="ingest")
    assert [event for event in events if event["event"] == "note"] == []
    with pytest.raises(ConfigError, match="NO_TEACHER_KEY"):
        run_pipeline(pipeline, project, lambda event: events.append(dict(event)))
    kinds = [event["event"] for event in events]
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert notes == [first, second]
    assert kinds.index("note") < kinds.index("stage", kinds.index("done"))
    # What the ledger answers needs no key.
    teacher = json.loads((finished / "small.yaml").read_text())["teacher"]
    keyless = {**teacher, "api_key_env": "NO_TEACHER_KEY"}
    assert plan(finished, teacher=keyless, from_stage="generate").notes == ()


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("filter.nli_model", "nowhere", r"filter\.nli_model: no model in .*nowhere"),
        ("filter.toxicity_model", "docs", r"filter\.toxicity_model: no model in .*docs"),
        ("dedup.against", ["gone"], r"dedup\.against: gone is no run"),
        ("split.benchmarks", ["gone.jsonl"], r"split\.benchmarks: no such file: gone\.jsonl"),
        ("split.benchmarks", ["docs"], r"split\.benchmarks: docs is a folder"),
        ("split.benchmarks", ["junk.jsonl"], r"split\.benchmarks: .*junk\.jsonl:1: "),
    ],
)
def test_what_curation_names_and_is_not_there_stops_a_run_before_it_begins(
    tmp_path: Path, key: str, value: Any, fault: str
) -> None:
    project = make_project(tmp_path / "p")
    (project / "docs").mkdir(exist_ok=True)
    (project / "junk.jsonl").write_text("junk\n")
    stage, name = key.split(".")
    pipeline = check_pipeline(
        pipeline_values("http://127.0.0.1:1/v1", **{stage: {name: value}}), "p.yaml"
    )
    for attempt in (plan_run, run_pipeline):
        with pytest.raises(ConfigError, match=fault):
            attempt(pipeline, project)
    assert not (project / "runs" / "small" / "documents").exists()


def test_general_rows_that_are_not_there_stop_a_run_before_it_begins(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    replay = {"split": {"replay": {"file": "none.jsonl"}}}
    train = {"train": {"student": "student", "mixture": {"replay": 0.1}}}
    values = pipeline_values("http://127.0.0.1:1/v1", **replay, **train)
    pipeline = check_pipeline(values, "p.yaml")
    for attempt in (plan_run, run_pipeline):
        with pytest.raises(ConfigError, match=r"split\.replay\.file: no such file: none\.jsonl"):
            attempt(pipeline, project)
    assert not (project / "runs" / "small" / "documents").exists()
    unread = check_pipeline(pipeline_values("http://127.0.0.1:1/v1", **replay), "p.yaml")
    assert plan_run(unread, project, until_stage="chunk").stages

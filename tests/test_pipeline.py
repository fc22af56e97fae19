"""The whole line, end to end, on real parts: documents, HTTP teacher, student, exam, control."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from domainforge.errors import ConfigError, PromptError, YieldError
from domainforge.pipeline import STAGES, RunReport, find_scores, run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import read_manifest, read_table
from domainforge.stage import Account
from tests.support.teacher_server import TeacherServer
from tests.support.whole_run import EXAM, PAGES, make_project, pipeline_values

NAMES = [stage.name for stage in STAGES]
KEY = "sk-recognisable-0123456789"


class Project:
    """A project folder, the server that it asks, and the runs made there."""

    def __init__(self, folder: Path, server: TeacherServer) -> None:
        self.folder = folder
        self.server = server
        self.events: list[Mapping[str, Any]] = []

    def run(
        self, *, from_stage: str | None = None, until_stage: str | None = None, **more: Any
    ) -> RunReport:
        more.setdefault("teacher", {"api_key_env": "TEST_TEACHER_KEY"})
        pipeline = check_pipeline(pipeline_values(self.server.base_url, **more), "test.yaml")
        self.events = []
        return run_pipeline(
            pipeline,
            self.folder,
            self.events.append,
            from_stage=from_stage,
            until_stage=until_stage,
        )

    def states(self, **more: Any) -> dict[str, str]:
        return {state.stage: state.state for state in self.run(**more).stages}

    def hashes(self, name: str = "small") -> dict[str, str]:
        found = {}
        for stage in STAGES:
            manifest = read_manifest(self.folder / "runs" / name / stage.writes)
            if manifest is not None:
                found[stage.name] = manifest.content_hash
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[TeacherServer]:
    with TeacherServer() as running:
        yield running


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_student: Path, server: TeacherServer
) -> tuple[Path, RunReport]:
    folder = make_project(tmp_path_factory.mktemp("whole") / "project", tiny_student)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_TEACHER_KEY", KEY)
        report = Project(folder, server).run()
    return folder, report


@pytest.fixture
def project(
    tmp_path: Path,
    finished: tuple[Path, RunReport],
    server: TeacherServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """A copy of the finished project, to change."""
    monkeypatch.setenv("TEST_TEACHER_KEY", KEY)
    shutil.copytree(finished[0], tmp_path / "project")
    return Project(tmp_path / "project", server)


def test_all_stages_run_and_their_accounts_balance(finished: tuple[Path, RunReport]) -> None:
    folder, report = finished
    assert [state.stage for state in report.stages] == NAMES
    assert {state.state for state in report.stages} == {"done"}
    record = json.loads((folder / "runs" / "small" / "run.json").read_text())
    assert list(record["stages"]) == NAMES
    for state in report.stages:
        assert state.manifest is not None
        account = Account(**state.manifest.account)
        assert account.balances, state.stage
        assert account.total > 0, state.stage
        assert record["stages"][state.stage]["content_hash"] == state.manifest.content_hash
    assert record["seed"] == 7
    assert record["pipeline"]["dedup"]["near_jaccard"] > 0
    assert record["versions"]["torch"]


def test_what_a_stage_hands_on_the_next_one_takes(finished: tuple[Path, RunReport]) -> None:
    accounts = {s.stage: Account(**s.manifest.account) for s in finished[1].stages if s.manifest}
    assert accounts["ingest"].done == accounts["chunk"].total == len(PAGES)
    assert accounts["generate"].done == accounts["filter"].total
    assert accounts["filter"].done == accounts["dedup"].total
    chunks = read_table(finished[0] / "runs" / "small" / "chunks").num_rows
    assert accounts["judge"].done + chunks == accounts["split"].total
    assert accounts["evaluate"].total == len(EXAM)


def test_scores_have_the_shape_of_the_design(finished: tuple[Path, RunReport]) -> None:
    folder, report = finished
    scores = find_scores(folder / "runs" / "small")
    assert scores is not None
    assert scores == report.scores
    assert scores["version"] == 1
    assert scores["verdict"] in {"gained", "not_shown", "lost"}
    assert scores["sentence"]
    wanted = {"name", "slice", "line", "value", "base", "gain", "low", "high"}
    wanted |= {"questions", "documents"}
    assert all(set(metric) == wanted for metric in scores["metrics"])
    lines = {metric["line"] for metric in scores["metrics"]}
    assert lines == {"student", "control", "over_control", "open_book"}
    for metric in scores["metrics"]:
        assert metric["gain"] == pytest.approx(metric["value"] - metric["base"], abs=2e-4)
    assert set(scores["perplexity"]) == {"base", "student"}


def test_a_second_run_changes_nothing_and_asks_nothing(project: Project) -> None:
    before, asked = project.hashes(), len(project.server.seen)
    assert set(project.states().values()) == {"unchanged"}
    assert project.hashes() == before
    assert len(project.server.seen) == asked
    assert [event["event"] for event in project.events][-1] == "done"


def test_transport_fields_run_nothing_again(project: Project) -> None:
    states = project.states(
        teacher={"concurrency": 2, "timeout_seconds": 9, "max_retries": 1},
        train={"threads": 2},
        min_yield_share=0.05,
    )
    assert set(states.values()) == {"unchanged"}


def test_a_changed_filter_runs_filter_and_what_it_changes(project: Project) -> None:
    before = project.hashes()
    states = project.states(filter={"min_answer_words": 5}, until_stage="split")
    assert list(states.values()) == ["unchanged"] * 4 + ["done"] * 4 + ["left out"] * 3
    assert project.hashes()["filter"] != before["filter"]


def test_a_changed_filter_that_changes_no_row_stops_there(project: Project) -> None:
    before = project.hashes()
    states = project.states(filter={"max_question_words": 61})
    assert states == {name: "done" if name == "filter" else "unchanged" for name in NAMES}
    assert project.hashes() == before


def test_a_run_whose_prompts_ask_nothing_needs_no_teacher(project: Project) -> None:
    rows: dict[str, Any] = {"name": "silent", "generate": {"tasks": [{"prompt": "cloze"}]}}
    project.run(until_stage="generate", teacher={"api_key_env": "NO_KEY_OF_A_TEACHER"}, **rows)
    assert not [event for event in project.events if "NO_KEY_OF_A_TEACHER" in str(event)]
    again = project.states(until_stage="generate", teacher={"model": "another"}, **rows)
    assert again["generate"] == "unchanged"


def test_a_broken_prompt_file_shows_before_any_stage(project: Project) -> None:
    with pytest.raises(PromptError, match="no prompt 'quiz'"):
        project.run(name="broken", generate={"tasks": [{"prompt": "quiz"}]})
    assert not (project.folder / "runs" / "broken" / "documents").exists()


def test_an_edited_document_runs_again_and_asks_only_about_it(project: Project) -> None:
    asked = len(project.server.seen)
    page = project.folder / "documents" / "market.txt"
    page.write_text(page.read_text().replace("nine copper marks", "seven copper marks"))
    states = project.states(until_stage="split")
    assert list(states.values()) == ["done"] * 8 + ["left out"] * 3
    new = project.server.seen[asked:]
    assert len(new) == 6
    assert all("seven copper marks" in str(seen.body["messages"]) for seen in new)
    rows = read_table(project.folder / "runs" / "small" / "examples").to_pylist()
    assert not any("nine copper" in str(row["messages"]) for row in rows)


@pytest.mark.slow
def test_an_edited_exam_runs_split_and_evaluation_again(project: Project) -> None:
    exam = project.folder / "exam.jsonl"
    exam.write_text(
        exam.read_text().replace("In what year was the mill made?", "When was it made?")
    )
    states = project.states()
    assert states["split"] == states["evaluate"] == states["export"] == "done"
    assert states["train"] == "unchanged"


def test_from_and_until(project: Project) -> None:
    states = project.states(from_stage="filter", until_stage="dedup")
    wanted = ["unchanged"] * 4 + ["done"] * 2 + ["left out"] * 5
    assert list(states.values()) == wanted
    with pytest.raises(ConfigError, match="--from train comes after --until split"):
        project.run(from_stage="train", until_stage="split")
    with pytest.raises(ConfigError, match="--until splitt: no such stage; there are ingest, chunk"):
        project.run(until_stage="splitt")


def test_a_run_that_stops_before_the_evaluation_has_no_scores(project: Project) -> None:
    assert (project.folder / "runs" / "small" / "scores.json").exists()
    assert project.run(until_stage="split").scores is None
    assert project.run().scores is not None


def test_too_little_yield_fails_and_names_the_barren_documents(
    tmp_path: Path, tiny_student: Path
) -> None:
    def refuse_most(number: int, body: dict[str, Any]) -> str | None:
        return None if "Harrow Bend" in str(body) else "refusal"

    folder = make_project(tmp_path / "project", tiny_student)
    with TeacherServer(refuse_most) as server:
        project = Project(folder, server)
        with pytest.raises(YieldError) as seen:
            project.run(teacher={"json_schema": "yes"}, min_yield_share=0.9, until_stage="split")
        message = str(seen.value)
        assert "Documents that produced nothing (2 of 3):" in message
        assert "documents/light.md" in message
        assert "documents/market.txt" in message
        assert "mill.md" not in message
        assert "min_yield_share asks for 90.0%" in message
        assert "`domainforge show small filter --dropped`" in message
        # The same again fails the same way, though every stage is whole.
        asked = len(server.seen)
        with pytest.raises(YieldError):
            project.run(teacher={"json_schema": "yes"}, min_yield_share=0.9, until_stage="split")
        assert len(server.seen) == asked
        project.run(teacher={"json_schema": "yes"}, min_yield_share=0.1, until_stage="split")
        with pytest.raises(YieldError, match="there is nothing left") as seen:
            project.run(
                teacher={"json_schema": "yes"},
                filter={"min_answer_words": 100},
                min_yield_share=0,
                until_stage="split",
            )
        assert "min_yield_share" not in str(seen.value), "lowering it wouldn't help"


def test_the_exported_model_and_dataset_load_with_the_usual_libraries(
    finished: tuple[Path, RunReport],
) -> None:
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    export = finished[0] / "runs" / "small" / "export"
    model = AutoModelForCausalLM.from_pretrained(export / "model")
    tokenizer = AutoTokenizer.from_pretrained(export / "model")
    chat = [{"role": "user", "content": "Who built the mill?"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
    assert model.generate(**ids, max_new_tokens=2).shape[1] == ids["input_ids"].shape[1] + 2
    rows = load_dataset(str(export / "dataset"), "chat")
    splits = finished[0] / "runs" / "small" / "splits"
    kinds = read_table(splits, "train").column("kind").to_pylist()
    assert rows["train"].num_rows == kinds.count("chat") > 0
    assert [m["role"] for m in rows["train"][0]["messages"]] == ["user", "assistant"]
    texts = load_dataset(str(export / "dataset"), "text")
    assert texts["train"].num_rows == kinds.count("text") > 0


def test_no_key_and_no_private_path_is_in_any_file(finished: tuple[Path, RunReport]) -> None:
    folder, _ = finished
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 30
    private = (KEY, str(folder), str(Path(__file__).parents[1]), os.environ["HF_HOME"])
    for path in files:
        body = path.read_bytes()
        if path.suffix == ".parquet":  # compressed
            body += str(pq.read_table(path, partitioning=None).to_pylist()).encode()
        for text in private:
            assert text.encode() not in body, f"{text} is in {path}"


def test_the_key_was_used(finished: tuple[Path, RunReport], server: TeacherServer) -> None:
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_events_tell_the_story(finished: tuple[Path, RunReport]) -> None:
    lines = (finished[0] / "runs" / "small" / "events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert (events[0]["event"], events[-1]["event"]) == ("run", "done")
    done = [e["stage"] for e in events if e["event"] == "stage" and e["state"] == "done"]
    assert done == NAMES
    assert not any(event["event"] == "progress" for event in events)


@pytest.mark.slow
def test_one_single_document_is_enough(tmp_path: Path, tiny_student: Path) -> None:
    folder = make_project(tmp_path / "project", tiny_student)
    for name in ("light.md", "market.txt"):
        (folder / "documents" / name).unlink()
    (folder / "documents" / "mill.md").write_text(PAGES["mill.md"].split("\n\n##")[0])
    with TeacherServer() as server:
        report = Project(folder, server).run(
            teacher={"json_schema": "yes"},
            generate={"tasks": [{"prompt": "qa", "per_chunk": 24}]},
            train={"epochs": 1},
            evaluate={"exam": None, "control": None},
        )
    assert {state.state for state in report.stages} == {"done"}
    assert report.scores is not None
    assert report.scores["verdict"] == "not_shown"
    assert "no exam was given" in report.scores["sentence"]
    assert read_table(folder / "runs" / "small" / "chunks").num_rows == 1


@pytest.mark.slow
def test_rows_without_a_teacher_do_not_make_up_for_one_that_yields_nothing(
    tmp_path: Path, tiny_student: Path
) -> None:
    def refuse_most(number: int, body: dict[str, Any]) -> str | None:
        return None if "Harrow Bend" in str(body) else "refusal"

    folder = make_project(tmp_path / "project", tiny_student)
    tasks = [{"prompt": "qa", "per_chunk": 1}, {"prompt": "cloze", "per_chunk": 9}]
    settings = {"generate": {"tasks": tasks}, "min_yield_share": 0.6, "until_stage": "split"}
    with TeacherServer(refuse_most) as server:
        project = Project(folder, server)
        with pytest.raises(YieldError, match=r"min_yield_share asks for 60\.0%"):
            project.run(teacher={"json_schema": "yes"}, **settings)
        only = {"generate": {"tasks": tasks[1:]}, "name": "only"}
        assert project.run(teacher={"json_schema": "yes"}, **{**settings, **only}).scores is None

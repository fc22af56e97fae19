"""What a dry run and an estimate say of a judge, beside what the run then asks."""

import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.dry_run import plan_run
from domainforge.errors import ConfigError, PromptError
from domainforge.estimate import describe_estimate, estimate_run
from domainforge.judging.config import JudgeConfig
from domainforge.judging.costs import RowCount, bound_calls
from domainforge.judging.panel import open_panel
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import Pipeline, check_pipeline
from domainforge.prompts import load_prompt
from domainforge.run_folder import read_manifest
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.prices import teacher_price
from tests.judging.rows import CHUNKS
from tests.support.small_run import make_project, pipeline_values
from tests.support.teacher_server import TeacherServer

ENDPOINT = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
PRICE = {"input_usd_per_million": 1, "output_usd_per_million": 20}


def pipeline_of(server: TeacherServer, **judge: Any) -> Pipeline:
    values = pipeline_values(server.base_url, judge=judge)
    values["teacher"] |= {"same_as": "one", "price": PRICE}
    return check_pipeline(values, "p.yaml")


@pytest.mark.slow
def test_what_is_told_is_what_the_run_asks(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    with TeacherServer() as server:
        judging = pipeline_of(server, prompt="judge", round_trip=True)
        early = plan_run(judging, project)
        assert early.calls is not None
        assert early.judge_calls is not None
        assert early.judge_calls.planned == 2 * early.calls.planned, "at most"
        assert any("as if all 30 rows came that far" in note for note in early.notes)
        estimated = estimate_run(judging, project, 3, lambda event: None)
        told = (
            "not counted below: the judge is asked after that, at most 60 requests, at most about"
        )
        assert any(f"{told} $" in line for line in describe_estimate(estimated))
        run_pipeline(pipeline_of(server), project, until_stage="dedup")
        before = len(server.seen)
        plan = plan_run(judging, project, until_stage="judge")
        assert len(server.seen) == before
        report = run_pipeline(judging, project, until_stage="judge")
        manifest = read_manifest(report.folder / "judged")
        assert manifest is not None
        assert plan.judge_calls is not None
        assert plan.calls is None
        assert plan.judge_calls.to_ask == manifest.figures["asked"] == len(server.seen) - before > 0
        assert f"judge would put {plan.judge_calls.planned} requests" in plan.notes[0]
        assert plan_run(judging, project, until_stage="judge").judge_calls is None, "unchanged"
        again = plan_run(judging, project, from_stage="judge", until_stage="judge").judge_calls
        assert again is not None
        assert (again.in_ledger, again.to_ask) == (plan.judge_calls.to_ask, 0)
        assert server.repeats == 0


@pytest.mark.slow
def test_what_would_stop_the_judge_stops_the_run_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "p")
    with TeacherServer() as server:
        for attempt in (plan_run, run_pipeline):
            with pytest.raises(PromptError, match="no prompt 'jugde'"):
                attempt(pipeline_of(server, prompt="jugde"), project)
            dear = {"base_url": "https://judge.example/v1", "model": "m"}
            capped = {**dear, "budget": {"max_usd": 1}}
            with pytest.raises(ConfigError, match="a cap in dollars can't be held"):
                attempt(pipeline_of(server, prompt="judge", teacher=capped), project)
        assert not (project / "runs" / "small" / "documents").exists()
        monkeypatch.delenv("NO_JUDGE_KEY", raising=False)
        keyless = pipeline_of(
            server, prompt="judge", teacher={**dear, "api_key_env": "NO_JUDGE_KEY"}
        )
        notes = []
        with pytest.raises(ConfigError, match="NO_JUDGE_KEY"):
            run_pipeline(keyless, project, lambda event: notes.append(event.get("text", "")))
        assert any("NO_JUDGE_KEY (judge.teacher.api_key_env)" in note for note in notes)


def test_a_preference_takes_two_requests_more() -> None:
    config = JudgeConfig.model_validate({"prompt": "judge", "needs_document": "score"})
    panel = open_panel(config, lambda name: load_prompt(name, Path("/nowhere")))
    price = teacher_price(TeacherConfig.model_validate({**ENDPOINT, "price": PRICE}))
    alike, mixed = (
        bound_calls(panel, RowCount(10, pairs), [*CHUNKS.values()], "chat", price)
        for pairs in (0, 4)
    )
    assert (alike.requests, mixed.requests) == (20, 28)
    assert alike.usd is not None
    assert mixed.usd is not None
    assert mixed.usd > alike.usd > 0
    assert "at most 28 requests" in mixed.describe()


@pytest.mark.slow
def test_the_most_is_no_less_than_what_is_asked_of_preferences(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    with TeacherServer() as server:
        values = pipeline_values(server.base_url, judge={"prompt": "judge"})
        values["generate"] = {"tasks": [{"prompt": "preference", "per_chunk": 1}]}
        plan = plan_run(check_pipeline(values, "p.yaml"), project)
    assert plan.calls is not None
    assert plan.judge_calls is not None
    assert plan.judge_calls.planned == 3 * plan.calls.planned > 0


def test_a_judge_that_nothing_needs_is_no_key() -> None:
    with pytest.raises(ConfigError, match="nobody scores rows; name a prompt file"):
        check_pipeline({"sources": [], "judge": {"min_score": 3}}, "p.yaml")
    values = {"sources": [], "judge": json.loads('{"needs_document": false}')}
    assert check_pipeline(values, "p.yaml").judge.needs_document == "off", "YAML's bare off"

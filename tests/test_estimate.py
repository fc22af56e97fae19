import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from domainforge.cli import app
from domainforge.errors import BudgetError, ConfigError
from domainforge.estimate import (
    LEAST_UNITS,
    Estimate,
    Range,
    describe_estimate,
    estimate_run,
    extrapolate,
)
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.run_folder import read_manifest
from tests.generation.prompts import CHAIN
from tests.support.ledgers import make_ledger
from tests.support.small_run import make_project, pipeline_values, write_pipeline_file
from tests.support.teacher_server import TeacherServer

PRICE = {"input_usd_per_million": 1, "output_usd_per_million": 20}
PER_CHUNK = 20
PLANNED = 5 * PER_CHUNK


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project whose ledger is new but known, so that every test gets the same replies."""
    make_ledger(tmp_path / "project" / "ledger.sqlite")
    return make_project(tmp_path / "project")


def values_for(server: TeacherServer, prompt: str = "ask", **teacher: Any) -> dict[str, Any]:
    values = pipeline_values(server.base_url)
    values["teacher"] |= {"same_as": "one", "price": PRICE, "max_retries": 0, **teacher}
    # What isn't worth asking is found while asking: the plan is then an upper bound.
    values["generate"] = {
        "tasks": [{"prompt": prompt, "per_chunk": PER_CHUNK}],
        "novelty": None,
    }
    return values


def estimate(project: Path, values: dict[str, Any], size: int) -> Estimate:
    return estimate_run(check_pipeline(values, "p.yaml"), project, size, lambda event: None)


def generate(project: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Run up to generate and return its figures."""
    pipeline = check_pipeline(values, "p.yaml")
    report = run_pipeline(pipeline, project, lambda event: None, until_stage="generate")
    manifest = read_manifest(report.folder / "examples")
    assert manifest is not None
    return dict(manifest.figures)


def within(value: float, found: Range) -> bool:
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.expected <= found.high
    return found.low <= value <= found.high


def test_what_the_run_then_takes_lies_within_the_intervals(project: Path) -> None:
    with TeacherServer(delay_seconds=0.01) as server:
        found = estimate(project, values_for(server), 25)
        assert len(server.seen) == found.sample.calls == found.sample.units == 25
        assert (found.planned_calls, found.in_ledger, found.units_left) == (PLANNED, 0, 75)
        figures = generate(project, values_for(server))
        assert len(server.seen) == PLANNED
        assert server.repeats == 0, "the sample's replies are not asked again"
    assert (figures["asked"], figures["replayed"]) == (75, 25)
    assert found.calls == Range(75, 75, 75)
    assert within(figures["prompt_tokens"], found.prompt_tokens)
    assert within(figures["completion_tokens"], found.completion_tokens)
    usd = (figures["prompt_tokens"] * 1 + figures["completion_tokens"] * 20) / 10**6
    assert found.usd is not None
    assert within(usd, found.usd)
    assert found.usd.high is not None
    assert found.usd.high < 2 * usd, "an interval that holds anything says nothing"
    sample = found.sample
    assert sample.usd == pytest.approx((sample.prompt_tokens + 20 * sample.completion_tokens) / 1e6)
    assert figures["usd"] == pytest.approx(usd + sample.usd)
    # 75 calls of 10 ms, at most 8 at a time.
    assert found.hours is not None
    assert 75 * 0.010 / 8 / 3600 < found.hours.expected < 30 / 3600
    assert "$1 in, $20 out per million tokens (the pipeline file)" in found.price


def test_an_estimate_for_batches_asks_live_and_counts_their_price(project: Path) -> None:
    with TeacherServer() as server:
        live = estimate(project, values_for(server), 25)
        values = values_for(server, batch=True, price={**PRICE, "batch_share": 0.5})
        found = estimate(project, values, 25)
    assert live.usd is not None
    assert found.usd is not None
    assert found.sample.calls == 25, "the teacher here has no Batch API"
    per_call = [e.usd.expected / e.calls.expected for e in (live, found) if e.usd]
    assert per_call[1] == pytest.approx(per_call[0] / 2, rel=0.2)
    assert found.hours is None
    assert "at the Batch API $0.5 in, $10 out" in found.price


@pytest.mark.slow
def test_a_sample_of_everything_leaves_nothing_to_guess(project: Path) -> None:
    with TeacherServer() as server:
        found = estimate(project, values_for(server), 10 * PLANNED)
        assert len(server.seen) == found.sample.units == PLANNED
        nothing = Range(0.0)
        assert [found.calls, found.prompt_tokens, found.usd, found.hours] == [nothing] * 4
        again = estimate(project, values_for(server), 10)
        assert (again.in_ledger, again.sample.calls, again.units_left) == (PLANNED, 0, 0)
        assert generate(project, values_for(server))["asked"] == 0
        assert len(server.seen) == PLANNED


def test_where_nothing_is_asked_there_is_nothing_to_estimate(project: Path) -> None:
    found = estimate(
        project, pipeline_values("http://127.0.0.1:9", generate={"tasks": [{"prompt": "cloze"}]}), 5
    )
    assert describe_estimate(found) == ["nothing would be asked of the teacher"]


def test_a_second_sample_is_of_what_is_left(project: Path) -> None:
    with TeacherServer() as server:
        first = estimate(project, values_for(server), LEAST_UNITS - 1)
        assert first.prompt_tokens.expected > 0
        assert first.prompt_tokens.low is first.prompt_tokens.high is None, "too few"
        second = estimate(project, values_for(server), 20)
        assert (second.in_ledger, second.sample.calls, second.units_left) == (9, 20, 71)
        assert len(server.seen) == 29
        assert server.repeats == 0


@pytest.mark.slow
def test_the_seed_draws_the_sample(tmp_path: Path) -> None:
    drawn = []
    for number, seed in enumerate((7, 7, 8)):
        folder = tmp_path / str(number)
        make_ledger(folder / "ledger.sqlite")
        make_project(folder)
        with TeacherServer() as server:
            estimate(folder, {**values_for(server), "seed": seed}, 10)
            drawn.append({seen.sha256 for seen in server.seen})
    assert drawn[0] == drawn[1] != drawn[2]
    sizes = {len(part) for part in drawn}
    assert sizes == {10}


def test_chains_are_asked_to_their_end(project: Path) -> None:
    (project / "prompts" / "chain.md").write_text(CHAIN)

    def refuse(number: int, body: dict[str, Any]) -> str | None:
        first = "Name one fact." in str(body)
        return "refusal" if first and Random(str(body)).random() < 0.4 else None

    with TeacherServer(refuse) as server:
        found = estimate(project, values_for(server, "chain"), 40)
        assert (found.planned_calls, found.sample.units, found.units_left) == (200, 40, 60)
        assert 40 < found.sample.calls == len(server.seen) < 80, "some end after their first step"
        assert found.calls.expected == pytest.approx(60 * found.sample.calls / 40)
        figures = generate(project, values_for(server, "chain"))
        assert server.repeats == 0
    assert within(figures["asked"], found.calls)
    assert within(figures["completion_tokens"], found.completion_tokens)


def test_repairs_count_as_the_calls_that_they_are(project: Path) -> None:
    def spoil(number: int, body: dict[str, Any]) -> str | None:
        is_first = len(body["messages"]) == 2
        return "prose" if is_first and Random(str(body)).random() < 0.4 else None

    with TeacherServer(spoil) as server:
        found = estimate(project, values_for(server), 40)
        assert (found.planned_calls, found.sample.units, found.units_left) == (100, 40, 60)
        assert 40 < found.sample.calls == len(server.seen) < 80
        figures = generate(project, values_for(server))
        assert server.repeats == 0
        again = estimate(project, values_for(server), 10)
    assert within(figures["asked"], found.calls)
    assert (again.planned_calls, again.in_ledger) == (100 + figures["repaired"],) * 2
    assert figures["repaired"] == found.sample.calls - 40 + figures["asked"] - 60


def test_what_failed_is_told_and_will_be_asked_again(project: Path) -> None:
    def fail(number: int, body: dict[str, Any]) -> str | None:
        return "500" if number % 4 == 0 else None

    with TeacherServer(fail) as server:
        found = estimate(project, values_for(server), 20)
    assert found.sample.failed_share == 0.25
    assert found.units_left == PLANNED - 20 + 5


def test_caps_hold_for_the_sample(project: Path) -> None:
    with TeacherServer() as server:
        values = values_for(server, budget={"max_tokens": 3000}, concurrency=1)
        with pytest.raises(BudgetError, match=r"max_tokens.*raise"):
            estimate(project, values, 50)
        assert 0 < len(server.seen) < 50
        kept = len(server.seen)
        found = estimate(project, values_for(server), 1)
        assert found.in_ledger == kept


def test_a_cap_that_the_run_would_meet_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with TeacherServer() as server:
        values = values_for(server, budget={"max_usd": 0.05})
        write_pipeline_file(project / "p.yaml", values)
        said = _call("--estimate", "12", "--plain")
    for line in ("planned: 100 calls", "sample: 12 calls", "with 95 % intervals", "max_usd, $0.05"):
        assert line in said, said
    assert "dollars     $0." in said


def test_an_unknown_price_with_a_cap_stops_before_anything(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    values = pipeline_values("https://gateway.example/v1")
    values["teacher"] |= {"budget": {"max_usd": 1}}
    write_pipeline_file(project / "p.yaml", values)
    for options in (["--estimate", "3"], ["--dry-run"], ["--plain"]):
        result = CliRunner().invoke(app, ["run", "p.yaml", *options])
        assert result.exit_code == ConfigError.exit_code
        assert "the price of local-teacher" in result.output
    assert not (project / "runs" / "small" / "documents").exists()


def test_json_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    with TeacherServer() as server:
        write_pipeline_file(project / "p.yaml", values_for(server))
        line = json.loads(_call("--estimate", "12", "--json"))
    assert line["sample"]["calls"] == 12
    assert line["usd"]["low"] < line["usd"]["expected"] < line["usd"]["high"]


@pytest.mark.parametrize("option", [["--dry-run"], ["--gate"], ["--until", "chunk"]])
def test_options_that_contradict_an_estimate(project: Path, option: list[str]) -> None:
    with TeacherServer() as server:
        path = write_pipeline_file(project / "p.yaml", values_for(server))
        result = CliRunner().invoke(app, ["run", str(path), "--estimate", "3", *option])
        assert result.exit_code == ConfigError.exit_code
        assert not server.seen


@pytest.mark.slow
def test_the_embedded_teacher_costs_nothing(project: Path) -> None:
    values = {**pipeline_values(""), "teacher": {"embedded": True, "threads": 1}}
    values["generate"] = {"tasks": [{"prompt": "qa", "per_chunk": 1}]}
    found = estimate(project, values, 2)
    assert found.sample.calls == 2
    assert found.sample.usd == 0
    assert found.usd == Range(0.0)
    assert found.hours is not None
    assert found.hours.expected > 0
    assert found.price == "free (a server that we start)"


def test_intervals_hold_as_often_as_they_say() -> None:
    random = Random(5)
    held = 0
    for trial in range(200):
        # Skewed as reply lengths are; a third of all units is drawn.
        everyone = [[random.lognormvariate(5, 0.6)] * 5 for _ in range(60)]
        rest = sum(row[0] for row in everyone[20:])
        held += within(rest, extrapolate(everyone[:20], [1] * 20, [1] * 40, trial)[1])
    assert 0.9 <= held / 200 <= 0.99


def test_more_units_narrow_the_interval() -> None:
    widths = []
    for size in (10, 40, 160):
        rows = [[100.0 + 100 * (n % 2)] * 5 for n in range(size)]
        found = extrapolate(rows, [1] * size, [1] * 10_000, 1)[0]
        assert found.high is not None
        assert found.low is not None
        widths.append(found.high - found.low)
    # With the square root of the sample, and a little more for a small one.
    assert widths[0] / widths[1] == pytest.approx(2.2, abs=0.3)
    assert widths[1] / widths[2] == pytest.approx(2.0, abs=0.2)


def _call(*options: str) -> str:
    result = CliRunner().invoke(app, ["run", "p.yaml", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_steps_that_are_planned_are_known_and_not_guessed() -> None:
    rows = [[float(1 + n % 2), 100.0 * (1 + n % 2), 1.0, 1.0, 1.0] for n in range(10)]
    calls, tokens, *_ = extrapolate(rows, [1 + n % 2 for n in range(10)], [1] * 90 + [2] * 7, 1)
    assert (calls.low, calls.expected, calls.high) == (104, 104, 104), "no repairs, no guess"
    assert tokens.expected == 10_400

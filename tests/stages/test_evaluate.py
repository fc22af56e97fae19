import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import ConfigError, DataError
from domainforge.stages import evaluate as stage
from domainforge.stages.evaluate import EvaluateConfig
from tests.stages.students import SmallRun, mix_replay, write_control
from tests.training.rows import make_rows

QUICK: dict[str, Any] = {"max_answer_tokens": 3}


@pytest.fixture
def small(tmp_path: Path, tiny_student: Path) -> SmallRun:
    run = SmallRun(tmp_path, tiny_student)
    run.train()
    write_control(tmp_path / "control", make_rows(9, 9))
    return run


def scores_of(small: SmallRun) -> dict[str, Any]:
    folder = small.inputs.folder("evaluate")
    return dict(json.loads((folder / "scores.json").read_text()))


def test_exam_and_control_from_end_to_end(small: SmallRun) -> None:
    result = small.run(stage.STAGE, EvaluateConfig(control="control", **QUICK))
    scores = scores_of(small)
    assert scores["verdict"] == result.figures["verdict"]
    assert scores["sentence"] == result.figures["sentence"]
    assert scores["slices"] == {"one_passage": 12, "held_out": 4}
    assert {m["line"] for m in scores["metrics"]} == {
        "student",
        "control",
        "over_control",
        "open_book",
    }
    assert {m["questions"] for m in scores["metrics"] if m["slice"] == "one_passage"} == {12}
    assert scores["perplexity"]["student"].keys() == {
        "validation_chat",
        "test_chat",
        "test_text",
    }
    assert scores["perplexity"]["student"] != scores["perplexity"]["base"]
    gains = {(m["line"], m["slice"], m["name"]): m["gain"] for m in scores["metrics"]}
    assert gains["student", "one_passage", "log_likelihood"] > 0.5  # the very same words, twice
    rows = small.inputs.table("evaluate", "questions").to_pylist()
    assert Counter(row["line"] for row in rows) == dict.fromkeys(
        ("base", "student", "open_book", "control"), 16
    )
    assert not (small.inputs.folder("evaluate") / "work").exists()
    assert (result.account.unit, result.account.done) == ("questions", 16)
    assert result.notes == ()


@pytest.mark.slow
def test_the_control_gets_the_same_dose(small: SmallRun) -> None:
    small.run(stage.STAGE, EvaluateConfig(control="control", open_book=False, **QUICK))
    tokens = [
        fields["tokens"]
        for kind, fields in small.events
        if kind == "progress" and fields.get("what") == "control training" and "tokens" in fields
    ]
    dose = small.inputs.manifest("train").figures["tokens"]
    assert dose - 80 < tokens[-1] <= dose


class Stop:
    """Raises at a chosen progress event, as Ctrl-C does."""

    def __init__(self, what: str, count: int) -> None:
        self.what, self.left = what, count

    def __call__(self, kind: str, fields: Any) -> None:
        if kind == "progress" and fields.get("what") == self.what:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("what", "count", "kept"),
    [
        ("student", 1, {"base"}),
        pytest.param("control training", 3, {"base", "student"}, marks=pytest.mark.slow),
        pytest.param("control", 1, {"base", "student"}, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_evaluation_goes_on(
    small: SmallRun, what: str, count: int, kept: set[str]
) -> None:
    config = EvaluateConfig(control="control", open_book=False, **QUICK)
    with pytest.raises(KeyboardInterrupt):
        small.run(stage.STAGE, config, replace(small.context, emit=Stop(what, count)))
    work = small.folder.path / ".evaluation.unfinished" / "work"
    assert {path.stem for path in work.glob("*.json")} - {"dose"} == kept
    for name in kept:  # what was measured is marked, so that measuring it again would show
        stored = json.loads((work / f"{name}.json").read_text())
        stored[0]["answer"] = f"measured before: {name}"
        (work / f"{name}.json").write_text(json.dumps(stored))
    small.events.clear()
    small.run(stage.STAGE, config)
    answers = scores_of(small)["questions"][0]["answers"]
    assert {name for name, text in answers.items() if text.startswith("measured before")} == kept
    assert answers.keys() == {"base", "student", "control"}
    trained = [fields for _, fields in small.events if fields.get("what") == "control training"]
    assert bool(trained) == (what != "control")


@pytest.mark.slow
def test_the_dose_of_student_and_control_is_told(small: SmallRun) -> None:
    small.add_rows()
    small.train(mix_replay(0.3))  # the control has no general rows: it gets the student's
    small.run(stage.STAGE, EvaluateConfig(control="control", open_book=False, **QUICK))
    dose = scores_of(small)["dose"]
    assert dose["control_tokens"] == pytest.approx(dose["student_tokens"], rel=0.1)
    assert scores_of(small)["perplexity"]["student"].keys() == {
        "validation_chat",
        "test_chat",
        "test_text",
    }


@pytest.mark.slow
def test_a_control_that_lacks_a_kind_of_row_is_refused(small: SmallRun) -> None:
    path = small.context.find("control") / "rows.jsonl"
    texts = [line for line in path.read_text().splitlines() if json.loads(line)["kind"] == "text"]
    path.write_text("\n".join(texts) + "\n")
    with pytest.raises(DataError, match="no chat rows"):
        small.run(stage.STAGE, EvaluateConfig(control="control", open_book=False, **QUICK))


def test_without_a_control(small: SmallRun) -> None:
    result = small.run(stage.STAGE, EvaluateConfig(open_book=False, **QUICK))
    assert "Style is not excluded" in result.figures["sentence"]
    assert result.notes == ("no control was trained: style is not excluded (evaluate.control)",)
    assert {m["line"] for m in scores_of(small)["metrics"]} == {"student"}


def test_without_an_exam_nothing_is_claimed(small: SmallRun) -> None:
    context = replace(small.context, exam_path=None)
    result = small.run(stage.STAGE, EvaluateConfig(control="control", **QUICK), context)
    assert result.figures["verdict"] == "not_shown"
    assert "no exam was given" in result.figures["sentence"]
    scores = scores_of(small)
    assert scores["metrics"] == []
    assert scores["perplexity"]["student"]["test_text"] > 1
    assert result.account.total == 0


def test_questions_that_cannot_be_placed_are_told(small: SmallRun, tmp_path: Path) -> None:
    exam = tmp_path / "odd.jsonl"
    exam.write_text('{"question": "Who?", "answers": ["Nobody"], "answer_kind": "person"}\n')
    context = replace(small.context, exam_path=exam)
    result = small.run(stage.STAGE, EvaluateConfig(**QUICK), context)
    assert result.notes[:2] == (
        "1 questions have no other answer of their kind to stand out from",
        "1 questions have no passage among the documents",
    )
    assert result.figures["verdict"] == "not_shown"


def test_a_control_that_is_not_there_stops_before_measuring(small: SmallRun) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.control"):
        small.run(stage.STAGE, EvaluateConfig(control="nowhere", **QUICK))
    assert not any(kind == "progress" and "what" in fields for kind, fields in small.events)


@pytest.mark.slow
def test_what_the_scores_depend_on(small: SmallRun, tmp_path: Path) -> None:
    def identity(**changes: Any) -> dict[str, Any]:
        return stage.identify(EvaluateConfig(**changes), replace(small.context))

    plain = identity()
    assert identity(control="control") != plain
    before = identity(control="control")
    write_control(tmp_path / "other", make_rows(1, 1))
    assert identity(control="other")["control"] != before["control"]
    assert small.context.exam_path is not None
    with small.context.exam_path.open("a") as handle:
        handle.write('{"question": "New?", "answers": ["yes"]}\n')
    assert identity()["exam"] != plain["exam"]

import json
from typing import Any

import numpy as np
import pytest

from domainforge.evaluation.measure import METRICS, Measured
from domainforge.evaluation.questions import Item, prepare_items
from domainforge.evaluation.verdict import Metric, as_scores, compare_lines, decide
from tests.evaluation.exams import make_chunks, make_exam

QUESTIONS = 40
DOCUMENTS = 8
ITEMS = prepare_items(
    make_exam(QUESTIONS, documents=DOCUMENTS), make_chunks(QUESTIONS, documents=DOCUMENTS), {}
)


def metric(name: str, line: str, low: float | None, high: float | None, **changes: Any) -> Metric:
    gain = 0.0 if low is None or high is None else (low + high) / 2
    values: dict[str, Any] = {
        "name": name,
        "slice": "one_passage",
        "line": line,
        "value": 0.5,
        "base": 0.25,
        "gain": gain,
        "low": low,
        "high": high,
        "questions": 40,
        "documents": 8,
    }
    return Metric(**{**values, **changes})


@pytest.mark.parametrize("line", ["over_control", "student"])
@pytest.mark.parametrize(
    ("likelihood", "contrast", "min_gain", "word"),
    [
        ((0.1, 0.5), (0.1, 0.5), 0.0, "gained"),
        ((0.1, 0.5), (0.1, 0.5), 0.2, "not_shown"),
        ((0.1, 0.5), (-0.1, 0.5), 0.0, "not_shown"),
        ((-0.1, 0.5), (0.1, 0.5), 0.0, "not_shown"),
        ((0.0, 0.5), (0.1, 0.5), 0.0, "not_shown"),
        ((0.1, 0.5), (-0.5, -0.1), 0.0, "lost"),
        ((0.1, 0.5), (-0.5, -0.1), 0.2, "not_shown"),
        ((-0.5, -0.1), (-0.1, 0.1), 0.0, "lost"),
        ((-0.5, -0.1), (0.1, 0.5), 0.0, "not_shown"),
        ((-0.5, 0.0), (-0.5, 0.0), 0.0, "not_shown"),
    ],
)
def test_the_word(
    line: str,
    likelihood: tuple[float, float],
    contrast: tuple[float, float],
    min_gain: float,
    word: str,
) -> None:
    metrics = [
        metric("log_likelihood", line, *likelihood),
        metric("pmi_contrast", line, *contrast),
        # What must not count: other slices, and the student's own line beside the control's.
        metric("pmi_contrast", line, 9.0, 9.5, slice="held_out"),
        metric("pmi_contrast", "control", -9.5, -9.0),
    ]
    found, sentence = decide(metrics, min_gain)
    assert found == word
    assert sentence.startswith(word.replace("_", " ") + ":")
    assert f"[{contrast[0]:+.2f}, {contrast[1]:+.2f}]" in sentence
    assert "40 one-passage questions on 8 documents" in sentence


def test_the_control_counts_before_the_base() -> None:
    metrics = [
        metric(name, line, *bounds)
        for name in ("log_likelihood", "pmi_contrast")
        for line, bounds in (("student", (1.0, 2.0)), ("over_control", (-0.1, 0.1)))
    ]
    word, sentence = decide(metrics, 0.0)
    assert word == "not_shown"
    assert "a control of the same recipe" in sentence
    assert "Style is not excluded" not in sentence


def test_without_a_control_style_is_not_excluded() -> None:
    metrics = [metric(name, "student", 0.1, 0.5) for name in METRICS]
    word, sentence = decide(metrics, 0.0)
    assert word == "gained"
    assert "than the base model" in sentence
    assert "Style is not excluded: name a control (evaluate.control)" in sentence
    assert "picks the right answer 50% of the time against 25%" in sentence


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ([], "no one-passage question about a trained document"),
        ([metric("pmi_contrast", "student", 1, 2)], "no one-passage question"),
        ([metric("log_likelihood", "student", 1, 2)], "no question has another answer of its kind"),
        (
            [
                metric("log_likelihood", "student", None, None, questions=3),
                metric("pmi_contrast", "student", None, None, questions=3),
            ],
            "3 one-passage questions are too few",
        ),
    ],
)
def test_what_cannot_be_said(metrics: list[Metric], reason: str) -> None:
    word, sentence = decide(metrics, 0.0)
    assert word == "not_shown"
    assert reason in sentence


def test_a_student_worse_than_its_base_has_not_gained_over_a_wrecked_control() -> None:
    metrics = [
        metric("log_likelihood", "over_control", 0.5, 1.0),
        metric("pmi_contrast", "over_control", 0.5, 1.0),
        metric("pmi_contrast", "student", -0.9, -0.5),
    ]
    assert decide(metrics, 0.0)[0] == "not_shown"
    better = [*metrics[:2], metric("pmi_contrast", "student", 0.1, 0.5)]
    assert decide(better, 0.0)[0] == "gained"


def answers(likelihoods: Any, contrasts: Any) -> list[Measured]:
    return [
        Measured(float(x), 0.0, 0.0, float(c), float(c > 0), 0.0, 0.0, "")
        for x, c in zip(likelihoods, contrasts, strict=True)
    ]


def simulate(rng: np.random.Generator, style: float, knowledge: float) -> dict[str, list[Measured]]:
    """Lines with the noise of questions and of documents, as trained models show it."""
    documents = [int(item.document.split("/")[1][0]) for item in ITEMS]
    base = rng.normal(-3, 1, QUESTIONS)
    contrast = rng.normal(0.2, 0.5, QUESTIONS)

    def trained(gain: float) -> list[Measured]:
        luck, also = rng.normal(0, 0.1, (2, DOCUMENTS))
        more = gain + luck[documents] + rng.normal(0, 0.3, QUESTIONS)
        return answers(
            base + style + more, contrast + gain + also[documents] + rng.normal(0, 0.3, QUESTIONS)
        )

    return {"base": answers(base, contrast), "student": trained(knowledge), "control": trained(0.0)}


def verdicts(style: float, knowledge: float, trials: int, *, control: bool = True) -> list[str]:
    rng = np.random.default_rng(17)
    words: list[str] = []
    for trial in range(trials):
        lines = simulate(rng, style, knowledge)
        del lines["base" if control else "control"]  # only what the verdict is read from
        words.append(decide(compare_lines(ITEMS, lines, trial), 0.0)[0])
    return words


@pytest.mark.slow
def test_without_a_difference_a_gain_is_hardly_ever_said() -> None:
    words = verdicts(style=1.2, knowledge=0.0, trials=300)
    assert words.count("gained") <= 0.05 * 300
    assert words.count("lost") <= 0.1 * 300


@pytest.mark.slow
def test_style_alone_is_no_gain_even_without_a_control() -> None:
    words = verdicts(style=1.2, knowledge=0.0, trials=100, control=False)
    assert words.count("gained") <= 5
    metrics = compare_lines(ITEMS, simulate(np.random.default_rng(1), 1.2, 0.0), 7)
    own = next(m for m in metrics if (m.name, m.line) == ("log_likelihood", "student"))
    assert own.low is not None
    assert own.low > 0.9  # so much likelier, and yet


def test_knowledge_is_found() -> None:
    assert verdicts(style=1.2, knowledge=0.5, trials=40).count("gained") >= 36


def test_less_knowledge_than_the_control_is_found() -> None:
    assert verdicts(style=1.2, knowledge=-0.5, trials=40).count("lost") >= 36


def test_the_lines_that_are_compared() -> None:
    lines = simulate(np.random.default_rng(1), 1.0, 0.5)
    metrics = compare_lines(ITEMS, {**lines, "open_book": lines["student"]}, 7)
    assert {m.line for m in metrics} == {"student", "control", "over_control", "open_book"}
    assert {m.name for m in metrics} == set(METRICS)
    assert {m.slice for m in metrics} == {"one_passage"}
    over = next(m for m in metrics if (m.name, m.line) == ("pmi_contrast", "over_control"))
    assert over.gain == pytest.approx(over.value - over.base)
    own, control = (
        next(m for m in metrics if (m.name, m.line) == ("pmi_contrast", line))
        for line in ("student", "control")
    )
    assert over.gain == pytest.approx(own.gain - control.gain)
    assert (over.questions, over.documents) == (QUESTIONS, DOCUMENTS)


def test_slices_stay_apart_and_questions_without_distractors_out_of_contrast() -> None:
    items = [
        Item(item.question, "held_out" if i < 6 else "one_passage", item.document, None, ())
        for i, item in enumerate(ITEMS)
    ]
    lonely = Measured(-1.0, None, None, None, None, 0.0, 0.0, "")
    lines = {"base": [lonely] * QUESTIONS, "student": answers([-0.5] * 40, [0.5] * 40)}
    counts = {(m.slice, m.name): m.questions for m in compare_lines(items, lines, 7)}
    assert counts == {
        (slice_, name): count
        for slice_, count in (("one_passage", 34), ("held_out", 6))
        for name in ("log_likelihood", "token_f1", "exact_match")
    }


def test_scores_are_plain_json() -> None:
    metrics = [metric("pmi_contrast", "student", 0.123456789, None)]
    scores = as_scores("gained", "gained: ...", metrics, {"base": {"test_text": 9.0}}, {"more": 1})
    assert scores["metrics"][0]["low"] == 0.1235
    assert json.loads(json.dumps(scores)) == scores
    assert scores["more"] == 1

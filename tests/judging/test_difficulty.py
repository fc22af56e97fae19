import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domainforge.judging.config import DifficultyConfig
from domainforge.judging.difficulty import DifficultyScorer
from domainforge.judging.marks import mark_rows
from tests.judging.rows import make_row
from tests.support.tiny_student import make_tiny_student


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_student(tmp_path_factory.mktemp("student"))


def rows() -> list[dict[str, Any]]:
    said = (
        ("Who opens the mill?", "The keeper."),
        ("What burns? " * 9, "The lamp of the harbour burns oil every night."),
        ("keeper bread " * 30, "Bread"),
    )
    made = [make_row(*pair) for pair in said]
    return [{**row, "id": str(at), "reason": None, "scores": "{}"} for at, row in enumerate(made)]


def loss_by_hand(student: Path, prompt: str, answer: str) -> float:
    """Return the mean loss of the answer's tokens, one forward pass and nothing shared."""
    import torch

    from domainforge.training.students import load_model, load_tokenizer

    model, tokenizer = load_model(student), load_tokenizer(student)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    ids = tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]
    assert ids[: len(before)] == before
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids]).to(model.device)).logits[0].float().cpu()
    losses = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")
    return float(losses[len(before) - 1 :].mean())


def test_it_is_the_loss_after_the_question_over_the_loss_without(student: Path) -> None:
    marks = DifficultyScorer(DifficultyConfig(), student).score(rows())
    head, tail = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    for row, mark in zip(rows(), marks, strict=True):
        question, answer = (message["content"] for message in row["messages"])
        after = loss_by_hand(student, f"{head}{question}{tail}", answer)
        alone = loss_by_hand(student, f"{head}{tail}", answer)
        assert mark.scores["ifd"] == pytest.approx(after / alone, abs=0.0002)
        assert mark.reason is None


def test_rows_outside_the_limits_go_unless_a_person_kept_them(student: Path) -> None:
    ifd = [
        mark.scores["ifd"] for mark in DifficultyScorer(DifficultyConfig(), student).score(rows())
    ]
    low, middle, high = sorted(ifd)
    config = DifficultyConfig(min=(low + middle) / 2, max=(middle + high) / 2)
    scorer = DifficultyScorer(config, student)
    found = mark_rows(rows(), [scorer])
    wanted = {low: "too_easy", middle: None, high: "too_hard"}
    assert [row["reason"] for row in found] == [wanted[value] for value in ifd]
    easy = found[ifd.index(low)]
    assert easy["evidence"].startswith(f"ifd {low:g} < {config.min:g}: loss ")
    assert json.loads(easy["scores"])["ifd"] == low
    kept = [{**row, "scores": '{"reviewed":1.0}'} for row in rows()]
    assert [row["reason"] for row in mark_rows(kept, [scorer])] == [None] * 3


def test_batches_change_nothing_and_progress_is_told(student: Path) -> None:
    told: list[int] = []
    scorer = DifficultyScorer(DifficultyConfig(), student, told.append)
    whole = scorer.score(rows())
    alone = [scorer.score([row])[0] for row in rows()]
    for one, other in zip(whole, alone, strict=True):
        assert one.scores["ifd"] == pytest.approx(other.scores["ifd"], abs=0.0002)
    assert told == [3, 4, 5, 6]
    assert scorer.score([]) == []


def test_what_has_no_question_or_is_too_long_has_no_score(student: Path) -> None:
    scorer = DifficultyScorer(DifficultyConfig(max=0.0001), student)
    text = {**rows()[0], "kind": "text", "messages": None, "text": "The keeper."}
    long = make_row("Who?", "keeper " * 3000, scores="{}", reason=None)
    empty = make_row("Who?", "  ", scores="{}", reason=None)
    marks = scorer.score([text, long, empty, rows()[0]])
    assert [dict(mark.scores) for mark in marks[:3]] == [{}, {}, {}]
    assert marks[3].reason == "too_hard"


def test_limits_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match="min must be lower than max"):
        DifficultyConfig(min=0.9, max=0.5)

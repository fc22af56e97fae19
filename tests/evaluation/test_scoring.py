import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from domainforge.evaluation.measure import measure_model
from domainforge.evaluation.perplexity import split_perplexity
from domainforge.evaluation.questions import Item, prepare_items
from domainforge.evaluation.scoring import (
    Candidate,
    generate_answers,
    question_prompt,
    score_answers,
    token_losses,
)
from domainforge.training.render import render_row, tokenize
from domainforge.training.students import load_model, load_tokenizer
from tests.evaluation.exams import make_chunks, make_exam
from tests.training.rows import make_rows, sentence


@pytest.fixture(scope="module")
def model(tiny_student: Path) -> Any:
    return load_model(tiny_student, device="cpu").eval()


@pytest.fixture(scope="module")
def tokenizer(tiny_student: Path) -> Any:
    return load_tokenizer(tiny_student)


def ignore(count: int) -> None:
    pass


def score_alone(model: Any, tokenizer: Any, prompt: str, answer: str) -> float:
    """Mean log-likelihood of the answer's own ids after the prompt's, without any padding."""
    import torch

    before = tokenize(prompt, tokenizer)
    ids = before + tokenize(answer, tokenizer)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].float()
    shares = torch.log_softmax(logits, dim=-1)
    wanted = range(len(before), len(ids))
    return sum(float(shares[place - 1, ids[place]]) for place in wanted) / len(wanted)


@pytest.mark.parametrize("tokens_per_batch", [1, 200, 4096])
def test_batched_scores_equal_scores_one_by_one(
    model: Any, tokenizer: Any, tokens_per_batch: int
) -> None:
    chance = random.Random(3)
    candidates = [
        Candidate(
            question_prompt(sentence(chance, chance.randint(1, 20)), tokenizer),
            sentence(chance, chance.randint(1, 9)),
        )
        for _ in range(23)
    ]
    counts: list[int] = []
    scores = score_answers(
        model, tokenizer, candidates, counts.append, tokens_per_batch=tokens_per_batch
    )
    assert scores == pytest.approx(
        [score_alone(model, tokenizer, c.prompt, c.answer) for c in candidates], abs=1e-4
    )
    assert sum(counts) == len(candidates)
    assert max(counts) == 1 or tokens_per_batch > 1


def test_a_prompt_without_a_space_at_its_end_gets_one(model: Any, tokenizer: Any) -> None:
    apart, spaced, line = score_answers(
        model,
        tokenizer,
        [
            Candidate("Answer:", "the bell"),
            Candidate("Answer: ", "the bell"),
            Candidate("Answer:\n", "the bell"),
        ],
        ignore,
    )
    assert apart == pytest.approx(score_alone(model, tokenizer, "Answer:", " the bell"), abs=1e-4)
    assert line == pytest.approx(score_alone(model, tokenizer, "Answer:\n", "the bell"), abs=1e-4)
    # The space melts into the answer's first word, so it is counted with the answer.
    assert spaced == pytest.approx(apart, abs=1e-4)


def test_no_candidates_give_no_scores(model: Any, tokenizer: Any) -> None:
    assert score_answers(model, tokenizer, [], ignore) == []


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_greedy_answers_equal_those_one_by_one(model: Any, tokenizer: Any, batch: int) -> None:
    import torch

    chance = random.Random(5)
    prompts = [
        question_prompt(sentence(chance, chance.randint(1, 25)), tokenizer) for _ in range(8)
    ]
    alone = []
    for prompt in prompts:
        ids = tokenize(prompt, tokenizer)
        made: list[int] = []
        while len(made) < 6:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids + made])).logits[0, -1]
            if int(logits.argmax()) == tokenizer.eos_token_id:
                break
            made.append(int(logits.argmax()))
        alone.append(tokenizer.decode(made, skip_special_tokens=True).strip().split("\n")[0])
    side = tokenizer.padding_side
    answers = generate_answers(model, tokenizer, prompts, ignore, max_new_tokens=6, batch=batch)
    assert answers == [text.strip() for text in alone]
    assert tokenizer.padding_side == side


def test_losses_of_rows_equal_those_of_the_model(model: Any, tokenizer: Any) -> None:
    import torch

    rendered = [render_row(row, tokenizer) for row in make_rows(4, 6)]
    pairs = [(row.input_ids, row.labels) for row in rendered]
    losses = token_losses(model, pairs, tokenizer.pad_token_id, ignore)
    for row, (total, count) in zip(rendered, losses, strict=True):
        assert count == row.trained_tokens
        with torch.no_grad():
            wanted = model(
                input_ids=torch.tensor([list(row.input_ids)]),
                labels=torch.tensor([list(row.labels)]),
            ).loss
        assert total / count == pytest.approx(float(wanted), abs=1e-4)


def test_perplexity_is_of_all_tokens_alike(model: Any, tokenizer: Any) -> None:
    import math

    rows = make_rows(3, 0) + make_rows(0, 2, words=30)
    values = split_perplexity(model, tokenizer, "test", rows)
    assert list(values) == ["test_chat", "test_text"]
    rendered = [render_row(row, tokenizer) for row in rows[:3]]
    losses = token_losses(model, [(r.input_ids, r.labels) for r in rendered], 0, ignore)
    wanted = math.exp(sum(x for x, _ in losses) / sum(n for _, n in losses))
    assert values["test_text"] == pytest.approx(wanted, abs=2e-3)
    assert split_perplexity(model, tokenizer, "test", []) == {}


@pytest.mark.parametrize("open_book", [False, True])
def test_a_question_is_measured_against_its_own_distractors(
    model: Any, tokenizer: Any, open_book: bool
) -> None:
    exam = make_exam(4)
    items = prepare_items(exam, make_chunks(4), {})
    items.append(
        Item(items[0].question, "one_passage", "x", passage=None, distractors=())  # a lonely one
    )
    counts: list[int] = []
    measured = measure_model(
        model, tokenizer, items, counts.append, open_book=open_book, max_new_tokens=4
    )
    assert sum(counts) == len(items) == len(measured)
    for item, result in zip(items, measured, strict=True):
        passage = item.passage if open_book else None
        prompt = question_prompt(item.question.question, tokenizer, passage)
        gold, *others = [
            score_alone(model, tokenizer, prompt, answer)
            for answer in (item.question.answers[0], *item.distractors)
        ]
        assert result.log_likelihood == pytest.approx(gold, abs=1e-4)
        if others:
            assert result.contrast == pytest.approx(gold - sum(others) / len(others), abs=2e-4)
            assert result.choice == float(gold > max(others))
            priors = [
                sum(
                    elsewhere := [
                        score_alone(
                            model,
                            tokenizer,
                            question_prompt(
                                items[at].question.question,
                                tokenizer,
                                items[at].passage if open_book else None,
                            ),
                            items[which].question.answers[0],
                        )
                        for at in items[which].rivals
                    ]
                )
                / len(elsewhere)
                for which in (items.index(item), *item.rivals)
            ]
            own, *theirs = [a - b for a, b in zip([gold, *others], priors, strict=True)]
            assert result.pmi_contrast == pytest.approx(own - sum(theirs) / len(theirs), abs=5e-4)
            assert result.pmi_choice == float(own > max(theirs))
        else:
            assert result.contrast is result.choice is None
            assert result.pmi_contrast is result.pmi_choice is None


class _Favourite:
    """A model that finds one token likely whatever was asked."""

    device = "cpu"

    def __init__(self, vocabulary: int, token: int) -> None:
        self._vocabulary, self._token = vocabulary, token

    def eval(self) -> None:
        pass

    def forward(self) -> None:
        pass

    def __call__(self, input_ids: Any, **_: Any) -> Any:
        import torch

        logits = torch.zeros((*input_ids.shape, self._vocabulary))
        logits[..., self._token] = 5.0
        return SimpleNamespace(logits=logits)

    def generate(self, input_ids: Any, **_: Any) -> Any:
        return input_ids


def test_an_answer_that_is_likely_everywhere_counts_for_nothing(tokenizer: Any) -> None:
    items = prepare_items(make_exam(4), make_chunks(4), {})
    token = tokenize(items[0].question.answers[0], tokenizer)[0]
    measured = measure_model(_Favourite(len(tokenizer), token), tokenizer, items, ignore)
    assert [m.pmi_contrast for m in measured] == pytest.approx([0.0] * len(items), abs=1e-5)
    assert max(abs(m.contrast or 0.0) for m in measured) > 0.1

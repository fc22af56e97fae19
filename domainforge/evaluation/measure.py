"""One model against the exam: likelihood, contrast, choice, and what it answers itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.evaluation.metrics import exact_match, token_f1
from domainforge.evaluation.questions import Item
from domainforge.evaluation.scoring import (
    Candidate,
    generate_answers,
    question_prompt,
    score_answers,
)

METRICS = ("log_likelihood", "contrast", "choice", "token_f1", "exact_match")


@dataclass(frozen=True)
class Measured:
    """What one model did with one question; None where the exam doesn't allow the measure.

    Attributes:
        log_likelihood: Of the gold answer, mean per token, nats.
        contrast: That, less the mean of the distractors'.
        choice: 1 where the gold answer is likelier than every distractor.
        answer: The model's own greedy answer.
    """

    log_likelihood: float
    contrast: float | None
    choice: float | None
    token_f1: float
    exact_match: float
    answer: str


def measure_model(
    model: Any,
    tokenizer: Any,
    items: Sequence[Item],
    progress: Callable[[int], None],
    *,
    open_book: bool = False,
    max_new_tokens: int = 24,
) -> list[Measured]:
    """Measure a model on every question, in order.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        items: Questions; with `open_book`, those without a passage are asked closed-book.
        progress: Told how many questions were finished.
        open_book: Put the passage before the question.
        max_new_tokens: Longest own answer.
    """
    prompts = [
        question_prompt(item.question.question, tokenizer, item.passage if open_book else None)
        for item in items
    ]
    candidates = [
        Candidate(prompt, answer)
        for prompt, item in zip(prompts, items, strict=True)
        for answer in (item.question.answers[0], *item.distractors)
    ]
    scores = iter(score_answers(model, tokenizer, candidates, lambda _: None))
    answers = generate_answers(model, tokenizer, prompts, progress, max_new_tokens=max_new_tokens)
    measured = []
    for item, answer in zip(items, answers, strict=True):
        gold = next(scores)
        others = [next(scores) for _ in item.distractors]
        measured.append(
            Measured(
                log_likelihood=gold,
                contrast=gold - sum(others) / len(others) if others else None,
                choice=float(gold > max(others)) if others else None,
                token_f1=token_f1(answer, item.question.answers),
                exact_match=exact_match(answer, item.question.answers),
                answer=answer,
            )
        )
    return measured

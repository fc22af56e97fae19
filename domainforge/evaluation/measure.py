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

METRICS = (
    "log_likelihood",
    "contrast",
    "choice",
    "pmi_contrast",
    "pmi_choice",
    "token_f1",
    "exact_match",
)


@dataclass(frozen=True)
class Measured:
    """What one model did with one question; None where the exam doesn't allow the measure.

    Attributes:
        log_likelihood: Of the gold answer, mean per token, nats.
        contrast: That, less the mean of the distractors'.
        choice: 1 where the gold answer is likelier than every distractor.
        pmi_contrast: The contrast after taking from each answer's likelihood the mean it has
            after its own rivals' questions, so that an answer that is likely everywhere (a name
            that the documents repeat) counts for nothing: pointwise mutual information with the
            question, as in "Surface Form Competition" (arXiv 2104.08315), with real questions in
            place of their domain-free prompt.
        pmi_choice: 1 where the gold answer has more of it than every distractor.
        answer: The model's own greedy answer.
    """

    log_likelihood: float
    contrast: float | None
    choice: float | None
    pmi_contrast: float | None
    pmi_choice: float | None
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
    own = [
        Candidate(prompt, answer)
        for prompt, item in zip(prompts, items, strict=True)
        for answer in (item.question.answers[0], *item.distractors)
    ]
    elsewhere = [
        Candidate(prompts[rival], item.question.answers[0])
        for item in items
        for rival in item.rivals
    ]
    scores = iter(score_answers(model, tokenizer, own + elsewhere, lambda _: None))
    golds = [[next(scores) for _ in (0, *item.distractors)] for item in items]
    priors = [_mean([next(scores) for _ in item.rivals]) for item in items]
    answers = generate_answers(model, tokenizer, prompts, progress, max_new_tokens=max_new_tokens)
    return [
        _measure(item, likelihoods, prior, [priors[rival] for rival in item.rivals], answer)
        for item, likelihoods, prior, answer in zip(items, golds, priors, answers, strict=True)
    ]


def _measure(
    item: Item,
    likelihoods: Sequence[float],
    prior: float | None,
    rival_priors: Sequence[float | None],
    answer: str,
) -> Measured:
    gold, *others = likelihoods
    # A rival without rivals of its own has no prior; then nothing can be corrected.
    known = [value for value in (prior, *rival_priors) if value is not None]
    whole = bool(others) and len(known) == len(others) + 1
    own, *theirs = [a - b for a, b in zip(likelihoods, known, strict=True)] if whole else [0.0]
    return Measured(
        log_likelihood=gold,
        contrast=gold - sum(others) / len(others) if others else None,
        choice=float(gold > max(others)) if others else None,
        pmi_contrast=own - sum(theirs) / len(theirs) if whole else None,
        pmi_choice=float(own > max(theirs)) if whole else None,
        token_f1=token_f1(answer, item.question.answers),
        exact_match=exact_match(answer, item.question.answers),
        answer=answer,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

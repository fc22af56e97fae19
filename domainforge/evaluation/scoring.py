"""What a model thinks of an answer, and what it says itself, in padded batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.evaluation.prefix import can_share_prefix, score_after_prefixes
from domainforge.training.render import common_prefix, prompt_text, tokenize

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Candidate:
    """An answer to be scored after a prompt."""

    prompt: str
    answer: str


def question_prompt(question: str, tokenizer: Any, passage: str | None = None) -> str:
    """Return the text that a model sees before it answers; with a passage for the open book."""
    content = question if passage is None else f"{passage}\n\n{question}"
    return prompt_text([{"role": "user", "content": content}], tokenizer)


def score_answers(
    model: Any,
    tokenizer: Any,
    candidates: Sequence[Candidate],
    progress: Progress,
    *,
    tokens_per_batch: int = 4096,
) -> list[float]:
    """Mean log-likelihood per token of each answer, in nats, in the order given.

    A prompt that several answers follow is run once, and its keys and values shared. Batches
    hold rows of like length, so that little is padding.
    """
    encoded = [_encode(candidate, tokenizer) for candidate in candidates]
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, (ids, start) in enumerate(encoded):
        groups.setdefault(tuple(ids[:start]), []).append(index)
    scores = [math.nan] * len(encoded)
    model.eval()
    shares = len(groups) < len(encoded) and can_share_prefix(model)
    prefixes = list(groups) if shares else []
    lengths = [
        len(prefix)
        + sum(len(encoded[i][0]) for i in groups[prefix])
        - len(prefix) * len(groups[prefix])
        for prefix in prefixes
    ]
    for batch in _batches(lengths, tokens_per_batch):
        chosen = [prefixes[index] for index in batch]
        places = [index for prefix in chosen for index in groups[prefix]]
        answers = [[encoded[i][0][encoded[i][1] :] for i in groups[prefix]] for prefix in chosen]
        values = score_after_prefixes(model, chosen, answers, int(tokenizer.pad_token_id))
        for place, value in zip(places, values, strict=True):
            scores[place] = value
        progress(len(places))
    if not shares:
        _score_whole(model, tokenizer, encoded, scores, progress, tokens_per_batch)
    return scores


def _score_whole(
    model: Any,
    tokenizer: Any,
    encoded: Sequence[tuple[list[int], int]],
    scores: list[float],
    progress: Progress,
    tokens_per_batch: int,
) -> None:
    """Score each prompt and answer as one row; for models whose cache can't be shared."""
    import torch

    for batch in _batches([len(ids) for ids, _ in encoded], tokens_per_batch):
        rows = [encoded[index] for index in batch]
        width = max(len(ids) for ids, _ in rows)
        ids = torch.full((len(rows), width), int(tokenizer.pad_token_id))
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, (row, _) in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        first = min(start for _, start in rows) - 1
        with torch.inference_mode():
            logits = model(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                logits_to_keep=width - first,
                use_cache=False,
            ).logits.float()
        shared = torch.log_softmax(logits[:, :-1], dim=-1).cpu()
        for place, (row, start) in enumerate(rows):
            target = torch.tensor(row[start:])
            span = shared[place, start - 1 - first : len(row) - 1 - first]
            scores[batch[place]] = float(span.gather(1, target[:, None]).mean())
        progress(len(batch))


def generate_answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    progress: Progress,
    *,
    max_new_tokens: int = 32,
    batch: int = 32,
) -> list[str]:
    """Greedy answers, in the order given; cut at the first line."""
    import torch

    answers = [""] * len(prompts)
    side = tokenizer.padding_side
    tokenizer.padding_side = "left"
    model.eval()
    try:
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            inputs = tokenizer(
                [prompts[i] for i in part],
                return_tensors="pt",
                padding=True,
                add_special_tokens=False,
                return_token_type_ids=False,
            ).to(model.device)
            with torch.inference_mode():
                made = model.generate(
                    **inputs,
                    do_sample=False,
                    max_new_tokens=max_new_tokens,
                    pad_token_id=tokenizer.pad_token_id,
                )
            width = inputs["input_ids"].shape[1]
            for index, row in zip(part, made, strict=True):
                text = tokenizer.decode(row[width:], skip_special_tokens=True)
                answers[index] = text.strip().split("\n")[0].strip()
            progress(len(part))
    finally:
        tokenizer.padding_side = side
    return answers


def token_losses(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int, progress: Progress
) -> list[tuple[float, int]]:
    """Summed negative log-likelihood and number of labelled tokens of each rendered row.

    Args:
        model: The model.
        rows: (input_ids, labels), labels -100 where the loss does not count.
        pad: Id to fill with.
        progress: Told how many rows were done.
    """
    import torch

    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    model.eval()
    for batch in _batches([len(ids) for ids, _ in rows], 2048):
        width = max(len(rows[i][0]) for i in batch)
        ids = torch.full((len(batch), width), pad)
        labels = torch.full((len(batch), width), -100)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for place, index in enumerate(batch):
            row, marks = rows[index]
            ids[place, : len(row)] = torch.tensor(list(row))
            labels[place, : len(row)] = torch.tensor(list(marks))
            mask[place, : len(row)] = 1
        with torch.inference_mode():
            logits = model(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                use_cache=False,
            ).logits.float()
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].transpose(1, 2).cpu(), labels[:, 1:], reduction="none"
        )
        counted = (labels[:, 1:] != -100).sum(1)
        for place, index in enumerate(batch):
            results[index] = (float(loss[place].sum()), int(counted[place]))
        progress(len(batch))
    return results


def _encode(candidate: Candidate, tokenizer: Any) -> tuple[list[int], int]:
    """Ids of prompt and answer, and where the answer begins."""
    prompt = tokenize(candidate.prompt, tokenizer)
    spaced = candidate.prompt[-1:].isspace() or not candidate.prompt
    answer = candidate.answer if spaced else f" {candidate.answer}"
    ids = tokenize(candidate.prompt + answer, tokenizer)
    start = common_prefix(prompt, ids)
    return ids, max(1, min(start, len(ids) - 1))


def _batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch

"""Scoring many answers after one prompt: the prompt runs once, its keys and values are shared."""

import inspect
from collections.abc import Sequence
from typing import Any


def can_share_prefix(model: Any) -> bool:
    """Whether the model takes positions and plain keys and values, as shared prompts need.

    Models that place tokens by their attention mask alone (BLOOM's ALiBi) or keep a recurrent
    state are scored row by row instead.
    """
    names = inspect.signature(model.forward).parameters
    return {"position_ids", "past_key_values", "logits_to_keep"} <= set(names)


def score_after_prefixes(
    model: Any, prefixes: Sequence[Sequence[int]], answers: Sequence[Sequence[list[int]]], pad: int
) -> list[float]:
    """Mean log-likelihood per token of each answer after its prefix, in nats.

    Args:
        model: The model.
        prefixes: Token ids of each prompt.
        answers: For each prompt, the token ids of its answers; none is empty.
        pad: Id to fill with.

    Returns:
        One score per answer, prompt by prompt.
    """
    import torch

    device = model.device
    width = max(len(prefix) for prefix in prefixes)
    ids = torch.full((len(prefixes), width), pad, device=device)
    mask = torch.zeros((len(prefixes), width), dtype=torch.long, device=device)
    for place, prefix in enumerate(prefixes):  # padded on the left, so that all end together
        ids[place, width - len(prefix) :] = torch.tensor(list(prefix))
        mask[place, width - len(prefix) :] = 1
    flat = [answer for group in answers for answer in group]
    owner = torch.tensor([i for i, group in enumerate(answers) for _ in group], device=device)
    length = max(len(answer) for answer in flat)
    answer_ids = torch.full((len(flat), length), pad, device=device)
    answer_mask = torch.zeros((len(flat), length), dtype=torch.long, device=device)
    for place, answer in enumerate(flat):
        answer_ids[place, : len(answer)] = torch.tensor(answer)
        answer_mask[place, : len(answer)] = 1
    ends = mask.sum(1)
    with torch.inference_mode():
        head = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=1,
            use_cache=True,
        )
        cache = head.past_key_values
        cache.batch_select_indices(owner)
        tail = model(
            input_ids=answer_ids,
            attention_mask=torch.cat([mask[owner], answer_mask], dim=1),
            position_ids=ends[owner, None] + torch.arange(length, device=device),
            past_key_values=cache,
            use_cache=True,
        ).logits
        logits = torch.cat([head.logits[owner, -1:], tail[:, :-1]], dim=1).float()
        chosen = torch.log_softmax(logits, dim=-1).gather(2, answer_ids[..., None])[..., 0]
        totals = (chosen * answer_mask).sum(1) / answer_mask.sum(1)
    return [float(value) for value in totals]

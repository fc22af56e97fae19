"""What a training run will do, worked out before the first step."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.errors import TrainingError
from domainforge.training.config import TrainConfig
from domainforge.training.packing import cut_long, pack_rows
from domainforge.training.render import Rendered


@dataclass(frozen=True)
class Plan:
    """Sequences, steps and tokens of a run.

    Attributes:
        text_rows: Passages of documents in one epoch (repeats counted).
        chat_rows: Examples in one epoch (repeats counted).
        sequences: Packed sequences in one epoch.
        sequences_per_step: Of one optimiser step.
        steps: Optimiser steps of the whole run.
        check_every_steps: Steps from one validation check to the next.
        text_tokens_per_epoch: Tokens of the text rows in one epoch.
        tokens_per_epoch: Tokens through the model in one epoch.
        trained_per_epoch: Of these, the tokens that the loss counts.
        epochs: Passes.
        untrainable: Ids of rows without a token to train on; left out.
    """

    text_rows: int
    chat_rows: int
    sequences: int
    sequences_per_step: int
    steps: int
    check_every_steps: int
    text_tokens_per_epoch: int
    tokens_per_epoch: int
    trained_per_epoch: int
    epochs: float
    untrainable: tuple[str, ...]

    @property
    def total_tokens(self) -> int:
        """Tokens through the model in the whole run."""
        return round(self.tokens_per_epoch * self.epochs)


def plan_training(
    rows: Sequence[Mapping[str, Any]],
    rendered: Sequence[Rendered],
    config: TrainConfig,
    seed: int,
    *,
    max_tokens: int | None = None,
) -> tuple[Plan, list[list[Rendered]]]:
    """Mix and pack one epoch.

    Args:
        rows: Rows of the training split.
        rendered: The same rows, rendered.
        config: Mixture, sequence length, epochs.
        seed: Which rows a fractional repeat takes.
        max_tokens: Stop mixing at this many tokens per epoch.

    Raises:
        TrainingError: No row has a token to train on.
    """
    untrainable = tuple(r.id for r in rendered if not r.trained_tokens)
    texts = _kind(rows, rendered, "text")
    chats = _kind(rows, rendered, "chat")
    mixed = [
        *_repeat(texts, config.mixture.documents, seed),
        *_repeat(chats, config.mixture.examples, seed),
    ]
    if max_tokens is not None:
        mixed = fit_tokens(mixed, max_tokens, seed)
    bins = pack_rows(cut_long(mixed, config.sequence_tokens), config.sequence_tokens, seed)
    if not bins:
        raise TrainingError(
            "no row has a token to train on; look at `domainforge show RUN train`, and at "
            "train.mixture (a kind with weight 0 is left out)"
        )
    is_text = {id(row) for row in texts}
    text_lengths = [len(row.input_ids) for row in mixed if id(row) in is_text]
    text_rows = len(text_lengths)
    per_step = min(config.sequences_per_step, len(bins))
    steps_per_epoch = math.ceil(len(bins) / per_step)
    plan = Plan(
        text_rows=text_rows,
        chat_rows=len(mixed) - text_rows,
        sequences=len(bins),
        sequences_per_step=per_step,
        steps=math.ceil(steps_per_epoch * config.epochs),
        check_every_steps=max(1, steps_per_epoch // config.checks_per_epoch),
        text_tokens_per_epoch=sum(text_lengths),
        tokens_per_epoch=sum(len(row.input_ids) for rows_ in bins for row in rows_),
        trained_per_epoch=sum(row.trained_tokens for rows_ in bins for row in rows_),
        epochs=config.epochs,
        untrainable=untrainable,
    )
    return plan, bins


def fit_tokens(rows: Sequence[Rendered], tokens: int, seed: int) -> list[Rendered]:
    """Take rows, over again where they are too few, until they hold that many tokens.

    The result holds at most `tokens`, and misses it by less than one row.
    """
    order = list(rows)
    random.Random(seed).shuffle(order)
    taken: list[Rendered] = []
    total = index = misses = 0
    while order and misses < len(order):
        row = order[index % len(order)]
        index += 1
        if total + len(row.input_ids) > tokens:
            misses += 1
            continue
        misses = 0
        taken.append(row)
        total += len(row.input_ids)
    return taken


def _kind(
    rows: Sequence[Mapping[str, Any]], rendered: Sequence[Rendered], kind: str
) -> list[Rendered]:
    pairs = zip(rows, rendered, strict=True)
    return [r for row, r in pairs if row["kind"] == kind and r.trained_tokens]


def _repeat(rows: Sequence[Rendered], times: float, seed: int) -> list[Rendered]:
    whole, part = int(times), times - int(times)
    extra = random.Random(seed).sample(list(rows), round(part * len(rows)))
    return [*rows] * whole + extra

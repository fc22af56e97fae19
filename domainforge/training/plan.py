"""What a training run will do, worked out before the first step."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.errors import TrainingError
from domainforge.records import REPLAY
from domainforge.training.config import TrainConfig
from domainforge.training.packing import cut_long, pack_rows
from domainforge.training.render import Rendered


@dataclass(frozen=True)
class Plan:
    """Sequences, steps and tokens of a run.

    Attributes:
        text_rows: Passages of documents in one epoch (repeats counted).
        chat_rows: Examples in one epoch (repeats counted).
        replay_rows: General rows in one epoch (repeats counted).
        preference_rows: Rows of the split that prefer one answer; left out, since this training
            can't tell the better answer from the worse.
        sequences: Packed sequences in one epoch.
        sequences_per_step: Of one optimiser step.
        steps: Optimiser steps of the whole run.
        check_every_steps: Steps from one validation check to the next.
        text_tokens_per_epoch: Tokens of the text rows in one epoch.
        replay_tokens_per_epoch: Tokens of the general rows in one epoch.
        tokens_per_epoch: Tokens through the model in one epoch.
        trained_per_epoch: Of these, the tokens that the loss counts.
        epochs: Passes.
        untrainable: Ids of rows without a token to train on; left out.
    """

    text_rows: int
    chat_rows: int
    replay_rows: int
    preference_rows: int
    sequences: int
    sequences_per_step: int
    steps: int
    check_every_steps: int
    text_tokens_per_epoch: int
    replay_tokens_per_epoch: int
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
        TrainingError: No row has a token to train on, or there are no general rows to mix in.
    """
    kinds = _group(rows, rendered)
    mixed = [
        *_repeat(kinds["text"], config.mixture.documents, seed),
        *_repeat(kinds["chat"], config.mixture.examples, seed),
    ]
    share = config.mixture.replay
    if max_tokens is not None:
        mixed = fit_tokens(mixed, round(max_tokens * (1 - share)), seed)
    replay = _take_replay(kinds["replay"], _count_tokens(mixed), share, seed)
    whole = [*mixed, *replay]
    bins = pack_rows(cut_long(whole, config.sequence_tokens), config.sequence_tokens, seed)
    if not bins:
        raise TrainingError(
            "no row has a token to train on; look at `domainforge show RUN train`, and at "
            "train.mixture (a kind with weight 0 is left out)"
        )
    is_text = {id(row) for row in kinds["text"]}
    seen_texts = [row for row in mixed if id(row) in is_text]
    per_step = min(config.sequences_per_step, len(bins))
    steps_per_epoch = math.ceil(len(bins) / per_step)
    plan = Plan(
        text_rows=len(seen_texts),
        chat_rows=len(mixed) - len(seen_texts),
        replay_rows=len(replay),
        preference_rows=len(kinds["preference"]),
        sequences=len(bins),
        sequences_per_step=per_step,
        steps=math.ceil(steps_per_epoch * config.epochs),
        check_every_steps=max(1, steps_per_epoch // config.checks_per_epoch),
        text_tokens_per_epoch=_count_tokens(seen_texts),
        replay_tokens_per_epoch=_count_tokens(replay),
        tokens_per_epoch=sum(len(row.input_ids) for rows_ in bins for row in rows_),
        trained_per_epoch=sum(row.trained_tokens for rows_ in bins for row in rows_),
        epochs=config.epochs,
        untrainable=tuple(row.id for row in kinds["untrainable"]),
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


def spread_tokens(rows: Sequence[Rendered], tokens: int, seed: int) -> list[Rendered]:
    """Take rows that hold at most that many tokens, none once more often than any other.

    Where all of them hold fewer tokens, they are repeated; what is left over goes to rows that
    the seed chooses, as far as they fit.
    """
    total = _count_tokens(rows)
    if not total:
        return []
    times, room = divmod(tokens, total)
    order = list(rows)
    random.Random(seed).shuffle(order)
    more = []
    for row in order:
        if len(row.input_ids) <= room:
            more.append(row)
            room -= len(row.input_ids)
    return [*rows] * times + more


def _take_replay(
    rows: Sequence[Rendered], other_tokens: int, share: float, seed: int
) -> list[Rendered]:
    """Take general rows, so that they are that share of all tokens."""
    if share and not rows:
        raise TrainingError(
            f"train.mixture.replay is {share}, but the training split has no general rows; run "
            "again with --from split, or set it to 0"
        )
    return spread_tokens(rows, round(other_tokens * share / (1 - share)), seed)


def _group(
    rows: Sequence[Mapping[str, Any]], rendered: Sequence[Rendered]
) -> dict[str, list[Rendered]]:
    """Sort rows by what they are mixed in as; a control's rows may lack the name of a prompt."""
    kinds: dict[str, list[Rendered]] = {
        name: [] for name in ("text", "chat", "preference", "replay", "untrainable")
    }
    for row, each in zip(rows, rendered, strict=True):
        kind = "replay" if row.get("prompt") == REPLAY else row["kind"]
        if kind == "text" and row.get("prompt_hash"):
            kind = "chat"  # a text that a teacher wrote is an example, and no document
        kinds[kind if each.trained_tokens else "untrainable"].append(each)
    return kinds


def _count_tokens(rows: Sequence[Rendered]) -> int:
    return sum(len(row.input_ids) for row in rows)


def _repeat(rows: Sequence[Rendered], times: float, seed: int) -> list[Rendered]:
    whole, part = int(times), times - int(times)
    extra = random.Random(seed).sample(list(rows), round(part * len(rows)))
    return [*rows] * whole + extra

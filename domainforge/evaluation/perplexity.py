"""Perplexity on a split: documents over every token, chats over the assistant's turns."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from domainforge.evaluation.scoring import token_losses
from domainforge.training.render import render_row


def split_perplexity(
    model: Any, tokenizer: Any, split: str, rows: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Return `{split}_{kind}` -> perplexity, for the kinds that the split holds."""
    values = {}
    for kind in ("chat", "text"):
        rendered = [render_row(row, tokenizer) for row in rows if row["kind"] == kind]
        if not rendered:
            continue
        pairs = [(row.input_ids, row.labels) for row in rendered]
        losses = token_losses(model, pairs, int(tokenizer.pad_token_id), lambda _: None)
        tokens = sum(count for _, count in losses)
        if tokens:
            values[f"{split}_{kind}"] = round(math.exp(sum(x for x, _ in losses) / tokens), 3)
    return values

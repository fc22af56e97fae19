"""Which of several rows that say the same is the best one."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from domainforge.records import question_of


class Rank(NamedTuple):
    """What rows are ordered by, the best one first.

    Attributes:
        reviewed: -1 where a person chose to keep the row.
        judge: The judge's score, negative; 0 where nobody judged it.
        support: How much of the answer its passage carries, negative.
        length: Characters of the question: of two that ask the same the shorter one is clearer.
        id: Decides what nothing else does.
    """

    reviewed: float
    judge: float
    support: float
    length: int
    id: str


def rank_row(row: Mapping[str, Any]) -> Rank:
    """Return what to order an example by; the least of several belongs to the best."""
    scores = json.loads(row["scores"] or "{}")
    return Rank(
        -float(scores.get("reviewed", 0.0)),
        -float(scores.get("judge", 0.0)),
        -float(scores.get("support", 0.0)),
        len(question_of(dict(row))),
        str(row["id"]),
    )

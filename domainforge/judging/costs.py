"""What judging will ask and cost, at most, before the rows to be judged are there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from domainforge.generation.requests import count_steps, make_request, plain_marker
from domainforge.generation.units import Form
from domainforge.judging.panel import Panel
from domainforge.teacher.prices import NANO, Price
from domainforge.wording import short_usd

_MOST_CHUNKS = 100
# Longer than what most prompts make; of what rows say nothing is known yet.
_QUESTION = "What is said of this, and by whom, and since when does it hold? " * 2
_ANSWER = "It holds since then, as is said here, and for these reasons. " * 6


class RowCount(NamedTuple):
    """How many rows there can be at most, and how many of them have a rejected answer."""

    all: int
    preferences: int


@dataclass(frozen=True)
class Bound:
    """The most that judging can ask.

    Attributes:
        rows: As many rows as there can be.
        requests: The most requests, repairs and continuations aside.
        usd: What they would cost where every reply took all of its tokens; None where the price is
            unknown.
    """

    rows: int
    requests: int
    usd: float | None

    def describe(self) -> str:
        """Say it in a sentence."""
        about = "" if self.usd is None else f", at most about {short_usd(self.usd)}"
        return (
            f"the judge is asked after that, at most {self.requests:,} requests{about}: as if all "
            f"{self.rows:,} rows came that far; how many pass the filter isn't known yet"
        )


def bound_calls(
    panel: Panel,
    rows: RowCount,
    chunks: Sequence[Mapping[str, Any]],
    form: Form,
    price: Price,
) -> Bound:
    """Bound what so many rows about these passages can take.

    Args:
        panel: What is asked.
        rows: The most that there can be.
        chunks: Passages; a part of them is taken.
        form: How the teacher is asked.
        price: What it charges.
    """
    requests = rows.all * panel.most_requests + rows.preferences * panel.more_requests
    some = chunks[:: max(1, len(chunks) // _MOST_CHUNKS)]
    if not price.known or not some:
        return Bound(rows.all, requests, None)
    kinds = ((rows.all - rows.preferences, None), (rows.preferences, _ANSWER))
    nano = sum(
        count * sum(_worst_nano(panel, chunk, rejected, form, price) for chunk in some)
        for count, rejected in kinds
        if count
    )
    return Bound(rows.all, requests, nano / len(some) / NANO)


def _worst_nano(
    panel: Panel, chunk: Mapping[str, Any], rejected: str | None, form: Form, price: Price
) -> int:
    """Bound what a row about one passage costs."""
    row = {
        "messages": [
            {"role": "user", "content": _QUESTION},
            {"role": "assistant", "content": _ANSWER},
        ],
        "text": None,
        "rejected": rejected,
        "fields": "{}",
        "basis": "passage",
        "teacher": "any",
        "chunk_id": chunk["id"],
        "also": [],
    }
    units = [u for step in panel.steps(row, {chunk["id"]: chunk}) for u in step.values()]
    total = 0
    for unit in units:
        replies: dict[str, str] = {}
        for step in range(count_steps(unit.prompt, form)):
            request = make_request(unit, form, step, replies, plain_marker)
            total += price.worst_case(request).nano_usd
            replies[unit.prompt.steps[step].name] = _ANSWER
    return total

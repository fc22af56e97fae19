"""How large a batch may be, how often it is looked at, and what is told about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from domainforge.teacher.fault import Fault

AHEAD_REQUESTS = 100_000
"""Requests that a caller should hand over before it waits: two full batches stay open."""


@dataclass(frozen=True)
class BatchTerms:
    """Sizes and waiting times, in one place so that tests can make them small.

    The limits are OpenAI's (50,000 requests and 200 MB a file), which others have copied; some
    room is left for what a gateway adds.

    Attributes:
        first_look_seconds: Wait before the first look at a batch; grows with each further one.
        longest_look_seconds: Longest wait between two looks.
        gone_hours: A batch that the endpoint doesn't know any more is given up after so long.
            Before that the key is more likely to be another one, and asking again would pay twice.
        group_rows: Replies written to the ledger in one transaction.
    """

    max_requests: int = 50_000
    max_bytes: int = 190_000_000
    first_look_seconds: float = 5.0
    longest_look_seconds: float = 60.0
    look_growth: float = 1.5
    transfer_seconds: float = 1800.0
    gone_hours: float = 48.0
    group_rows: int = 500

    def look_seconds(self, looks: int) -> float:
        """Return the wait before look number `looks` (from 0)."""
        growth = self.look_growth ** min(looks, 100)
        return min(self.longest_look_seconds, self.first_look_seconds * growth)


@dataclass(frozen=True)
class Done:
    """What became of one request: a response that is in the ledger, or a fault that stayed.

    Attributes:
        fresh: This process brought the response into the ledger, so its cost counts here and now.
        faults: Kinds of the faults met on the way, those included that a next batch mended.
        nano_usd: What it was charged in this session, faults included, in billionths of a dollar.
        tokens: What it counted against a cap on tokens.
    """

    key: str
    response: dict[str, Any] | None = None
    fault: Fault | None = None
    fresh: bool = False
    faults: tuple[str, ...] = ()
    nano_usd: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class BatchProgress:
    """How one batch stands after a look.

    Attributes:
        number: Of the batch in this session, from 1.
        batches: Batches of this session so far.
        done: Requests that the provider has answered.
        failed: Requests that it couldn't answer.
        next_look_seconds: When it is looked at again; None when it has ended.
    """

    number: int
    batches: int
    status: str
    done: int
    failed: int
    total: int
    next_look_seconds: float | None

    def __str__(self) -> str:
        """Say it in one line."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        then = (
            self.status
            if self.next_look_seconds is None
            else f"next look in {self.next_look_seconds:.0f} s"
        )
        return (
            f"batch {self.number} of {self.batches}: {self.done:,} of {self.total:,} done"
            f"{failed}, {then}"
        )


Tell = Callable[[Done], None]
TellProgress = Callable[[BatchProgress], None]

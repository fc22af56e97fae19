"""A request on its way through the engine, and the call of `ask` that it belongs to."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from domainforge.teacher.fault import Fault
from domainforge.teacher.prices import Cost
from domainforge.teacher.request import Request

_NOTHING = Cost(0, 0)


@dataclass
class Counts:
    """What a teacher did in this session.

    Attributes:
        asked: Requests sent, each counted once however often it was repeated.
        replayed: Replies that came from the ledger.
        retried: Repetitions after a fault.
        failed: Requests given up.
        asked_again: Requests sent that had been in flight before, when a run was cut off.
        prompt_tokens: Billed tokens of the replies that were asked for, not of those replayed.
        statuses: Replies handed out, by status.
        faults: Faults met, by kind, those included that a retry mended.
    """

    asked: int = 0
    replayed: int = 0
    retried: int = 0
    failed: int = 0
    asked_again: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request: a completion in the ledger, a fault, or an error that ends all.

    Attributes:
        completion: Parsed, where it is at hand; else
        text: The completion as the ledger has it.
    """

    key: str = ""
    completion: dict[str, Any] | None = None
    text: str | None = None
    fault: Fault | None = None
    error: BaseException | None = None


class Call:
    """One `ask`: what it has under way, and the queue on which its outcomes leave the loop.

    Attributes:
        outcomes: What became of the requests, in groups, in order of completion.
        closed: Nothing more may leave.
        flying: Tasks whose request is out, and maybe paid for.
        resting: Timers of the requests that wait to be repeated.
    """

    def __init__(self) -> None:
        """Start with nothing to do."""
        self.outcomes: SimpleQueue[list[Outcome]] = SimpleQueue()
        self.closed = False
        self.flying: set[asyncio.Task[None]] = set()
        self.resting: set[asyncio.TimerHandle] = set()

    def close(self) -> None:
        """Let nothing more leave; requests in flight go on."""
        self.closed = True
        for timer in self.resting:
            timer.cancel()
        self.resting.clear()

    def fail(self, error: BaseException) -> None:
        """End the call with an error."""
        if not self.closed:
            self.close()
            self.outcomes.put([Outcome(error=error)])


@dataclass(slots=True, eq=False)
class Job:
    """One request that the ledger can't answer.

    Attributes:
        text: The request as the ledger stores it.
        with_schema: Its schema goes along, to be enforced.
        was_sent: It left at least once.
        attempt: How often it was repeated.
        backoffs: How often nobody said how long to wait for that.
        worst_case: What is reserved for it, from the budget's go until it is settled.
    """

    request: Request
    key: str
    text: str
    call: Call
    with_schema: bool
    was_sent: bool = False
    attempt: int = 0
    backoffs: int = 0
    worst_case: Cost = _NOTHING

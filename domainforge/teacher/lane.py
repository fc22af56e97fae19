"""One endpoint at work: its transport, how much it takes, what it costs, and how it fares."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from domainforge.errors import StorageError
from domainforge.teacher.allowance import Allowance
from domainforge.teacher.concurrency import Limiter
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.dialect import SCHEMA, USUAL, Dialect, read_dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, down_advice
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.prices import Price
from domainforge.teacher.request import Answer, Request, Usage
from domainforge.teacher.throttle import Throttle
from domainforge.teacher.transports.choice import open_transport
from domainforge.teacher.transports.contract import Transport, request_body

_TROUBLE_FAULTS = 3
_NOTED_FAULTS = 6
_REST_SECONDS = 0.5
_LONGEST_REST_SECONDS = 60.0
_DIALECT = "dialect"
_LESSON_SECONDS = 0.02


def open_lane(endpoint: Endpoint, price: Price, config: TeacherConfig) -> "Lane":
    """Put a lane to an endpoint; nothing is sent yet. Needs a running event loop."""
    return Lane(endpoint, open_transport(endpoint, config), price, config)


def pick_lane(lanes: Sequence["Lane"], now: float, tokens: int) -> tuple["Lane | None", float]:
    """Return the lane that has most room, or how many seconds there will be none."""
    best, least, soonest = None, math.inf, math.inf
    for lane in lanes:
        wait_seconds = lane.wait_seconds(now, tokens)
        if wait_seconds > 0:
            soonest = min(soonest, wait_seconds)
        elif lane.in_flight / lane.limit < least:
            best, least = lane, lane.in_flight / lane.limit
    return best, soonest


class Lane:
    """One of the endpoints (or keys) that answer for a teacher.

    Attributes:
        in_flight: Requests that it has now.
        answered: Replies it gave.
        failures_in_row: Requests given up since the last reply.
        closed: Why it takes no more requests; None while it does.
        closing: What to say of that is still being looked up.
        down_seconds: How long it may refuse connections before its first answer.
        others: Lanes that can do its work while it has trouble. A dead endpoint is quick to fail
            and would draw all requests to itself.
        dialect: How the endpoint wants to be asked.
    """

    def __init__(
        self, endpoint: Endpoint, transport: Transport, price: Price, config: TeacherConfig
    ) -> None:
        """Prepare; nothing is sent yet."""
        self.endpoint = endpoint
        self.transport = transport
        self.price = price
        self.in_flight = 0
        self.answered = 0
        self.failures_in_row = 0
        self.closed: str | None = None
        self.others: Sequence[Lane] = ()
        self._is_noted = False
        self.dialect = USUAL
        self._insists_on_schema = config.json_schema == "yes"
        self._keep: Callable[[Dialect], None] | None = None
        self.closing = False
        self.down_seconds = math.inf
        self._refused_since: float | None = None
        self._faults_in_row = 0
        self._rest_until = 0.0
        self._next_lesson = 0.0
        self._limiter = Limiter(config.slots)
        self._throttle = Throttle()
        self._allowance = Allowance(config.requests_per_minute, config.tokens_per_minute)

    def recall(
        self,
        ledger: Ledger,
        later: Callable[[Callable[[], object]], None],
        say: Callable[[str], None],
    ) -> None:
        """Begin with the dialect that the ledger knows, and let it know what is learnt.

        Args:
            ledger: Where it is remembered.
            later: Calls a function in the thread that writes there.
            say: Takes a sentence for the user.
        """
        name = f"{self.endpoint.base_url}|{self.endpoint.model}"
        self.dialect = read_dialect(ledger.capability(name, _DIALECT))
        if self._insists_on_schema:
            # The way back for an endpoint that has learnt it since.
            self.dialect = replace(self.dialect, left_out=self.dialect.left_out - {SCHEMA})

        def keep(dialect: Dialect) -> None:
            what = f"asks {self.endpoint.model} {dialect.describe()} from here on"
            say(f"{self.endpoint.base_url} refuses some settings; DomainForge {what}")
            later(partial(_remember, ledger, name, dialect))

        self._keep = keep

    async def send(self, request: Request, *, with_schema: bool) -> Answer:
        """Send a request; where a parameter is refused, at once again in another way.

        The other way is kept when it brings a completion, so that a complaint which was
        misunderstood changes nothing for other requests.

        Raises:
            Fault: No completion came.
        """
        dialect = self.dialect
        while True:
            try:
                answer = await self.transport.send(
                    request, with_schema=with_schema, dialect=dialect
                )
            except Fault as fault:
                other = dialect.without(fault.refused)
                sent = request_body(request, self.endpoint, with_schema, dialect)
                if other is None or fault.refused not in sent:
                    raise
                dialect = other
            else:
                self._learn(dialect)
                return answer

    def _learn(self, dialect: Dialect) -> None:
        known = self.dialect.joined(dialect)
        if known != self.dialect:
            self.dialect = known
            if self._keep is not None:
                self._keep(known)

    async def find_stop(self, fault: Fault) -> str | None:
        """Say why no further request can succeed here; None while one may."""
        if fault.kind == "connection" and self.endpoint.find_death:
            return self.endpoint.find_death()
        if self._never_was_there(fault):
            return down_advice(self.endpoint.base_url, fault)
        if fault.stop is None:
            return None
        models = await self.transport.list_models() if fault.unknown_model else None
        return fault.stop + (f"; it lists: {', '.join(models[:20])}" if models else "")

    def _never_was_there(self, fault: Fault) -> bool:
        """Whether it has refused every connection, long enough for a server to start."""
        if self.answered or fault.kind != "connection" or fault.may_be_billed:
            self._refused_since = None
            return False
        now = asyncio.get_running_loop().time()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since >= self.down_seconds

    @property
    def limit(self) -> int:
        """Requests that it may have at once."""
        return self._limiter.limit

    @property
    def name(self) -> str:
        """What to call it: two keys can have the same address."""
        key = self.endpoint.api_key_env
        return self.endpoint.base_url + (f" (key in {key})" if key else "")

    @property
    def in_trouble(self) -> bool:
        """Whether the fault is likely its own, and not that of the requests it gets."""
        return self.closed is not None or self._faults_in_row >= _TROUBLE_FAULTS

    @property
    def has_relief(self) -> bool:
        """Whether another lane can do its work."""
        return any(not other.in_trouble for other in self.others)

    def describe_others(self) -> str:
        """Say that the others fail too, for a message that ends a run."""
        names = ", ".join(other.name for other in self.others)
        return f"; no other endpoint answers ({names})" if names else ""

    @property
    def is_to_blame(self) -> bool:
        """Whether its faults say nothing against the requests that met them.

        It is a server of ours that is being started again, or it fails at everything while others
        answer.
        """
        restarting = self.endpoint.is_restarting is not None and self.endpoint.is_restarting()
        return restarting or (self.in_trouble and self.has_relief)

    def trouble(self, fault: Fault) -> str | None:
        """Return what the user should know of its faults, once until it answers again."""
        is_plain = not self.answered or fault.kind == "connection"
        enough = _TROUBLE_FAULTS if is_plain else _NOTED_FAULTS
        if self._is_noted or self._faults_in_row < enough or not self.has_relief:
            return None
        self._is_noted = True
        return (
            f"{self.name} fails ({fault.kind}: {fault.detail}); other endpoints do its work, and "
            "it is tried again from time to time"
        )

    def wait_seconds(self, now: float, tokens: int) -> float:
        """Return how long a request has to wait for this lane; infinite while it is full."""
        if self.closed is not None or self.in_flight >= self._limiter.limit:
            return math.inf
        if self.in_trouble and self.has_relief:
            # One at a time, until one comes back.
            return math.inf if self.in_flight else max(0.0, self._rest_until - now)
        return max(self._allowance.wait_seconds(now, tokens), self._throttle.wait_seconds(now))

    def leave(self, now: float, tokens: int) -> None:
        """Count a request out that may take so many tokens."""
        self.in_flight += 1
        self._allowance.take(now, tokens)
        self._throttle.leave(now)

    def come_back(
        self, now: float, tokens: int, outcome: tuple[Answer, Usage] | Fault | None
    ) -> None:
        """Count a request in, and learn from what came: an answer, a fault, or nothing."""
        refused = turned_away = False
        if isinstance(outcome, Fault):
            refused = outcome.for_load
            turned_away = refused and outcome.kind != "timeout"
        if outcome is not None:
            # Where the pace is what is wrong, the limit need not pay for it too.
            if not (turned_away and self._throttle.is_pacing):
                late = refused and not turned_away
                self._limiter.note(now, self.in_flight, refused, timed_out=late)
            self._throttle.note(now, self._limiter.limit, turned_away)
        self.in_flight -= 1
        headers: Mapping[str, str] = {}
        if isinstance(outcome, Fault):
            headers = outcome.headers
            if outcome.passing:
                self._faults_in_row += 1
                doublings = min(self._faults_in_row - _TROUBLE_FAULTS, 6)
                asked = min(outcome.retry_after or 0.0, _LONGEST_REST_SECONDS)
                self._rest_until = now + max(asked, _REST_SECONDS * 2.0**doublings)
            self._allowance.settle(tokens, None if outcome.may_be_billed else 0)
        elif outcome is not None:
            answer, usage = outcome
            headers = answer.headers
            self.answered += 1
            self.failures_in_row = self._faults_in_row = 0
            self._is_noted = False
            self._allowance.settle(tokens, sum(usage) or None)
        else:
            self._allowance.settle(tokens, None)
        if headers and (refused or now >= self._next_lesson):
            # Each says all that the one before said; reading it costs a tenth of the request.
            self._next_lesson = now + _LESSON_SECONDS
            self._allowance.learn(now, headers, self.in_flight)


def _remember(ledger: Ledger, name: str, dialect: Dialect) -> None:
    # A ledger that can't be written stops the run at its next reply; this can be learnt again.
    with suppress(StorageError):
        ledger.set_capability(name, _DIALECT, dialect.to_json())

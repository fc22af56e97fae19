"""Endpoints in virtual time: a real `Lane` is driven by an event loop that never sleeps.

What limits an endpoint is a small class; `simulate` keeps the lane busy with requests without end,
as the engine would, and tells what got done.
"""

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple, Protocol, cast

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault
from domainforge.teacher.lane import Lane
from domainforge.teacher.prices import Price
from domainforge.teacher.request import Answer, Usage
from domainforge.teacher.transports.contract import Transport

_ENDLESS = 10_000_000


class Fate(NamedTuple):
    """What becomes of one request.

    Attributes:
        seconds: Until it ends.
        refused: Turned away, as `http_429` or what `kind` says.
        headers: Of the reply.
    """

    seconds: float
    refused: bool = False
    headers: Mapping[str, str] = {}
    kind: str = "http_429"


class Behaviour(Protocol):
    """What an endpoint does with a request that arrives."""

    def meet(self, now: float, in_flight: int, tokens: int, random: Random) -> Fate:
        """Decide, given how many it has, the new one included."""


@dataclass
class Steady:
    """Takes all there is.

    Attributes:
        sigma: Spread of the logarithm of the time; 1 is a heavy tail, as LLMs have.
        refused_share: Turned away whatever the load.
    """

    seconds: float = 0.05
    sigma: float = 0.1
    refused_share: float = 0.0

    def meet(self, now: float, in_flight: int, tokens: int, random: Random) -> Fate:
        """Answer, or refuse at random."""
        if random.random() < self.refused_share:
            return Fate(self.seconds / 2, refused=True)
        return Fate(_spread(self.seconds, self.sigma, random))


@dataclass
class Queueing:
    """Works on so many at once; others wait in line, and give up after a while if told so.

    Attributes:
        parallel: Workers, in pairs of a time and the number from then on.
    """

    parallel: int | tuple[tuple[float, int], ...] = 16
    seconds: float = 0.05
    sigma: float = 0.1
    timeout_seconds: float = math.inf
    _free: list[float] = field(default_factory=list)

    def meet(self, now: float, in_flight: int, tokens: int, random: Random) -> Fate:
        """Join the line of the worker who is free first."""
        workers = _at(self.parallel, now)
        while len(self._free) > workers:
            self._free.remove(max(self._free))
        while len(self._free) < workers:
            heapq.heappush(self._free, now)
        heapq.heapify(self._free)
        begins = max(now, self._free[0])
        if begins - now > self.timeout_seconds:
            # Whoever hangs up leaves the line; nobody has worked on it yet.
            return Fate(self.timeout_seconds, refused=True, kind="timeout")
        ends = begins + _spread(self.seconds, self.sigma, random)
        heapq.heapreplace(self._free, ends)
        return Fate(ends - now)


@dataclass
class Refusing:
    """Works on so many at once and turns others away at once."""

    parallel: int | tuple[tuple[float, int], ...] = 16
    seconds: float = 0.05
    sigma: float = 0.1
    _busy: list[float] = field(default_factory=list)

    def meet(self, now: float, in_flight: int, tokens: int, random: Random) -> Fate:
        """Answer or refuse."""
        while self._busy and self._busy[0] <= now:
            heapq.heappop(self._busy)
        if len(self._busy) >= _at(self.parallel, now):
            return Fate(0.005, refused=True)
        seconds = _spread(self.seconds, self.sigma, random)
        heapq.heappush(self._busy, now + seconds)
        return Fate(seconds)


@dataclass
class Batching:
    """A server that batches: each request beside it makes a reply slower by `each_seconds`.

    Replies a second are n / (base + n * each): they grow with n and level off at 1 / each. From
    `most` on, requests wait in line (vLLM's max_num_seqs).
    """

    base_seconds: float = 1.0
    each_seconds: float = 0.01
    most: int = 256
    sigma: float = 0.1

    def meet(self, now: float, in_flight: int, tokens: int, random: Random) -> Fate:
        """Answer as slowly as the company makes it."""
        running = min(in_flight, self.most)
        seconds = (self.base_seconds + running * self.each_seconds) * in_flight / running
        return Fate(_spread(seconds, self.sigma, random))

    def best(self) -> float:
        """Return replies a second at the best concurrency."""
        return self.most / (self.base_seconds + self.most * self.each_seconds)


@dataclass
class Metered:
    """Grants so many requests and tokens a minute.

    Attributes:
        even: The grant comes back evenly (a token bucket), else all at once as a minute begins.
        headers: Tell limit, remaining and reset with each reply, in OpenAI's form.
        reset: Whether that includes the reset.
        starts_at: Where in its minute a fixed window stands at the start, in seconds.
    """

    requests: float = math.inf
    tokens: float = math.inf
    seconds: float = 0.5
    sigma: float = 0.3
    even: bool = True
    headers: bool = True
    reset: bool = True
    starts_at: float = 0.0
    _left: dict[str, float] = field(default_factory=dict)
    _at: float = 0.0

    def meet(self, now: float, in_flight: int, tokens: int, random: Random) -> Fate:
        """Charge the request, or refuse it where the grant is used up."""
        grants = {"requests": self.requests, "tokens": self.tokens}
        minute = (now + self.starts_at) // 60
        for name, grant in grants.items():
            left = self._left.setdefault(name, grant)
            if self.even and grant < math.inf:
                self._left[name] = min(grant, left + (now - self._at) * grant / 60)
            elif not self.even and minute > (self._at + self.starts_at) // 60:
                self._left[name] = grant
        self._at = now
        costs = {"requests": 1, "tokens": tokens}
        refused = any(self._left[name] < cost for name, cost in costs.items())
        if not refused:
            for name, cost in costs.items():
                self._left[name] -= cost
        seconds = 0.02 if refused else _spread(self.seconds, self.sigma, random)
        return Fate(seconds, refused, self._told(now, grants) if self.headers else {})

    def _told(self, now: float, grants: Mapping[str, float]) -> dict[str, str]:
        told = {}
        for name, grant in grants.items():
            if grant == math.inf:
                continue
            left = self._left[name]
            even = (grant - left) / grant * 60
            reset = even if self.even else 60 - (now + self.starts_at) % 60
            told[f"x-ratelimit-limit-{name}"] = f"{grant:g}"
            told[f"x-ratelimit-remaining-{name}"] = f"{math.floor(left)}"
            if self.reset:
                told[f"x-ratelimit-reset-{name}"] = f"{reset * 1000:.0f}ms"
        return told


class Moment(NamedTuple):
    """A request that ended, and the lane's limit after it."""

    at: float
    refused: bool
    limit: int
    tokens: int


@dataclass(frozen=True)
class Course:
    """All that ended in a simulation, in order."""

    moments: list[Moment]
    seconds: float

    def between(self, begin: float, end: float) -> list[Moment]:
        """Return what ended from `begin` up to `end`, in seconds."""
        return [moment for moment in self.moments if begin <= moment.at < end]

    def goodput(self, begin: float = 0.0, end: float | None = None) -> float:
        """Return replies a second."""
        end = self.seconds if end is None else end
        good = sum(not moment.refused for moment in self.between(begin, end))
        return good / (end - begin)

    def refused(self, begin: float = 0.0, end: float | None = None) -> int:
        """Return how many were turned away."""
        return sum(m.refused for m in self.between(begin, self.seconds if end is None else end))

    def refused_share(self, begin: float = 0.0) -> float:
        """Return the part of all outcomes that was turned away."""
        moments = self.between(begin, self.seconds)
        return sum(moment.refused for moment in moments) / max(1, len(moments))

    def limits(self, begin: float = 0.0, end: float | None = None) -> list[int]:
        """Return the limit as it stood, once for each outcome."""
        return [m.limit for m in self.between(begin, self.seconds if end is None else end)]


def simulated_lane(**settings: Any) -> Lane:
    """Return a lane that sends nothing by itself."""
    config = TeacherConfig(base_url="http://127.0.0.1:9/v1", model="simulated", **settings)
    endpoint = Endpoint("http://127.0.0.1:9/v1", "simulated")
    return Lane(endpoint, cast(Transport, None), Price("simulated"), config)


def simulate(
    behaviour: Behaviour,
    seconds: float,
    seed: int = 0,
    *,
    tokens: int = 0,
    reserved_tokens: int = 0,
    outcomes: int = _ENDLESS,
    **settings: Any,
) -> Course:
    """Drive a lane for so many seconds (or outcomes) as the engine does, with work without end.

    Args:
        behaviour: The endpoint.
        seconds: Virtual.
        seed: Of the endpoint's randomness.
        tokens: That each reply takes.
        reserved_tokens: That each request is charged with as it leaves.
        outcomes: Stop after so many.
        settings: Of the `TeacherConfig`.
    """
    lane, random = simulated_lane(**settings), Random(seed)
    flying: list[tuple[float, int, Fate]] = []
    moments: list[Moment] = []
    now, number, wake = 0.0, 0, math.inf
    while now < seconds and len(moments) < outcomes:
        while (wait_seconds := lane.wait_seconds(now, reserved_tokens)) <= 0:
            lane.leave(now, reserved_tokens)
            fate = behaviour.meet(now, lane.in_flight, tokens, random)
            heapq.heappush(flying, (now + fate.seconds, number, fate))
            number += 1
        wake = now + wait_seconds
        if flying and flying[0][0] <= wake:
            now, _, fate = heapq.heappop(flying)
            lane.come_back(now, reserved_tokens, _outcome(fate, tokens))
            moments.append(Moment(now, fate.refused, lane.limit, tokens))
        elif wake < math.inf:
            now = wake
        else:
            raise AssertionError(f"nothing in flight, and nothing may ever leave (at {now:g} s)")
    return Course(moments, min(now, seconds))


def _outcome(fate: Fate, tokens: int) -> tuple[Answer, Usage] | Fault:
    if fate.refused:
        billed = fate.kind == "timeout"
        return Fault(fate.kind, "simulated", headers=fate.headers, may_be_billed=billed)
    return Answer({}, "", fate.headers), Usage(tokens // 2, tokens - tokens // 2)


def _at(steps: int | tuple[tuple[float, int], ...], now: float) -> int:
    if isinstance(steps, int):
        return steps
    return next(number for since, number in reversed(steps) if now >= since)


def _spread(seconds: float, sigma: float, random: Random) -> float:
    """Draw from a lognormal with that mean."""
    return seconds * math.exp(random.gauss(0, sigma) - sigma * sigma / 2)

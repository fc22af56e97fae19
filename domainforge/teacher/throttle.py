"""How fast requests leave for an endpoint that refuses them and doesn't say what it allows."""

from collections import deque
from typing import NamedTuple

_ENTER_SHARE = 0.25
_STAY_SHARE = 0.1
_FEWEST = 20
_FEWEST_CLEAN = 3
_FLOOD = 100
_TICK_SECONDS = 1.0
_MINUTE = 60.0
_GROWTH = 1.05
_CAREFUL_TICKS = 8
_BOLDEST = 4
_LOWEST_PER_SECOND = 0.2
_CATCH_UP_SECONDS = 0.1
_CLEARLY_FEWER = 0.8
_MOST_UNRELATED_SHARE = 0.5
_FIRST_TOLERANT_SECONDS = 60.0
_LONGEST_TOLERANT_SECONDS = 960.0


class _Tick(NamedTuple):
    """What a second or more showed: requests that left and that were accepted, a second."""

    left_rate: float
    accepted_rate: float
    refused_share: float


class Throttle:
    """A pace for departures, in force only while many are refused.

    Concurrency can't keep a limit on requests a minute: refusals come back at once and free their
    slots for the next ones. So when more than a quarter is refused, departures are slowed to what
    was accepted in the last minute, then halved at most while a tenth is refused, and sped up while
    nothing is: by a twentieth, and by more each time that goes well (slow start and congestion
    avoidance, Jacobson 1988, applied to a rate; the numbers are ours).

    If fewer departures bring fewer answers and the share of refusals stays, refusals don't come
    from the rate. The pace is lifted then, and that share put up with for a while.
    """

    def __init__(self) -> None:
        """Begin without a pace."""
        self._per_second: float | None = None
        self._knee = 0.0
        self._is_falling = False
        self._clean_ticks = 0
        self._next_at = 0.0
        self._began: float | None = None
        self._left = self._refused = 0
        self._last_minute: deque[tuple[float, int]] = deque()
        self._fell_from: _Tick | None = None
        self._tolerated = 0.0
        self._tolerant_until = 0.0
        self._next_tolerant = _FIRST_TOLERANT_SECONDS

    @property
    def is_pacing(self) -> bool:
        """Whether a pace is in force."""
        return self._per_second is not None

    def wait_seconds(self, now: float) -> float:
        """Return how long the next request has to wait."""
        return 0.0 if self._per_second is None else max(0.0, self._next_at - now)

    def leave(self, now: float) -> None:
        """Count a request that leaves."""
        if self._began is None:
            self._began = now
        self._left += 1
        if self._per_second is not None:
            # A little may be caught up on, so that a late wake-up costs nothing.
            self._next_at = max(self._next_at, now - _CATCH_UP_SECONDS) + 1 / self._per_second

    def note(self, now: float, limit: int, refused: bool) -> None:
        """Take in an outcome; `limit` requests may be in flight."""
        if self._began is None:
            return
        self._refused += refused
        elapsed = now - self._began
        fewest = _FEWEST if self._refused else _FEWEST_CLEAN
        is_due = elapsed >= _TICK_SECONDS and self._left >= fewest
        # A flood of refusals is not waited for.
        flood = max(_FEWEST, min(2 * limit, _FLOOD))
        is_flood = self._refused >= max(flood, self._left / 2)
        if is_due or (is_flood and elapsed > 0):
            self._end_tick(now, elapsed)

    def _end_tick(self, now: float, elapsed: float) -> None:
        left = max(self._left, self._refused)
        accepted = left - self._refused
        tick = _Tick(left / elapsed, accepted / elapsed, self._refused / left)
        self._began, self._left, self._refused = now, 0, 0
        self._last_minute.append((now, accepted))
        while self._last_minute[0][0] < now - _MINUTE:
            self._last_minute.popleft()
        if now >= self._tolerant_until:
            self._tolerated = 0.0
        if self._fell_from is not None and _is_unrelated(self._fell_from, tick):
            self._lift(now, tick.refused_share)
        elif self._per_second is None:
            if tick.refused_share > max(_ENTER_SHARE, self._tolerated):
                self._slow_to(now, self._sustained(now))
        elif tick.refused_share > max(_STAY_SHARE, self._tolerated):
            # In a tick that a flood cut short, much of what left was still under way.
            if self._fell_from is None and elapsed >= _TICK_SECONDS:
                self._fell_from = tick
            accepted_rate = min(tick.accepted_rate, self._per_second)
            self._slow_to(now, max(accepted_rate, self._per_second / 2))
        else:
            self._speed_up(tick)

    def _sustained(self, now: float) -> float:
        """Return what was accepted a second over the last minute, or what there is of it."""
        accepted = sum(count for _, count in self._last_minute)
        since = self._last_minute[0][0] if len(self._last_minute) > 1 else now
        return accepted / max(_TICK_SECONDS, now - since)

    def _slow_to(self, now: float, per_second: float) -> None:
        sustained = self._sustained(now)
        if not self._is_falling:
            self._knee = sustained
        self._is_falling = True
        self._clean_ticks = 0
        self._per_second = max(_LOWEST_PER_SECOND, sustained / 16, per_second)

    def _lift(self, now: float, share: float) -> None:
        self._per_second = self._fell_from = None
        self._is_falling = False
        self._tolerated = 1.5 * share
        self._tolerant_until = now + self._next_tolerant
        self._next_tolerant = min(_LONGEST_TOLERANT_SECONDS, 2 * self._next_tolerant)

    def _speed_up(self, tick: _Tick) -> None:
        assert self._per_second is not None
        self._is_falling, self._fell_from = False, None
        self._clean_ticks = 0 if tick.refused_share else self._clean_ticks + 1
        if tick.left_rate < self._per_second / 2:
            # Something else holds departures back; the pace has nothing to do.
            self._per_second = None
        elif tick.left_rate > 0.7 * self._per_second:
            if self._per_second < self._knee and not tick.refused_share:
                self._per_second = min(2 * self._per_second, _GROWTH * self._knee)
            else:
                # A limit that was raised, or is no more, shows in a long time without refusals.
                bolder = min(_BOLDEST, max(0, self._clean_ticks - _CAREFUL_TICKS))
                self._per_second *= _GROWTH ** (2**bolder)


def _is_unrelated(before: _Tick, now: _Tick) -> bool:
    """Whether slowing down took as much from what was accepted as from what was refused."""
    fell_to = now.left_rate / before.left_rate
    return (
        fell_to < _CLEARLY_FEWER
        and now.accepted_rate < (1 + fell_to) / 2 * before.accepted_rate
        and 0.7 * before.refused_share < now.refused_share < _MOST_UNRELATED_SHARE
    )

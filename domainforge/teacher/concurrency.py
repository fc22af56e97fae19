"""How many requests an endpoint is given at once, found by trying."""

from dataclasses import dataclass

_START = 8
_FEWEST_OUTCOMES = 32
# Some are refused whatever the load; of a round's few outcomes that looks like more.
_REFUSED_SHARE = 0.25
# A timeout has taken its time, and maybe its money.
_TIMED_OUT_SHARE = 0.05
_DEEPEST_CUT, _LIGHTEST_CUT = 0.5, 0.8
_DOUBLING_GAIN = 1.2
_FIRST_STEP = 1 / 16
_PROBE_STEP = 1.25
_PROBE_GAIN = 1.1
_FIRST_REST_ROUNDS = 8
_LONGEST_REST_ROUNDS = 64
_FIRST_TOLERANT_ROUNDS = 32
_LONGEST_TOLERANT_ROUNDS = 512


@dataclass(frozen=True)
class _Measured:
    """What a round of outcomes showed at one limit."""

    limit: float
    goodput: float
    refused_share: float


class Limiter:
    """Additive increase, multiplicative decrease (Chiu and Jain, 1989), judged by what gets done.

    Raising in proportion and the judging are our own, chosen in the simulations of the tests. A
    round is a few times as many outcomes as requests are in flight. In each, replies per second
    are measured, and the limit follows them:

    - It doubles as long as that brings more per second, else it goes back to where it was and
      tries again later, by a sixteenth a round and by more with each gain. Latency alone says
      nothing: on a server that batches, every further request makes the others slower and is
      still worth it.
    - Refusals for load (429, 503, 529, timeouts) lower it by a fifth to a half.
      If that brings less per second, the refusals have another cause, and it is given back.
    - The user's cap, at which it starts when there is one.

    Attributes:
        limit: Requests that may be in flight.
    """

    def __init__(self, cap: int | None, most: int = 1024) -> None:
        """Begin at the cap, or low and doubling."""
        self._cap = float(cap or most)
        self._limit = float(cap or min(_START, most))
        # Read ten times a request, so not worked out each time.
        self.limit = int(self._limit)
        self._fixed = cap is not None
        self._doubling = cap is None
        self._began: float | None = None
        self._outcomes = self._refused = self._timed_out = self._crowded = 0
        self._flying = self._to_skip = 0
        self._step = _FIRST_STEP
        self._mark: _Measured | None = None
        self._rest_rounds = 0
        self._next_rest = _FIRST_REST_ROUNDS
        self._lowered_from: _Measured | None = None
        self._was_doubling = False
        self._tolerated = _REFUSED_SHARE
        self._tolerant_rounds = 0
        self._next_tolerant = _FIRST_TOLERANT_ROUNDS

    def note(self, now: float, in_flight: int, refused: bool, *, timed_out: bool = False) -> None:
        """Take in the outcome of one request.

        Args:
            now: Seconds on any steady clock.
            in_flight: Requests in flight when it ended, itself included.
            refused: It was turned away for load, or timed out.
            timed_out: Which of the two.
        """
        self._flying = in_flight
        if self._to_skip > 0:
            # It left under the limit before.
            self._to_skip -= 1
            return
        if self._began is None:
            self._began = now
            return
        self._outcomes += 1
        self._refused += refused
        self._timed_out += timed_out
        self._crowded += in_flight >= self.limit
        # While doubling, a second look comes with the next doubling.
        short = max(_FEWEST_OUTCOMES // 2, self.limit)
        wanted = short if self._doubling else max(_FEWEST_OUTCOMES, 3 * self.limit)
        # Enough refusals for the whole round need not wait for its end.
        over = self._refused > 2 * self._tolerated * max(_FEWEST_OUTCOMES, self.limit)
        if (self._outcomes >= wanted or over) and now > self._began:
            self._end_round(now)

    def _end_round(self, now: float) -> None:
        assert self._began is not None
        share = self._refused / self._outcomes
        goodput = (self._outcomes - self._refused) / (now - self._began)
        was_full = self._crowded > self._outcomes / 2
        self._began = now
        is_late = self._timed_out > self._outcomes * _TIMED_OUT_SHARE
        self._outcomes = self._refused = self._timed_out = self._crowded = 0
        round_ = _Measured(self._limit, goodput, share)
        self._tolerant_rounds -= 1
        if self._tolerant_rounds <= 0:
            self._tolerated = _REFUSED_SHARE
        if self._lowered_from is not None:
            self._judge_decrease(round_, self._lowered_from)
        elif share > self._tolerated or (is_late and self._tolerated == _REFUSED_SHARE):
            self._decrease(round_)
        elif self._fixed:
            self._set(self._limit + max(1.0, self._cap / 16))
        elif was_full:
            self._seek(round_)

    def _decrease(self, round_: _Measured) -> None:
        self._was_doubling, self._doubling = self._doubling, False
        self._mark = None
        self._step = _FIRST_STEP
        self._lowered_from = round_
        carried = 1 - round_.refused_share
        self._change(self._limit * min(_LIGHTEST_CUT, max(_DEEPEST_CUT, carried)))

    def _judge_decrease(self, now: _Measured, before: _Measured) -> None:
        self._lowered_from = None
        half_way = (now.limit / before.limit + 1) / 2
        if now.goodput >= half_way * before.goodput or not before.goodput:
            if now.refused_share > self._tolerated:
                self._decrease(now)
            return
        share = max(now.refused_share, before.refused_share)
        self._tolerated = min(0.9, max(1.1 * _REFUSED_SHARE, 1.5 * share))
        self._tolerant_rounds = self._next_tolerant
        self._next_tolerant = min(_LONGEST_TOLERANT_ROUNDS, 2 * self._next_tolerant)
        self._doubling = self._was_doubling
        self._change(before.limit)

    def _seek(self, round_: _Measured) -> None:
        """Raise the limit while that brings more per second."""
        if self._rest_rounds > 0:
            self._rest_rounds -= 1
            return
        mark = self._mark or round_
        steps = round_.limit / mark.limit
        # Tolerance for rounding, and for a cap that cuts a step short.
        if self._doubling:
            # Heavy-tailed replies can hide the gain of one doubling, hardly that of two.
            gain, is_due, is_last = _DOUBLING_GAIN, steps >= 2, steps >= 4
            gain = gain**2 if is_last else gain
        else:
            gain, is_due = _PROBE_GAIN, round_.limit >= _PROBE_STEP * mark.limit - 1
            is_last = is_due = is_due and steps > 1
        if is_due and round_.goodput >= gain * mark.goodput:
            mark = round_
            self._next_rest = _FIRST_REST_ROUNDS
            self._step *= 2
            self._doubling |= self._step >= 1
        elif is_last:
            self._settle(mark)
            return
        self._mark = mark
        if self._limit < self._cap:
            step = self._limit * (1 if self._doubling else self._step)
            self._change(self._limit + max(1.0, step))

    def _settle(self, mark: _Measured) -> None:
        self._doubling = False
        self._mark = None
        self._step = _FIRST_STEP
        self._rest_rounds = self._next_rest
        self._next_rest = min(_LONGEST_REST_ROUNDS, 2 * self._next_rest)
        self._change(mark.limit)

    def _change(self, limit: float) -> None:
        """Set the limit, and let pass what is in flight under the present one."""
        self._to_skip = self._flying
        self._began = None
        self._set(limit)

    def _set(self, limit: float) -> None:
        self._limit = min(self._cap, max(1.0, limit))
        self.limit = int(self._limit)

"""How many requests an endpoint is given at once, found by trying."""

from dataclasses import dataclass

_START = 8
_DECREASE = 0.7
_ROUND_OUTCOMES = 32
# Some are refused whatever the load; of a round's few outcomes that looks like more.
_REFUSED_SHARE = 0.2
_KEPT_SHARE = 0.7
_PROBE_STEP = 1.25
_DOUBLING_GAIN = 1.2
_PROBE_GAIN = 1.06
_FORGIVEN_ROUNDS = 30
_FIRST_REST_ROUNDS = 8
_LONGEST_REST_ROUNDS = 64


@dataclass(frozen=True)
class _Measured:
    """What a round of outcomes showed at one limit."""

    limit: float
    goodput: float
    refused_share: float


class Limiter:
    """Additive increase, multiplicative decrease (Chiu and Jain, 1989), judged by what gets done.

    A round is a few times as many outcomes as requests are in flight. Three things lower the limit:

    - Refusals for load (429, 503, 529, timeouts): by 0.7. Where the share of refusals doesn't
      fall with the limit, they have another cause, and the limit is given back.
    - Latency that rises without a gain: on a server that batches, every further request makes
      the others slower and is still worth it, until replies per second stop growing. So more in
      flight must bring more per second, else the limit goes back to where it was.
    - The user's cap, at which it starts when there is one.

    Attributes:
        limit: Requests that may be in flight.
    """

    def __init__(self, cap: int | None, most: int = 1024) -> None:
        """Begin at the cap, or low and doubling."""
        self._limit = float(cap or _START)
        self._began: float | None = None
        self._outcomes = self._refused = self._crowded = 0
        self._cap = float(cap or most)
        self._fixed = cap is not None
        self._doubling = cap is None
        self._rest_rounds = 0
        self._next_rest = _FIRST_REST_ROUNDS
        self._tolerated = _REFUSED_SHARE
        self._forgiven_rounds = 0
        self._skip = False
        self._lowered_from: _Measured | None = None
        self._mark: _Measured | None = None

    @property
    def limit(self) -> int:
        """Requests that may be in flight, at least one."""
        return max(1, int(self._limit))

    def note(self, now: float, in_flight: int, refused: bool) -> None:
        """Take in the outcome of one request.

        Args:
            now: Seconds on any steady clock.
            in_flight: Requests in flight when it ended, itself included.
            refused: It was turned away for load, or timed out.
        """
        if self._began is None:
            self._began = now
        self._outcomes += 1
        self._refused += refused
        self._crowded += in_flight >= self.limit
        if self._outcomes >= max(_ROUND_OUTCOMES, 2 * self.limit) and now > self._began:
            self._end_round(now)

    def _end_round(self, now: float) -> None:
        assert self._began is not None
        share = self._refused / self._outcomes
        goodput = (self._outcomes - self._refused) / (now - self._began)
        round_ = _Measured(self._limit, goodput, share)
        was_full = self._crowded > self._outcomes / 2
        self._began = now
        self._outcomes = self._refused = self._crowded = 0
        if self._skip:
            # Replies of this round left under the limit before.
            self._skip = False
        elif self._lowered_from is not None:
            self._judge_decrease(round_, self._lowered_from)
        elif share > self._tolerated:
            self._decrease(round_)
        else:
            self._forgive()
            if was_full and not self._fixed:
                self._seek(round_)
            elif self._fixed and self._limit < self._cap:
                self._set(self._limit + max(1.0, self._cap / 16))

    def _judge_decrease(self, now: _Measured, before: _Measured) -> None:
        self._lowered_from = None
        if now.refused_share <= max(_REFUSED_SHARE, _KEPT_SHARE * before.refused_share):
            self._mark = None
            if now.refused_share > self._tolerated:
                self._decrease(now)
            return
        self._tolerated = min(0.9, 1.5 * max(now.refused_share, before.refused_share))
        self._forgiven_rounds = _FORGIVEN_ROUNDS
        self._set(before.limit)

    def _decrease(self, round_: _Measured) -> None:
        self._doubling = False
        self._lowered_from = round_
        self._set(self._limit * _DECREASE)
        self._skip = True

    def _forgive(self) -> None:
        self._forgiven_rounds -= 1
        if self._forgiven_rounds <= 0:
            self._tolerated = _REFUSED_SHARE

    def _seek(self, round_: _Measured) -> None:
        """Raise the limit while that brings more per second."""
        if self._rest_rounds > 0:
            self._rest_rounds -= 1
            return
        mark = self._mark
        step = 2.0 if self._doubling else _PROBE_STEP
        if mark is not None and round_.limit >= step * mark.limit - 1:
            gain = _DOUBLING_GAIN if self._doubling else _PROBE_GAIN
            if round_.goodput < gain * mark.goodput:
                self._settle(mark)
                return
            mark = None
            self._next_rest = _FIRST_REST_ROUNDS
        self._mark = mark or round_
        if self._limit >= self._cap:
            return
        self._set(2 * self._limit if self._doubling else self._limit + max(1.0, self._limit / 16))
        self._skip = self._doubling

    def _settle(self, mark: _Measured) -> None:
        self._set(mark.limit)
        self._doubling = False
        self._mark = None
        self._skip = True
        self._rest_rounds = self._next_rest
        self._next_rest = min(_LONGEST_REST_ROUNDS, 2 * self._next_rest)

    def _set(self, limit: float) -> None:
        self._limit = min(self._cap, max(1.0, limit))

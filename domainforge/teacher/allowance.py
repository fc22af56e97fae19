"""What an endpoint allows a minute: read from its headers or told by the user, and kept to."""

import math
from collections.abc import Mapping
from typing import Literal

from domainforge.teacher.limit_headers import Limits, Resource, read_limits

_SLACK_SECONDS = 0.001
_MINUTE = 60.0
_LONGEST_WAIT_SECONDS = 60.0
_EVEN_TOLERANCE = 0.02
_EVEN_SLACK_SECONDS = 0.05
_ROUNDED_SECONDS = 1.0
_SUREST = 5
_BURST_SECONDS = 2.0
_PERIOD_SECONDS = 5.0
_FORGETTING = 0.99


class Allowance:
    """Requests and tokens a minute at one endpoint. Unknown limits let everything through.

    What the user says is kept exactly, as a bucket that fills evenly. What headers say is followed
    as far as it makes sense: a request that has waited a minute leaves in any case, since a header
    can be wrong, and a 429 is harmless.

    A request is set aside with the most tokens that it may take. Most take far less, so those in
    flight count with the share that replies turned out to take.
    """

    def __init__(
        self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """Begin with what the user says; headers can only lower it."""
        self._requests = None if requests_per_minute is None else _Told(requests_per_minute)
        self._tokens = None if tokens_per_minute is None else _Told(tokens_per_minute)
        self._read: dict[Resource, _Read] = {}
        self._tokens_out = 0
        self._share = 1.0
        self._used = self._set_aside = 0.0

    def wait_seconds(self, now: float, tokens: int) -> float:
        """Return how long a request of so many tokens has to wait; 0 when it may leave."""
        longest = 0.0
        if self._requests is not None:
            longest = self._requests.wait_seconds(now, 1, 0)
        if self._tokens is not None:
            expected, out = tokens * self._share, self._tokens_out * self._share
            longest = max(longest, self._tokens.wait_seconds(now, expected, out))
        for resource, read in self._read.items():
            amount = 1 if resource.unit == "requests" else tokens
            longest = max(longest, read.wait_seconds(now, amount))
        return longest

    def take(self, now: float, tokens: int) -> None:
        """Count a request that leaves, with the most tokens that it may take."""
        self._tokens_out += tokens
        if self._requests is not None:
            self._requests.spend(1)
        for resource, read in self._read.items():
            read.take(now, 1 if resource.unit == "requests" else tokens * self._share)

    def settle(self, tokens: int, used: int | None) -> None:
        """Count a request in, with the tokens that it took; None where it isn't known."""
        self._tokens_out -= tokens
        expected = tokens * self._share
        if used and tokens:
            self._used = _FORGETTING * self._used + used
            self._set_aside = _FORGETTING * self._set_aside + tokens
            self._share = min(1.0, self._used / self._set_aside)
        taken = expected if used is None else used
        if self._tokens is not None:
            self._tokens.spend(taken)
        for resource, read in self._read.items():
            if resource.unit == "tokens":
                read.give_back(expected - taken)

    def learn(self, now: float, headers: Mapping[str, str], in_flight: int) -> None:
        """Take in the headers of a reply; those in flight may or may not be in its numbers."""
        for resource, limits in read_limits(headers).items():
            if limits.limit is None or limits.limit < 1:
                # Zero is what some say where there is no limit; who grants nothing refuses.
                continue
            if resource not in self._read:
                self._read[resource] = _Read(now, limits.limit)
            is_tokens = resource.unit == "tokens"
            out = self._tokens_out * self._share if is_tokens else in_flight
            self._read[resource].learn(now, limits, out)


class _Told:
    """A bucket that fills evenly, with no more in it than two seconds' worth.

    Not the whole minute's share at once: a limit is often kept in smaller windows. It is charged
    when the amount is known; until then that is out, and counted against it.
    """

    def __init__(self, per_minute: float) -> None:
        self._per_second = per_minute / _MINUTE
        self._capacity = self._level = max(1.0, _BURST_SECONDS * self._per_second)
        self._at: float | None = None

    def wait_seconds(self, now: float, amount: float, out: float) -> float:
        if self._at is not None:
            gained = max(0.0, now - self._at) * self._per_second
            self._level = max(self._level, min(self._capacity + out, self._level + gained))
        self._at = now
        # An amount above the whole bucket leaves when the bucket is full, and puts it in debt.
        missing = min(amount, self._capacity) - (self._level - out)
        return 0.0 if missing <= 0 else missing / self._per_second + _SLACK_SECONDS

    def spend(self, amount: float) -> None:
        self._level -= amount


class _Read:
    """A limit as the endpoint's headers tell it: what is left, and how it comes back.

    Two kinds are told apart by their own numbers. A bucket that fills evenly is whole again after
    used / limit windows (OpenAI, Groq, Anthropic); anything else is a window that is granted anew
    as a whole at its reset, and until then nothing comes back.

    Headers are as old as their reply is slow, so what they say is left can be too much: it lowers
    the level at once, but raises it only to what is left by the least of some seconds' replies.
    """

    def __init__(self, now: float, limit: float) -> None:
        self._capacity = self._level = limit
        self._per_second = limit / _MINUTE
        self._at = now
        self._renews_at: float | None = None
        self._window_ends = -math.inf
        self._longest_reset = 0.0
        self._evenness = 0
        self._last_left = now
        self._least_since = now
        self._least_said = self._least_before = math.inf
        self._is_first = True

    def wait_seconds(self, now: float, amount: float) -> float:
        self._fill(now)
        missing = min(amount, self._capacity) - self._level
        if missing <= 0:
            return 0.0
        if self._renews_at is not None:
            wait_seconds = self._renews_at - now
        else:
            wait_seconds = missing / self._per_second
        longest = max(0.0, self._last_left + _LONGEST_WAIT_SECONDS - now)
        return min(wait_seconds + _SLACK_SECONDS, longest)

    def take(self, now: float, amount: float) -> None:
        self._fill(now)
        self._level -= amount
        self._last_left = now

    def give_back(self, amount: float) -> None:
        self._level = min(self._capacity, self._level + amount)

    def learn(self, now: float, limits: Limits, out: float) -> None:
        assert limits.limit
        self._fill(now)
        self._capacity = limits.limit
        remaining = limits.limit if limits.remaining is None else limits.remaining
        remaining = min(remaining, limits.limit)
        what = self._learn_return(now, limits, limits.limit - remaining)
        if limits.remaining is not None and what != "past":
            if what == "new":
                self._level = remaining - out
                self._least_since, self._least_before = now, math.inf
                self._least_said = remaining
            self._level = min(self._level, remaining)
            if limits.reset_seconds is not None:
                self._raise(now, remaining, out)
        self._level = min(self._level, self._capacity)

    def _learn_return(
        self, now: float, limits: Limits, used: float
    ) -> Literal["past", "known", "new"]:
        """Find out how what was used comes back, and which window a reply tells of."""
        assert limits.limit
        reset = limits.reset_seconds
        window = limits.window_seconds or _MINUTE
        self._per_second = limits.limit / window
        is_first, self._is_first = self._is_first, False
        if reset is None:
            # A short window's kind is not known, and spending evenly is right for both.
            if window <= _MINUTE:
                self._capacity = max(1.0, _BURST_SECONDS * self._per_second)
            return "new" if is_first else "known"
        whole_after = used / limits.limit * window
        slack = _ROUNDED_SECONDS if reset == int(reset) else _EVEN_SLACK_SECONDS
        is_even = abs(reset - whole_after) <= _EVEN_TOLERANCE * whole_after + slack
        # A window can look even by chance, when its time runs out as fast as what is left.
        self._evenness = max(-_SUREST, min(_SUREST, self._evenness + (1 if is_even else -1)))
        if self._evenness > 0:
            self._renews_at = None
            return "new" if is_first else "known"
        self._longest_reset = max(self._longest_reset, reset)
        renews_at = now + reset
        if renews_at < self._window_ends - self._longest_reset / 2 or renews_at <= now:
            return "past"
        is_new = renews_at > self._window_ends + self._longest_reset / 2
        # The reply was on its way for a while; the earliest word of a window is the truest.
        self._window_ends = renews_at if is_new else min(renews_at, self._window_ends)
        self._renews_at = self._window_ends if self._window_ends > now else None
        return "new" if is_new else "known"

    def _raise(self, now: float, remaining: float, out: float) -> None:
        """Lift the level to what is left at the very least.

        Of the recent replies, the one that was let in last says least but for what came back
        since; only those still out can have taken from that.
        """
        if now - self._least_since >= _PERIOD_SECONDS:
            self._least_since, self._least_before = now, self._least_said
            self._least_said = math.inf
        self._least_said = min(self._least_said, remaining)
        least = min(self._least_said, self._least_before) - out
        self._level = max(self._level, min(least, remaining))

    def _fill(self, now: float) -> None:
        if self._renews_at is None:
            gained = max(0.0, now - self._at) * self._per_second
            self._level = min(self._capacity, self._level + gained)
        elif now >= self._renews_at:
            self._level, self._renews_at = self._capacity, None
        self._at = now

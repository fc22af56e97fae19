"""What an endpoint allows a minute: read from its headers or told by the user, and kept to."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SLACK = 0.001


@dataclass(frozen=True)
class Limits:
    """What one reply's headers say of one resource; None where they don't.

    Attributes:
        limit: Granted in each window.
        remaining: Left now.
        reset_seconds: Until all of it is back.
    """

    limit: float | None
    remaining: float | None
    reset_seconds: float | None


class Allowance:
    """Requests and tokens a minute at one endpoint, as buckets that fill evenly.

    A bucket without a known limit lets everything through.
    """

    def __init__(
        self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """Begin with what the user says; headers can only lower it."""
        self._buckets = {
            "requests": _Bucket(requests_per_minute),
            "tokens": _Bucket(tokens_per_minute),
        }

    def wait_seconds(self, now: float, tokens: int) -> float:
        """Return how long a request of so many tokens has to wait; 0 when it may leave."""
        return max(
            self._buckets["requests"].wait_seconds(now, 1),
            self._buckets["tokens"].wait_seconds(now, tokens),
        )

    def take(self, now: float, tokens: int) -> None:
        """Count a request that leaves."""
        self._buckets["requests"].take(now, 1)
        self._buckets["tokens"].take(now, tokens)

    def give_back(self, tokens: int) -> None:
        """Return tokens that were set aside and not used."""
        self._buckets["tokens"].give_back(tokens)

    def learn(
        self, now: float, headers: Mapping[str, str], in_flight: int, in_flight_tokens: int
    ) -> None:
        """Take in the headers of a reply; those in flight may or may not be in its numbers."""
        self._buckets["requests"].learn(now, read_limits(headers, "requests"), in_flight)
        self._buckets["tokens"].learn(now, read_limits(headers, "tokens"), in_flight_tokens)


class _Bucket:
    def __init__(self, per_minute: float | None) -> None:
        self._most = per_minute
        self._per_second = None if per_minute is None else per_minute / 60
        # Not the whole minute's share at once: a limit is often kept in smaller windows.
        self._level = math.inf if per_minute is None else max(1.0, per_minute / 60)
        self._capacity = self._level
        self._at: float | None = None

    def wait_seconds(self, now: float, amount: float) -> float:
        if self._per_second is None:
            return 0.0
        self._fill(now)
        # An amount above the whole bucket leaves when the bucket is full, and puts it in debt.
        missing = min(amount, self._capacity) - self._level
        return 0.0 if missing <= 0 else missing / self._per_second + _SLACK

    def take(self, now: float, amount: float) -> None:
        if self._per_second is not None:
            self._fill(now)
            self._level -= amount

    def give_back(self, amount: float) -> None:
        if self._per_second is not None:
            self._level = min(self._capacity, self._level + amount)

    def learn(self, now: float, limits: Limits, in_flight: float) -> None:
        if limits.limit is None or limits.limit <= 0:
            return
        remaining = limits.limit if limits.remaining is None else limits.remaining
        used = limits.limit - remaining
        # A bucket that fills evenly is whole again after used / rate. One that is filled at once
        # says when; its own `remaining` holds us back until then.
        even = limits.reset_seconds and used > 0
        rate = used / limits.reset_seconds if even and limits.reset_seconds else limits.limit / 60
        rate = min(rate, limits.limit)
        if self._per_second is None:
            self._capacity, self._level, self._at = limits.limit, remaining, now
        self._per_second = rate
        self._fill(now)
        if self._most is not None:
            self._per_second = min(rate, self._most / 60)
        if limits.remaining is not None:
            self._level = min(max(self._level, remaining - in_flight), remaining)
            self._level = min(self._level, self._capacity)

    def _fill(self, now: float) -> None:
        assert self._per_second is not None
        if self._at is not None:
            gained = (now - self._at) * self._per_second
            self._level = min(self._capacity, self._level + gained)
        self._at = now


def read_limits(headers: Mapping[str, str], resource: str) -> Limits:
    """Read `x-ratelimit-*` (OpenAI and most), or `anthropic-ratelimit-*`.

    Args:
        headers: Names in lower case.
        resource: `requests` or `tokens`.
    """
    for limit, remaining, reset in (
        (
            f"x-ratelimit-limit-{resource}",
            f"x-ratelimit-remaining-{resource}",
            f"x-ratelimit-reset-{resource}",
        ),
        (
            f"anthropic-ratelimit-{resource}-limit",
            f"anthropic-ratelimit-{resource}-remaining",
            f"anthropic-ratelimit-{resource}-reset",
        ),
    ):
        if limit in headers:
            return Limits(
                _number(headers.get(limit)),
                _number(headers.get(remaining)),
                read_duration(headers.get(reset, "")),
            )
    return Limits(None, None, None)


def read_duration(text: str) -> float | None:
    """Read `6m0s`, `20ms`, plain seconds, or a date as seconds from now; None if it is neither."""
    seconds = _number(text)
    if seconds is not None:
        return seconds
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - time.time())
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None

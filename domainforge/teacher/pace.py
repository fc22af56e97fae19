"""How long to wait before asking again, and when to give up on an endpoint."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import Random

_RETURN_SPREAD = 0.2


@dataclass(frozen=True)
class Pace:
    """Waiting times, in one place so that tests can make them short.

    Attributes:
        base_seconds: Upper end of the first wait; doubles with each further one.
        cap_seconds: Longest wait of our own choosing.
        retry_after_cap_seconds: Longest wait that an endpoint can impose.
        grace_seconds: How long requests in flight may still finish when a run stops: they are
            paid for, so a reply that arrives now is kept for the next run.
        down_after: Failures in a row that show an endpoint is down, if it never answered at all.
        down_seconds: How long an endpoint that never answered may refuse connections; it may be
            starting.
    """

    base_seconds: float = 0.5
    cap_seconds: float = 30.0
    retry_after_cap_seconds: float = 60.0
    grace_seconds: float = 2.0
    down_after: int = 3
    down_seconds: float = 8.0

    def wait_seconds(self, attempt: int, retry_after: float | None, jitter: Random) -> float:
        """Return how long to wait after failed attempt number `attempt` (from 0).

        Full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015): uniform up to the
        exponential bound. A wait that the endpoint asks for is kept, with a little on top so
        that not everyone returns at once.
        """
        if retry_after is not None:
            most = _RETURN_SPREAD * self.base_seconds
            return min(retry_after, self.retry_after_cap_seconds) + jitter.uniform(0, most)
        bound = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt, 30))
        return jitter.uniform(0, bound)


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `retry-after-ms` or `Retry-After` (seconds or a date) as seconds from now."""
    milliseconds = _positive(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _positive(text)
    if seconds is not None or not text:
        return seconds
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None

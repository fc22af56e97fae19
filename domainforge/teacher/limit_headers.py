"""What the headers of a reply say about the endpoint's limits, whoever's headers they are."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

_MINUTE = 60.0
_WINDOWS = {"second": 1.0, "minute": _MINUTE, "hour": 3600.0, "day": 86400.0, "month": 2592000.0}
# OpenAI, Azure, Groq: x-ratelimit-limit-requests. Cerebras: ...-requests-day. Mistral:
# ...-req-minute, and x-ratelimitbysize-limit-minute for tokens. DigitalOcean:
# ...-tokens-per-minute. OpenRouter: x-ratelimit-limit. Together: x-tokenlimit-limit.
_COMMON = re.compile(
    r"(?:x-)?(ratelimit|ratelimitbysize|tokenlimit)-(limit|remaining|reset)"
    r"(?:-(requests|req|tokens))?(?:-(?:per-)?(second|minute|hour|day|month))?"
)
_ANTHROPIC = re.compile(
    r"anthropic-ratelimit-(requests|tokens|input-tokens|output-tokens)-(limit|remaining|reset)"
)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_OLDEST_EPOCH_SECONDS = 1e9
_OLDEST_EPOCH_MILLISECONDS = 1e12


class Resource(NamedTuple):
    """What is limited.

    Attributes:
        unit: `requests` or `tokens`.
        name: Tells limits of one unit apart: `tokens`, `input-tokens`, `requests-day`.
    """

    unit: str
    name: str


@dataclass(frozen=True)
class Limits:
    """What one reply says of one resource; None where it doesn't.

    Attributes:
        limit: Granted in each window.
        remaining: Left now.
        reset_seconds: Until all of it is back (by a few endpoints: enough for such a request).
        window_seconds: That the limit is for, where the header's name says it.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None
    window_seconds: float | None = None


def read_limits(headers: Mapping[str, str]) -> dict[Resource, Limits]:
    """Read every limit that the headers tell; the case of their names doesn't matter."""
    found: dict[Resource, dict[str, float | None]] = {}
    for name, text in headers.items():
        name = name.lower()
        if "limit" not in name:
            continue
        if name in ("ratelimit", "ratelimit-policy"):
            _read_structured(name, text, found)
            continue
        resource, field, window_seconds = _read_name(name)
        if resource is not None:
            fields = found.setdefault(resource, {"window_seconds": window_seconds})
            read = read_duration if field == "reset" else _first_number
            fields["reset_seconds" if field == "reset" else field] = read(text)
    return {resource: Limits(**fields) for resource, fields in found.items()}


def read_duration(text: str) -> float | None:
    """Read `6m0s`, `20ms`, seconds, or a date in any common form as seconds from now.

    Returns:
        None if it is none of these.
    """
    seconds = _number(text)
    if seconds is not None:
        if seconds >= _OLDEST_EPOCH_SECONDS:
            # A point in time (DigitalOcean; OpenRouter in milliseconds), not a duration.
            at = seconds / 1000 if seconds >= _OLDEST_EPOCH_MILLISECONDS else seconds
            return max(0.0, at - time.time())
        return seconds
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        return total if math.isfinite(total) else None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return max(0.0, parse(text.strip()).timestamp() - time.time())
        except (ValueError, OverflowError):
            continue
    return None


def _read_name(name: str) -> tuple[Resource | None, str, float | None]:
    """Take a header's name apart into what is limited, what it tells, and for how long."""
    match = _ANTHROPIC.fullmatch(name)
    if match is not None:
        return Resource(match[1].split("-")[-1], match[1]), match[2], _MINUTE
    match = _COMMON.fullmatch(name)
    if match is None:
        return None, "", None
    family, field, unit, window = match.groups()
    unit = "tokens" if unit == "tokens" or family != "ratelimit" else "requests"
    own = "" if family == "ratelimit" else f"-{family}"
    resource = Resource(unit, f"{unit}{own}-{window}" if window else f"{unit}{own}")
    return resource, field, _WINDOWS[window] if window else None


def _read_structured(name: str, text: str, found: dict[Resource, dict[str, float | None]]) -> None:
    """Read `RateLimit: "a";r=50;t=30` and `RateLimit-Policy: "a";q=100;w=60` (IETF draft 8 on)."""
    names = {"r": "remaining", "t": "reset_seconds", "q": "limit", "w": "window_seconds"}
    for item in text.split(","):
        policy, *parameters = (part.strip() for part in item.split(";"))
        pairs = [parameter.split("=", 1) for parameter in parameters if "=" in parameter]
        values = {names[key]: _number(value) for key, value in pairs if key in names}
        if values:
            unit = "tokens" if "token" in policy else "requests"
            found.setdefault(Resource(unit, f"{unit}-{policy}"), {}).update(values)


def _first_number(text: str) -> float | None:
    """Read `100`, or the first of `100, 100;w=60`."""
    return _number(text.split(",", 1)[0].split(";", 1)[0])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    # Azure says -1 where it has nothing to say.
    return value if math.isfinite(value) and value >= 0 else None

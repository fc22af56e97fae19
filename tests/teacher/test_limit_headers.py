import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.teacher.limit_headers import Limits, Resource, read_duration, read_limits

REQUESTS = Resource("requests", "requests")
TOKENS = Resource("tokens", "tokens")
SOON = (datetime.now(UTC) + timedelta(seconds=30)).isoformat(timespec="seconds")

# As the endpoints' documentation or recorded replies show them.
MADE = time.time()
KNOWN = {
    "OpenAI": (
        {
            "x-ratelimit-limit-requests": "5000",
            "x-ratelimit-limit-tokens": "160000",
            "x-ratelimit-limit-tokens_usage_based": "160000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-remaining-tokens": "159976",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-reset-tokens": "9ms",
        },
        {REQUESTS: Limits(5000, 4999, 0.012), TOKENS: Limits(160_000, 159_976, 0.009)},
    ),
    "Groq, requests of a day": (
        {
            "x-ratelimit-limit-requests": "14400",
            "x-ratelimit-remaining-requests": "14370",
            "x-ratelimit-reset-requests": "2m59.56s",
            "x-ratelimit-limit-tokens": "18000",
            "x-ratelimit-remaining-tokens": "17997",
            "x-ratelimit-reset-tokens": "7.66s",
        },
        {REQUESTS: Limits(14_400, 14_370, 179.56), TOKENS: Limits(18_000, 17_997, 7.66)},
    ),
    "Azure, whole seconds": (
        {
            "X-RateLimit-Limit-Tokens": "240000",
            "X-RateLimit-Remaining-Tokens": "239000",
            "X-RateLimit-Reset-Tokens": "1",
        },
        {TOKENS: Limits(240_000, 239_000, 1)},
    ),
    "Azure, nothing to say": (
        {
            "x-ratelimit-limit-tokens": "-1",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-tokens": "0",
        },
        {TOKENS: Limits(None, None, 0)},
    ),
    "Anthropic": (
        {
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "999",
            "anthropic-ratelimit-requests-reset": SOON,
            "anthropic-ratelimit-output-tokens-limit": "16000",
            "anthropic-ratelimit-output-tokens-remaining": "15000",
            "anthropic-ratelimit-output-tokens-reset": SOON,
        },
        {
            REQUESTS: Limits(1000, 999, 30, 60),
            Resource("tokens", "output-tokens"): Limits(16_000, 15_000, 30, 60),
        },
    ),
    "Mistral": (
        {
            "x-ratelimit-limit-tokens-minute": "5000000",
            "x-ratelimit-remaining-tokens-minute": "4999911",
            "x-ratelimit-tokens-query-cost": "52",
            "x-ratelimit-limit-req-minute": "720",
            "x-ratelimit-remaining-req-minute": "717",
        },
        {
            Resource("tokens", "tokens-minute"): Limits(5_000_000, 4_999_911, None, 60),
            Resource("requests", "requests-minute"): Limits(720, 717, None, 60),
        },
    ),
    "Mistral, older": (
        {
            "ratelimitbysize-limit": "500000",
            "ratelimitbysize-remaining": "499900",
            "ratelimitbysize-reset": "28",
            "ratelimitbysize-query-cost": "100",
        },
        {Resource("tokens", "tokens-ratelimitbysize"): Limits(500_000, 499_900, 28)},
    ),
    "Cerebras": (
        {
            "x-ratelimit-limit-requests-day": "1000",
            "x-ratelimit-remaining-requests-day": "750",
            "x-ratelimit-reset-requests-day": "3600",
            "x-ratelimit-limit-tokens-minute": "60000",
            "x-ratelimit-remaining-tokens-minute": "50",
            "x-ratelimit-reset-tokens-minute": "26.5",
        },
        {
            Resource("requests", "requests-day"): Limits(1000, 750, 3600, 86_400),
            Resource("tokens", "tokens-minute"): Limits(60_000, 50, 26.5, 60),
        },
    ),
    "DigitalOcean, a point in time": (
        {
            "x-ratelimit-limit-tokens-per-minute": "1000",
            "x-ratelimit-remaining-tokens-per-minute": "10",
            "x-ratelimit-reset-tokens-per-minute": str(int(time.time()) + 30),
        },
        {Resource("tokens", "tokens-minute"): Limits(1000, 10, 30, 60)},
    ),
    "OpenRouter, milliseconds": (
        {
            "X-RateLimit-Limit": "20",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int(time.time() * 1000) + 30_000),
        },
        {REQUESTS: Limits(20, 0, 30)},
    ),
    "IETF, early drafts": (
        {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "50", "RateLimit-Reset": "50"},
        {REQUESTS: Limits(100, 50, 50)},
    ),
    "IETF, later drafts": (
        {"RateLimit-Policy": '"burst";q=100;w=60', "RateLimit": '"burst";r=50;t=30'},
        {Resource("requests", 'requests-"burst"'): Limits(100, 50, 30, 60)},
    ),
    "vLLM, none": ({"content-type": "application/json", "server": "uvicorn"}, {}),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_headers_of_known_endpoints(name: str) -> None:
    headers, wanted = KNOWN[name]
    found = read_limits(headers)
    assert found.keys() == wanted.keys()
    for resource, limits in wanted.items():
        read = found[resource]
        assert (read.limit, read.remaining) == (limits.limit, limits.remaining)
        assert read.window_seconds == limits.window_seconds
        if limits.reset_seconds is None:
            assert read.reset_seconds is None
        else:
            # A date was some seconds further away when the table was made.
            assert read.reset_seconds == pytest.approx(
                limits.reset_seconds, abs=time.time() - MADE + 2
            )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1d2h3m4.5s", 93_784.5),
        ("20ms", 0.02),
        ("1.5", 1.5),
        ("0", 0),
        ("2001-01-01T00:00:00Z", 0),
        ("1000000000", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("6 parsecs", None),
        ("ms", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


def test_dates_are_counted_from_now() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    for text in (later.isoformat(), format_datetime(later), str(later.timestamp())):
        assert read_duration(text) == pytest.approx(100, abs=5)


NAMES = st.sampled_from(sorted({name for headers, _ in KNOWN.values() for name in headers}))


@given(st.dictionaries(NAMES, st.text(max_size=30)))
def test_whatever_headers_hold_the_numbers_are_usable(headers: dict[str, str]) -> None:
    for limits in read_limits(headers).values():
        for value in (limits.limit, limits.remaining, limits.reset_seconds, limits.window_seconds):
            assert value is None or (math.isfinite(value) and value >= 0)

import time
from email.utils import formatdate
from random import Random

import pytest

from domainforge.teacher.pace import Pace, parse_retry_after


def test_waits_grow_to_the_cap_with_full_jitter() -> None:
    pace, jitter = Pace(base_seconds=1, cap_seconds=8), Random(1)
    for attempt, bound in enumerate([1, 2, 4, 8, 8, 8]):
        waits = [pace.wait_seconds(attempt, None, jitter) for _ in range(300)]
        assert 0 <= min(waits) < 0.1 * bound
        assert 0.9 * bound < max(waits) <= bound


def test_a_wait_asked_for_is_kept_up_to_its_cap() -> None:
    pace = Pace(base_seconds=0.5, retry_after_cap_seconds=60)
    assert 7 <= pace.wait_seconds(0, 7, Random(1)) <= 7.5
    assert 60 <= pace.wait_seconds(0, 3600, Random(1)) <= 60.5


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sat, 01 Jan 2000 00:00:00 GMT"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert parse_retry_after(headers) == expected


def test_retry_after_as_a_date() -> None:
    seconds = parse_retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert seconds is not None
    assert 28 <= seconds <= 30

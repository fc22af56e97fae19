import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.teacher.allowance import Allowance
from tests.support.simulated_endpoints import Metered, simulate, simulated_lane

SEEDS = range(2)
A_FEW = 3


def windows(even: bool, starts_at: float) -> tuple[float, float, int]:
    """Return the time to look at, past the first minute, and the windows in it."""
    begin = 60.0 if even else 120.0 - starts_at - 1
    return begin, begin + 240 + (0 if even else 2), 4


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("even", "starts_at"), [(True, 0.0), (False, 0.0), (False, 35.0)], ids=str)
@pytest.mark.parametrize(
    ("per_minute", "seconds"), [(60, 0.5), (600, 0.5), (600, 8.0), (2000, 1.0)]
)
def test_requests_a_minute_are_read_from_headers_and_used(
    seed: int, even: bool, starts_at: float, per_minute: int, seconds: float
) -> None:
    endpoint = Metered(requests=per_minute, seconds=seconds, even=even, starts_at=starts_at)
    begin, end, minutes = windows(even, starts_at)
    course = simulate(endpoint, end + 1, seed)
    assert course.goodput(begin, end) * (end - begin) >= 0.9 * minutes * per_minute
    # A window's first replies tell late what is left; no more than one in a hundred is refused.
    assert course.refused() <= A_FEW * (minutes + 2) + 0.01 * len(course.moments)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(
    ("per_minute", "seconds", "tokens", "reserved"),
    [(30_000, 2.0, 500, 900), (100_000, 5.0, 400, 2400), (30_000, 10.0, 500, 1400)],
)
def test_tokens_a_minute_are_read_from_headers_and_used(
    seed: int, even: bool, per_minute: int, seconds: float, tokens: int, reserved: int
) -> None:
    endpoint = Metered(tokens=per_minute, seconds=seconds, even=even)
    # A window's replies come in when its requests are through, so whole windows are counted.
    begin, end = (60, 300) if even else (60 + 3 * seconds, 300 + 3 * seconds)
    course = simulate(endpoint, end + 1, seed, tokens=tokens, reserved_tokens=reserved)
    assert course.goodput(begin, end) * tokens * 60 >= 0.9 * per_minute
    assert course.refused() <= A_FEW * 5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("even", [True, False])
def test_a_limit_without_its_reset_is_spent_evenly(seed: int, even: bool) -> None:
    course = simulate(Metered(requests=600, even=even, reset=False), 300, seed)
    assert course.goodput(60) >= 0.95 * 10
    assert course.refused(60) <= A_FEW
    assert course.refused() <= 0.01 * len(course.moments)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("even", [True, False])
def test_what_the_user_says_is_kept_without_headers(seed: int, even: bool) -> None:
    asked = Metered(requests=600, even=even, headers=False)
    course = simulate(asked, 300, seed, requests_per_minute=600)
    assert course.goodput(60) >= 0.95 * 10
    assert course.refused() <= 20
    read = Metered(tokens=30_000, seconds=5, even=even, headers=False)
    course = simulate(read, 400, seed, tokens=500, reserved_tokens=1900, tokens_per_minute=30_000)
    assert course.goodput(60) >= 0.9
    assert course.refused() <= A_FEW


def test_what_the_user_says_holds_against_headers_that_allow_more() -> None:
    course = simulate(Metered(requests=6000), 120, requests_per_minute=60)
    assert course.goodput() <= 1.02
    course = simulate(Metered(requests=60), 300, requests_per_minute=6000)
    assert course.goodput(60) == pytest.approx(1, rel=0.05)


def test_a_slow_limit_of_the_user_is_kept() -> None:
    allowance = Allowance(requests_per_minute=0.5)
    assert allowance.wait_seconds(0, 0) == 0
    allowance.take(0, 0)
    assert allowance.wait_seconds(0, 0) == pytest.approx(120, abs=0.1)
    assert allowance.wait_seconds(119, 0) > 0
    assert allowance.wait_seconds(121, 0) == 0


def test_both_limits_hold_together() -> None:
    endpoint = Metered(requests=120, tokens=12_000)
    course = simulate(endpoint, 300, tokens=200, reserved_tokens=300)
    assert course.goodput(60) == pytest.approx(1, rel=0.1)
    assert course.refused() <= A_FEW


def test_an_exhausted_day_is_tried_once_a_minute() -> None:
    allowance = Allowance()
    headers = {
        "x-ratelimit-limit-requests-day": "1000",
        "x-ratelimit-remaining-requests-day": "0",
        "x-ratelimit-reset-requests-day": "40000",
    }
    left, now = 0, 0.0
    while now < 600:
        wait_seconds = allowance.wait_seconds(now, 0)
        assert wait_seconds <= 60
        now += wait_seconds
        allowance.take(now, 0)
        now += 0.1
        left += 1
        allowance.settle(0, 0)
        allowance.learn(now, headers, 0)
    assert left == 11


def test_a_request_larger_than_the_whole_grant_leaves_when_the_bucket_is_full() -> None:
    allowance = Allowance(tokens_per_minute=600)
    assert allowance.wait_seconds(0, 5000) == 0
    allowance.take(0, 5000)
    assert allowance.wait_seconds(0, 5000) == pytest.approx(500, abs=1)
    allowance.settle(5000, 100)
    assert allowance.wait_seconds(0, 5000) == pytest.approx(10, abs=1)


NUMBERS = st.one_of(
    st.integers(-5, 10**7).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["", "0", "-1", "nan", "1e308", "5e-324", "soon", "9999999999", "2m3s", "1ms"]),
)
FORMS = [
    ("x-ratelimit-limit-{}", "x-ratelimit-remaining-{}", "x-ratelimit-reset-{}"),
    ("anthropic-ratelimit-{}-limit", "anthropic-ratelimit-{}-remaining", "x-nothing-{}"),
    ("x-ratelimit-limit-{}-day", "x-ratelimit-remaining-{}-day", "x-ratelimit-reset-{}-day"),
]


@st.composite
def odd_headers(draw: st.DrawFn) -> dict[str, str]:
    form = draw(st.sampled_from(FORMS))
    units = draw(st.sets(st.sampled_from(["requests", "tokens"])))
    return {name.format(unit): draw(NUMBERS) for unit in units for name in form}


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(odd_headers(), st.floats(0, 100), st.integers(0, 10**6)), min_size=1, max_size=30
    )
)
def test_no_header_blocks_for_longer_than_a_minute(
    steps: list[tuple[dict[str, str], float, int]],
) -> None:
    allowance, now = Allowance(), 0.0
    for headers, seconds, tokens in steps:
        waited = 0.0
        while wait_seconds := allowance.wait_seconds(now + waited, tokens):
            waited += max(wait_seconds, 1e-9)
            assert waited <= 60.01
        now += waited
        allowance.take(now, tokens)
        now += seconds
        allowance.settle(tokens, tokens // 2)
        allowance.learn(now, headers, 0)


def test_an_endpoint_without_headers_is_not_held_back() -> None:
    lane = simulated_lane()
    for now in range(8):
        assert lane.wait_seconds(now, 10**9) == 0
        lane.leave(now, 10**9)

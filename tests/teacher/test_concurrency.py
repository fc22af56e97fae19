import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.teacher.concurrency import Limiter
from tests.support.simulated_endpoints import (
    Batching,
    Course,
    Queueing,
    Refusing,
    Steady,
    simulate,
)

SEEDS = range(2)


def middle(course: Course, begin: float, end: float | None = None) -> int:
    """Return the median of the limit."""
    limits = sorted(course.limits(begin, end))
    return limits[len(limits) // 2]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sigma", [0.1, 0.8, 1.2])
def test_it_doubles_up_to_the_most_where_nothing_limits(seed: int, sigma: float) -> None:
    course = simulate(Steady(1.0, sigma), 100, seed, outcomes=8000)
    reached = next(moment for moment in course.moments if moment.limit == 1024)
    # From 8 that is seven doublings, each of about two replies' time.
    assert reached.at < 20
    assert min(course.limits(reached.at)) > 512


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("workers", [4, 12, 16, 17, 50, 64, 200])
def test_it_settles_near_the_number_of_workers(seed: int, workers: int) -> None:
    course = simulate(Queueing(workers), math.inf, seed, outcomes=200 * workers + 2000)
    settled = 0.4 * course.seconds
    assert course.goodput(settled) >= 0.9 * workers / 0.05
    assert course.goodput() >= 0.85 * workers / 0.05
    assert 0.8 * workers <= middle(course, settled) <= 2 * workers


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sigma", [0.8, 1.2])
def test_replies_of_very_different_length_do_not_mislead_it(seed: int, sigma: float) -> None:
    course = simulate(Queueing(32, 0.5, sigma), math.inf, seed, outcomes=12_000)
    assert course.goodput(0.3 * course.seconds) >= 0.95 * 32 / 0.5
    assert max(course.limits(0.3 * course.seconds)) <= 6 * 32


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("base_seconds", "each_seconds", "share"), [(1, 0.01, 0.9), (2, 0.005, 0.9), (0.5, 0.02, 0.65)]
)
def test_it_goes_on_though_a_server_that_batches_gets_slower(
    seed: int, base_seconds: float, each_seconds: float, share: float
) -> None:
    server = Batching(base_seconds, each_seconds)
    course = simulate(server, math.inf, seed, outcomes=12_000)
    settled = 0.4 * course.seconds
    knee = base_seconds / each_seconds
    assert course.goodput(settled) >= share * server.best()
    assert middle(course, settled) >= min(1.25 * knee, 0.9 * server.most)
    assert middle(course, settled) <= 2 * server.most


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("refused_share", [0.1, 0.2])
def test_a_fixed_limit_stays_where_refusals_come_at_random(seed: int, refused_share: float) -> None:
    course = simulate(
        Steady(refused_share=refused_share), math.inf, seed, outcomes=20_000, concurrency=64
    )
    limits = course.limits()
    assert sum(limit >= 0.95 * 64 for limit in limits) >= 0.95 * len(limits)
    seconds = 0.05 * (1 - refused_share) + 0.025 * refused_share
    assert course.goodput() >= 0.97 * 64 * (1 - refused_share) / seconds


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("refused_share", [0.2, 0.3])
def test_random_refusals_do_not_keep_it_low(seed: int, refused_share: float) -> None:
    course = simulate(Steady(0.5, refused_share=refused_share), math.inf, seed, outcomes=20_000)
    assert middle(course, 0.5 * course.seconds) >= 512
    assert min(course.limits()) >= 4


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("workers", [4, 16, 64])
def test_what_is_over_capacity_and_refused_at_once_costs_little(seed: int, workers: int) -> None:
    course = simulate(Refusing(workers), math.inf, seed, outcomes=200 * workers + 3000)
    settled = 0.3 * course.seconds
    assert course.goodput(settled) >= 0.75 * workers / 0.05
    assert course.refused_share(settled) <= 0.2
    assert course.refused_share() <= 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_a_capacity_that_falls_to_a_third_and_comes_back(seed: int) -> None:
    steps = ((0.0, 48), (60.0, 16), (120.0, 48))
    queueing = simulate(Queueing(steps, 0.5), 180, seed)
    refusing = simulate(Refusing(steps, 0.5), 180, seed)
    for course, share in ((queueing, 0.9), (refusing, 0.7)):
        for begin, end, workers in ((20, 60, 48), (80, 120, 16), (150, 180, 48)):
            assert course.goodput(begin, end) >= share * workers / 0.5, (begin, course.refused())
    assert refusing.refused_share() <= 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_timeouts_bring_it_down_to_what_is_answered_in_time(seed: int) -> None:
    # At 64 in flight each would wait 4 s for one of 8 workers, and 2 s are waited.
    course = simulate(
        Queueing(8, 0.5, timeout_seconds=2.0), math.inf, seed, outcomes=6000, concurrency=64
    )
    settled = 0.5 * course.seconds
    assert course.goodput(settled) >= 0.9 * 8 / 0.5
    assert course.refused_share(settled) <= 0.1


def test_it_does_not_swing_down_to_one() -> None:
    for seed in SEEDS:
        for endpoint in (Queueing(32), Refusing(32), Steady(refused_share=0.2), Batching()):
            course = simulate(endpoint, math.inf, seed, outcomes=4000)
            assert min(course.limits()) >= 4, endpoint


def test_what_is_in_flight_and_does_not_fill_the_limit_raises_nothing() -> None:
    limiter = Limiter(None)
    for number in range(10_000):
        limiter.note(number / 100, 3, refused=False)
    assert limiter.limit == 8


@settings(deadline=None)
@given(
    cap=st.one_of(st.none(), st.integers(1, 300)),
    notes=st.lists(
        st.tuples(st.floats(0, 100), st.integers(1, 400), st.integers(0, 400), st.integers(0, 400)),
        max_size=40,
    ),
)
def test_the_limit_keeps_between_one_and_the_cap(
    cap: int | None, notes: list[tuple[float, int, int, int]]
) -> None:
    limiter, now = Limiter(cap), 0.0
    for pause, in_flight, good, refused in notes:
        now += pause
        for number in range(good + refused):
            limiter.note(now + number / 1000, in_flight, refused=number >= good)
            assert 1 <= limiter.limit <= (cap or 1024)

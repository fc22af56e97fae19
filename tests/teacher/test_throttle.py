import math

import pytest

from domainforge.teacher.throttle import Throttle
from tests.support.simulated_endpoints import Metered, Steady, simulate

SEEDS = range(2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(
    ("per_minute", "seconds"), [(60, 1.0), (600, 1.0), (600, 5.0), (2000, 0.2)]
)
def test_an_untold_limit_a_minute_is_used_and_mostly_kept(
    seed: int, even: bool, per_minute: int, seconds: float
) -> None:
    endpoint = Metered(requests=per_minute, seconds=seconds, even=even, headers=False)
    course = simulate(endpoint, 360, seed)
    assert course.goodput(60) >= 0.8 * per_minute / 60
    # Without the throttle, 99 of 100 are refused.
    assert course.refused_share(60) <= (0.45 if even else 0.6)
    assert course.refused(0, 60) <= 3 * per_minute + 100


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("refused_share", [0.1, 0.2, 0.3, 0.4])
def test_refusals_that_do_not_come_from_the_rate_do_not_slow_it_for_long(
    seed: int, refused_share: float
) -> None:
    endpoint = Steady(refused_share=refused_share)
    course = simulate(endpoint, math.inf, seed, outcomes=30_000, concurrency=32)
    seconds = 0.05 * (1 - refused_share) + 0.025 * refused_share
    assert course.goodput() >= 0.9 * 32 * (1 - refused_share) / seconds


def test_without_refusals_nothing_waits() -> None:
    throttle = Throttle()
    for number in range(1000):
        assert throttle.wait_seconds(number / 10) == 0
        throttle.leave(number / 10)
        throttle.note(number / 10, 8, refused=False)


def test_where_all_is_refused_a_few_leave_all_the_same() -> None:
    throttle, now, left = Throttle(), 0.0, []
    while now < 600:
        wait_seconds = throttle.wait_seconds(now)
        assert wait_seconds <= 5.001
        now += max(wait_seconds, 0.01)
        throttle.leave(now)
        throttle.note(now + 0.001, 8, refused=True)
        left.append(now)
    assert len([at for at in left if at < 60]) < 400
    assert 90 <= len([at for at in left if at >= 60]) < 200

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.teacher.budget import Budget
from domainforge.teacher.config import BudgetConfig
from domainforge.teacher.prices import NANO, Cost

COSTS = st.builds(Cost, st.integers(0, 2 * NANO), st.integers(0, 2000))


class Clock:
    """A clock that is set by hand."""

    now = 5000.0

    def __call__(self) -> float:
        return self.now


def budget(spent: Cost = Cost(0, 0), **caps: Any) -> Budget:  # noqa: B008
    return Budget(BudgetConfig(**caps), spent)


def test_without_caps_everything_fits_and_is_counted() -> None:
    free = budget()
    assert free.reserve(Cost(10**15, 10**12))
    free.settle(free.reserved, Cost(7, 3))
    assert (free.spent, free.reserved) == (Cost(7, 3), Cost(0, 0))
    assert free.why_stopped(Cost(10**18, 10**15)) is None


def test_a_cap_counts_what_is_reserved_to_the_last_billionth() -> None:
    capped = budget(max_usd=0.1)  # no power of two: binary arithmetic would miss it
    assert capped.reserve(Cost(NANO // 10 - 1, 1))
    assert not capped.reserve(Cost(2, 1))
    assert capped.why_stopped(Cost(2, 1)) is None, "the reservation may turn out cheaper"
    assert capped.reserve(Cost(1, 1))
    capped.settle(Cost(NANO // 10 - 1, 1), Cost(5, 1))
    assert capped.reserve(Cost(2, 1))


def test_what_earlier_sessions_spent_counts() -> None:
    capped = budget(Cost(NANO, 0), max_usd=1)
    assert not capped.reserve(Cost(1, 1))
    why = capped.why_stopped(Cost(1, 1))
    assert why is not None
    for words in ("$1.00 of $1.00", "raise teacher.budget.max_usd", "same command", "are kept"):
        assert words in why


def test_tokens_are_capped_without_a_price() -> None:
    capped = budget(max_tokens=1000)
    assert capped.reserve(Cost(0, 800))
    assert not capped.reserve(Cost(0, 201))
    capped.settle(Cost(0, 800), Cost(0, 800))
    assert "800 of 1,000 tokens" in str(capped.why_stopped(Cost(0, 201)))
    assert capped.why_stopped(Cost(0, 200)) is None


def test_hours_count_from_the_first_request_on() -> None:
    clock = Clock()
    capped = Budget(BudgetConfig(max_hours=0.5), clock=clock)
    clock.now += 7200
    assert capped.reserve(Cost(0, 1))
    clock.now += 1799
    assert capped.reserve(Cost(0, 1))
    assert capped.why_stopped(Cost(0, 1)) is None
    clock.now += 1
    assert not capped.reserve(Cost(0, 1))
    assert "max_hours: 0.5 hours are over" in str(capped.why_stopped(Cost(0, 1)))


def test_a_cost_beyond_its_reservation_is_counted_and_stops() -> None:
    capped = budget(max_usd=1)
    assert capped.reserve(Cost(NANO // 2, 10))
    capped.settle(Cost(NANO // 2, 10), Cost(3 * NANO, 50))
    assert capped.spent == Cost(3 * NANO, 50)
    assert not capped.reserve(Cost(0, 0))
    assert "$3.00 of $1.00" in str(capped.why_stopped(Cost(0, 0)))


def test_more_cannot_be_given_back_than_is_reserved() -> None:
    capped = budget(max_usd=1)
    capped.reserve(Cost(5, 5))
    with pytest.raises(ValueError, match="settled"):
        capped.settle(Cost(6, 5), Cost(0, 0))
    assert (capped.spent, capped.reserved) == (Cost(0, 0), Cost(5, 5))


@given(steps=st.lists(st.tuples(COSTS, st.floats(0, 1), st.integers(0, 9)), max_size=60))
def test_the_cap_holds_whatever_the_order(steps: list[tuple[Cost, float, int]]) -> None:
    cap_nano, cap_tokens = 5 * NANO, 5000
    capped = budget(max_usd=5, max_tokens=cap_tokens)
    open_now: list[tuple[Cost, Cost]] = []
    for cost, share, place in steps:
        before = capped.spent
        held = capped.reserve(cost)
        if held:
            part = Cost(int(cost.nano_usd * share), int(cost.tokens * share))
            open_now.append((cost, part))
        elif not open_now:
            assert capped.why_stopped(cost) is not None, "nobody would ever let it through"
        if capped.why_stopped(cost) is not None:
            assert not held
        if open_now and place % 2:
            capped.settle(*open_now.pop(place % len(open_now)))
        assert capped.spent >= before or capped.spent.tokens >= before.tokens
        assert capped.reserved == _sum(reserved for reserved, _ in open_now)
        assert capped.spent.nano_usd + capped.reserved.nano_usd <= cap_nano
        assert capped.spent.tokens + capped.reserved.tokens <= cap_tokens
    for pair in open_now:
        capped.settle(*pair)
    assert capped.reserved == Cost(0, 0)
    assert capped.spent.nano_usd <= cap_nano


def test_the_projection_is_of_this_session_on_top_of_earlier_ones() -> None:
    capped = budget(Cost(NANO, 100), max_usd=10)
    assert capped.figures(50) == {"usd": 1.0, "usd_projected": 1.0, "max_usd": 10.0}
    for _ in range(4):
        capped.reserve(Cost(NANO, 10))
        capped.settle(Cost(NANO, 10), Cost(NANO // 4, 5))
    capped.reserve(Cost(NANO, 10))
    capped.settle(Cost(NANO, 10), Cost(0, 0))  # a request that never left is no measure
    assert capped.project(8) == Cost(4 * NANO, 160)
    assert capped.figures(8) == {"usd": 2.0, "usd_projected": 4.0, "max_usd": 10.0}
    assert capped.project(-1) == capped.project(0) == capped.spent
    assert budget().figures(3) == {}, "free and without a cap, there is nothing to say"


def _sum(costs: Any) -> Cost:
    parts = list(costs)
    return Cost(sum(c.nano_usd for c in parts), sum(c.tokens for c in parts))

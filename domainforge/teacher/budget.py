"""Caps that hold with many requests in flight: the worst case is reserved, then settled."""

import time
from collections.abc import Callable
from fractions import Fraction
from math import floor

from domainforge.teacher.config import BudgetConfig
from domainforge.teacher.prices import NANO, NOTHING, Cost
from domainforge.wording import short_usd

_AGAIN = "run the same command again: replies so far are kept"


class Budget:
    """What a run has spent, what its requests in flight may still cost, and where it must stop.

    For one event loop; another thread may read `spent` and `reserved`, which are replaced whole.

    Attributes:
        spent: Settled, what earlier sessions of the run spent included.
        reserved: The worst case of what is in flight.
    """

    def __init__(
        self,
        config: BudgetConfig,
        spent: Cost = NOTHING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on from what the run has spent before; the hours begin with the first `reserve`."""
        self.spent = spent
        self.reserved = NOTHING
        self._before = spent
        # One object, so that another thread never sees a cost without its reply.
        self._spent_and_paid = (spent, 0)
        self._config = config
        usd = config.max_usd
        # The shortest text of a float is the number that was written in the file.
        self._max_nano_usd = None if usd is None else floor(Fraction(repr(usd)) * NANO)
        self._clock = clock
        self._started: float | None = None

    def reserve(self, cost: Cost) -> bool:
        """Set the worst case of a request aside; False where it doesn't fit, or time is up.

        Every success wants one `settle`, whatever becomes of the request.
        """
        if self._started is None:
            self._started = self._clock()
        if self._hours_are_over() or not self._fits(_add(_add(self.spent, self.reserved), cost)):
            return False
        self.reserved = _add(self.reserved, cost)
        return True

    def owe(self, cost: Cost) -> None:
        """Reserve what may be billed in any case, whether it fits or not."""
        self.reserved = _add(self.reserved, cost)

    def settle(self, reserved: Cost, actual: Cost) -> None:
        """Replace a reservation by what the request really cost, which is counted in full.

        Raises:
            ValueError: More is given back than is reserved.
        """
        left = Cost(
            self.reserved.nano_usd - reserved.nano_usd, self.reserved.tokens - reserved.tokens
        )
        if min(left) < 0 or min(actual) < 0:
            raise ValueError(f"{reserved} settled as {actual}, with {self.reserved} reserved")
        self.spent = _add(self.spent, actual)
        self.reserved = left
        self._spent_and_paid = (self.spent, self._spent_and_paid[1] + (actual.tokens > 0))

    def why_stopped(self, cost: Cost) -> str | None:
        """Say why a request of that worst case can't leave any more; None while it may yet.

        It may as long as it fits once all that is reserved turns out to cost nothing.
        """
        if self._hours_are_over():
            return (
                f"teacher.budget.max_hours: {self._config.max_hours:g} hours are over "
                f"({self._describe_spent()}); to go on, {_AGAIN}"
            )
        total = _add(self.spent, cost)
        cap = self._max_nano_usd
        if cap is not None and total.nano_usd > cap:
            return _explain(
                "max_usd",
                short_usd(cap / NANO),
                short_usd(self.spent.nano_usd / NANO),
                short_usd(cost.nano_usd / NANO),
            )
        tokens = self._config.max_tokens
        if tokens is not None and total.tokens > tokens:
            return _explain(
                "max_tokens", f"{tokens:,}", f"{self.spent.tokens:,}", f"{cost.tokens:,}"
            )
        return None

    def project(self, left: int) -> Cost:
        """Return what the run comes to if the rest of its calls cost what those so far did.

        Args:
            left: Calls still to be paid for in this session.
        """
        spent, paid = self._spent_and_paid
        if not paid:
            return spent
        left = max(0, left)
        nano = (spent.nano_usd - self._before.nano_usd) * left // paid
        tokens = (spent.tokens - self._before.tokens) * left // paid
        return _add(spent, Cost(nano, tokens))

    def figures(self, left: int) -> dict[str, float]:
        """Return dollars spent, projected and allowed, for progress; empty where nothing costs.

        Args:
            left: As for `project`.
        """
        cap = self._max_nano_usd
        if cap is None and not self.spent.nano_usd:
            return {}
        figures = {
            "usd": self.spent.nano_usd / NANO,
            "usd_projected": self.project(left).nano_usd / NANO,
        }
        return figures if cap is None else {**figures, "max_usd": cap / NANO}

    def _fits(self, total: Cost) -> bool:
        cap, tokens = self._max_nano_usd, self._config.max_tokens
        return (cap is None or total.nano_usd <= cap) and (tokens is None or total.tokens <= tokens)

    def _hours_are_over(self) -> bool:
        hours = self._config.max_hours
        if hours is None or self._started is None:
            return False
        return self._clock() - self._started >= hours * 3600

    def _describe_spent(self) -> str:
        usd = short_usd(self.spent.nano_usd / NANO)
        return f"{usd} and {self.spent.tokens:,} tokens are spent"


def _add(left: Cost, right: Cost) -> Cost:
    return Cost(left.nano_usd + right.nano_usd, left.tokens + right.tokens)


def _explain(field: str, cap: str, spent: str, next_one: str) -> str:
    unit = " tokens" if field == "max_tokens" else ""
    return (
        f"teacher.budget.{field}: {spent} of {cap}{unit} are spent, and the next request may take "
        f"up to {next_one}; raise teacher.budget.{field} and {_AGAIN}"
    )

"""Rows of a teacher's replies as they come, and how far that is."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from domainforge.errors import BudgetError
from domainforge.generation.chains import Chain, ask_units
from domainforge.generation.replies import make_examples
from domainforge.generation.requests import count_steps
from domainforge.generation.units import Unit
from domainforge.records import Example
from domainforge.teacher.prices import NANO
from domainforge.teacher.request import Reply
from domainforge.wording import short_usd

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher

_RECENT_REPLIES = 64


class Harvest:
    """Asks about units and keeps the rows.

    Attributes:
        rows: All rows so far, dropped and failed ones among them; first those that were there.
        repaired: Replies that a second request mended.
        repair_failed: Replies that it didn't.
    """

    def __init__(
        self,
        teacher: "Teacher",
        sides: Mapping[str, str],
        ready: Sequence[Example],
        progress: Callable[..., None],
    ) -> None:
        """Begin with the rows that need no teacher.

        Args:
            teacher: Whom to ask.
            sides: Side of each chunk.
            ready: Rows for which nothing is asked.
            progress: Told how much is done, of how much, and figures, after each unit.
        """
        self.rows = list(ready)
        self.repaired = self.repair_failed = 0
        self._teacher = teacher
        self._sides = sides
        self._ready = len(ready)
        self._progress = progress
        self._counts: Counter[str] = Counter()
        self._recent: deque[bool] = deque(maxlen=_RECENT_REPLIES)

    def ask(self, units: Sequence[Unit]) -> None:
        """Ask about every unit.

        Raises:
            BudgetError: A cap was reached; says how much is done and what the rest would take.
        """
        self._counts["units"] = len(units)
        self._counts["calls"] = sum(count_steps(unit.prompt, self._teacher.form) for unit in units)
        try:
            ask_units(units, self._teacher, self._finish, self._note)
        except BudgetError as error:
            raise BudgetError(f"{error} ({self._tell_rest()})") from error

    def _finish(self, chain: Chain, reply: Reply) -> None:
        """Take the last reply of a unit."""
        unit, teacher, counts = chain.unit, self._teacher, self._counts
        keys, side = (*chain.keys, reply.key), self._sides[unit.chunk["id"]]
        asked = (teacher.form, teacher.identity, side, teacher.fence)
        rows = make_examples(unit, reply, keys, *asked, chain.bad)
        good = rows[0].reason is None
        if chain.bad is not None:
            counts["calls"] += 1
            self.repaired += good
            self.repair_failed += not good
        if rows[0].reason == "failed":
            kind = reply.detail.partition(":")[0] or "unknown"
            rows = [replace(rows[0], reason=f"failed_{kind}")]
        self.rows += rows
        counts["done"] += 1
        counts["kept"] += good
        counts["tokens"] += reply.completion_tokens
        self._tell_progress()

    def _note(self, unit: Unit, reply: Reply) -> None:
        self._counts["replies"] += 1
        self._recent.append(reply.replayed)

    def _tell_progress(self) -> None:
        counts, ready = self._counts, self._ready
        # Whole units, not rows: those of one reply can be many, and the share that is kept is told.
        figures: dict[str, Any] = {"kept": ready + counts["kept"], "tokens": counts["tokens"]}
        figures |= self._teacher.activity()
        figures |= self._teacher.budget.figures(self._paid_calls_left())
        self._progress(ready + counts["done"], ready + counts["units"], **figures)

    def _tell_rest(self) -> str:
        budget, done, units = self._teacher.budget, self._counts["done"], self._counts["units"]
        need = budget.project(self._paid_calls_left()).nano_usd
        # Without a paid reply in this session there is nothing to go by.
        known = need > budget.spent.nano_usd
        about = f"; all of them would take about {short_usd(need / NANO)}" if known else ""
        return f"{done:,} of {units:,} are done, {units - done:,} left{about}"

    def _paid_calls_left(self) -> int:
        """Guess how many of the calls to come the ledger can't answer, by the last replies."""
        left = max(0, self._counts["calls"] - self._counts["replies"])
        recent = self._recent
        return left if not recent else round(left * recent.count(False) / len(recent))

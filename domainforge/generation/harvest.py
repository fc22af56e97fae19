"""Rows of a teacher's replies as they come, and how far that is."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domainforge.errors import BudgetError
from domainforge.generation.chains import Chain, ask_units
from domainforge.generation.forms import form_of
from domainforge.generation.novelty import REPEATING, NoveltyConfig, Waves
from domainforge.generation.replies import CHECK_FAILED, make_examples
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
        continued: Replies that were cut off and that a second request brought to their end.
        continue_failed: Replies that it didn't.
        stopped: Units that were not worth asking.
    """

    def __init__(
        self,
        teacher: "Teacher",
        sides: Mapping[str, str],
        ready: Sequence[Example],
        progress: Callable[..., None],
        novelty: NoveltyConfig | None = None,
    ) -> None:
        """Begin with the rows that need no teacher.

        Args:
            teacher: Whom to ask.
            sides: Side of each chunk.
            ready: Rows for which nothing is asked.
            progress: Told how much is done, of how much, and figures, after each unit.
            novelty: When to stop asking about a passage; None for never.
        """
        self.rows = list(ready)
        self.repaired = self.repair_failed = self.continued = self.continue_failed = 0
        self.stopped: list[Unit] = []
        self._teacher = teacher
        self._form = form_of(teacher)
        self._sides = sides
        self._ready = len(ready)
        self._progress = progress
        self._novelty = novelty
        self._waves = Waves((), novelty)
        self._counts: Counter[str] = Counter()
        self._recent: deque[bool] = deque(maxlen=_RECENT_REPLIES)

    def ask(self, units: Sequence[Unit]) -> None:
        """Ask about every unit, as long as what comes of its passage is new.

        Raises:
            BudgetError: A cap was reached; says how much is done and what the rest would take.
        """
        self._counts["units"] += len(units)
        self._counts["calls"] += sum(map(self._calls_of, units))
        self._waves = Waves(units, self._novelty, self._waves.said)
        try:
            ask_units(self._waves.first(), self._teacher, self._finish, self._note)
        except BudgetError as error:
            raise BudgetError(f"{error} ({self._tell_rest()})") from error
        self.rows += [self._leave_out(unit, why) for unit, why in self._waves.stopped]
        self.stopped += [unit for unit, _ in self._waves.stopped]

    def _calls_of(self, unit: Unit) -> int:
        return count_steps(unit.prompt, self._form)

    def _leave_out(self, unit: Unit, why: str) -> Example:
        kind, side = unit.prompt.header.example["kind"], self._sides[unit.chunk["id"]]
        lineage = {**unit.lineage(), "teacher": self._teacher.identity, "side": side}
        return Example(kind=kind, reason=REPEATING, evidence=why, **lineage)

    def _finish(self, chain: Chain, reply: Reply) -> list[Unit]:
        """Take the last reply of a unit; return what is to be asked next."""
        unit, teacher, counts = chain.unit, self._teacher, self._counts
        side = self._sides[unit.chunk["id"]]
        rows = make_examples(chain, reply, self._form, teacher.identity, side, teacher.fence)
        good = rows[0].reason is None
        self._count_mended(chain, good or rows[0].reason == CHECK_FAILED)
        self.rows += rows
        stopped = len(self._waves.stopped)
        more = self._waves.after(unit, rows)
        for left, _ in self._waves.stopped[stopped:]:
            counts["units"] -= 1
            counts["calls"] -= self._calls_of(left)
        counts["done"] += 1
        counts["kept"] += good
        counts["tokens"] += reply.completion_tokens
        self._tell_progress()
        return more

    def _count_mended(self, chain: Chain, usable: bool) -> None:
        repairs, last_is_rest = chain.bad is not None, chain.part is not None
        self._counts["calls"] += repairs + len(chain.continued)
        self.repaired += repairs and usable
        self.repair_failed += repairs and not usable
        self.continued += len(chain.continued) - (last_is_rest and not usable)
        self.continue_failed += last_is_rest and not usable

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

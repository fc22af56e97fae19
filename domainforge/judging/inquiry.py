"""Rows on their way through what is asked about them: step by step, many at a time.

The same rules lead a row through the teacher's replies (`Court.ask`) and, without asking, through
the ledger's (`foresee_rows`).
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domainforge.errors import BudgetError
from domainforge.generation.chains import Chain, ask_units, look_up
from domainforge.generation.foresight import CallCount
from domainforge.generation.forms import form_of
from domainforge.generation.replies import parse_reply
from domainforge.generation.requests import count_steps
from domainforge.generation.units import Form, Unit
from domainforge.judging.panel import Panel, What
from domainforge.judging.verdicts import Heard, Verdict, read_verdict
from domainforge.teacher.request import Reply

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.privacy import Gate

Row = Mapping[str, Any]
_RECENT_REPLIES = 64
_SHOWN_CHARS = 200


@dataclass
class Inquiry:
    """One row, and what was heard of it so far.

    Attributes:
        steps: What is still to be asked, unless the row goes before.
        waiting: Questions of the step that is under way.
    """

    panel: Panel
    row: Row
    steps: deque[dict[What, Unit]]
    heard: dict[What, Heard] = field(default_factory=dict)
    waiting: set[What] = field(default_factory=set)

    @property
    def verdict(self) -> Verdict:
        """What was heard so far comes to."""
        return read_verdict(self.row, self.heard, self.panel.config)

    def next(self) -> dict[What, Unit]:
        """Return what is to be asked now; empty where a step is under way or the row is through."""
        if self.waiting or not self.steps or (self.heard and self.verdict.reason is not None):
            return {}
        units = self.steps.popleft()
        self.waiting = set(units)
        return units

    def hear(self, what: What, heard: Heard) -> dict[What, Unit]:
        """Take what came back for a question; return what is to be asked next."""
        self.waiting.discard(what)
        self.heard[what] = heard
        return self.next()


class Court:
    """Asks about rows and hands on what each comes to.

    Attributes:
        asked: Rows that were asked about.
        unreadable: Questions that gave nothing that can be read, by what was asked.
        failed: Requests that a fault took, by its kind; another run asks them once more.
    """

    def __init__(
        self,
        teacher: "Teacher",
        panel: Panel,
        chunks: Mapping[str, Any],
        finish: Callable[[Inquiry], None],
        progress: Callable[..., None],
    ) -> None:
        """Prepare.

        Args:
            teacher: Whom to ask.
            panel: What is asked.
            chunks: Rows of the chunks table, by id.
            finish: Told of each row that is through.
            progress: Told how many rows are done, and figures.
        """
        self.asked = 0
        self.unreadable: Counter[What] = Counter()
        self.failed: Counter[str] = Counter()
        self._teacher = teacher
        self._panel = panel
        self._chunks = chunks
        self._finish_row = finish
        self._progress = progress
        self._form: Form = form_of(teacher)
        self._open: dict[int, tuple[Inquiry, What, Unit]] = {}
        self._done = 0
        self._recent: deque[bool] = deque(maxlen=_RECENT_REPLIES)

    def ask(self, rows: Iterable[Row], total: int) -> None:
        """Ask all about every row; rows are taken as the teacher has room for them.

        Raises:
            BudgetError: A cap was reached; says how many rows are done.
        """
        try:
            ask_units(self._units(rows, total), self._teacher, self._finish, self._note)
        except BudgetError as error:
            raise BudgetError(f"{error} ({self._done:,} of {total:,} rows are judged)") from error
        self._tell(total)

    def _units(self, rows: Iterable[Row], total: int) -> Iterator[Unit]:
        for row in rows:
            inquiry = Inquiry(self._panel, row, deque(self._panel.steps(row, self._chunks)))
            units = inquiry.next()
            if not units:
                self._done += 1
                continue
            self.asked += 1
            yield from self._begin(inquiry, units)
            self._tell(total)

    def _begin(self, inquiry: Inquiry, units: Mapping[What, Unit]) -> list[Unit]:
        for what, unit in units.items():
            self._open[id(unit)] = (inquiry, what, unit)
        return list(units.values())

    def _finish(self, chain: Chain, reply: Reply) -> list[Unit]:
        inquiry, what, _ = self._open.pop(id(chain.unit))
        heard = read_heard(chain, reply, self._form, self._teacher.fence)
        if reply.status == "failed":
            self.failed[reply.detail.partition(":")[0] or "unknown"] += 1
        elif heard.fault:
            self.unreadable[what] += 1
        more = inquiry.hear(what, heard)
        if not more and not inquiry.waiting:
            self._done += 1
            self._finish_row(inquiry)
        return self._begin(inquiry, more)

    def _note(self, unit: Unit, reply: Reply) -> None:
        self._recent.append(reply.replayed)

    def _tell(self, total: int) -> None:
        left = (total - self._done) * self._panel.most_requests
        paid = self._recent.count(False) / len(self._recent) if self._recent else 1.0
        figures = self._teacher.activity() | self._teacher.budget.figures(round(left * paid))
        self._progress(self._done, total, asked=self.asked, **figures)


def read_heard(chain: Chain, reply: Reply, form: Form, fence: Callable[[str], str]) -> Heard:
    """Read the last reply of a question's chain."""
    keys = (*chain.keys, reply.key)
    if reply.status != "ok":
        return Heard(keys=keys, fault=f"{reply.status} ({reply.detail})"[:_SHOWN_CHARS])
    parsed = parse_reply(chain, reply, form, fence)
    fault = parsed.fault and f"{parsed.fault}; the reply: {reply.text}"[:_SHOWN_CHARS]
    return Heard(parsed.fields, keys, fault)


def foresee_rows(
    rows: Iterable[Row],
    panel: Panel,
    chunks: Mapping[str, Any],
    form: Form,
    identity: str,
    ledger: "Ledger",
    gate: "Gate",
) -> CallCount:
    """Follow all rows through the ledger as a run would, without asking.

    Where the ledger lacks a reply, all that could follow for that row counts as to be asked.
    """
    planned = known = to_ask = 0
    for row in rows:
        inquiry = Inquiry(panel, row, deque(panel.steps(row, chunks)))
        units = deque(inquiry.next().items())
        is_open = False
        while units:
            what, unit = units.popleft()
            found = look_up(unit, form, identity, ledger, gate)
            planned += found.known + found.left
            known += found.known
            to_ask += found.left
            if found.left:
                is_open = True
                continue
            heard = Heard(fault="withheld")
            if found.end is not None:
                heard = read_heard(*found.end, form, ledger.fence)
            units.extend(inquiry.hear(what, heard).items())
        if is_open:
            rest = sum(count_steps(u.prompt, form) for step in inquiry.steps for u in step.values())
            planned, to_ask = planned + rest, to_ask + rest
    return CallCount(planned, known, to_ask)

"""A unit on its way through its requests: the steps of its prompt, and a repair where one is due.

The same rules lead a chain through the teacher's replies (`ask_units`) and, without asking,
through the ledger's (`look_up`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from domainforge.generation.repairs import BadReply, make_repair, may_repair
from domainforge.generation.replies import find_fault
from domainforge.generation.requests import count_steps, make_request
from domainforge.generation.units import Form, Unit
from domainforge.teacher.privacy import Withheld
from domainforge.teacher.request import Reply, ReplyStatus, Request, classify, request_key

if TYPE_CHECKING:
    from domainforge.teacher.client import Teacher
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.privacy import Gate


@dataclass(frozen=True)
class Chain:
    """Where a unit is.

    Attributes:
        texts: Replies of the steps behind it, by their names.
        keys: Ledger keys of all that was asked.
        bad: The reply that is being repaired; None while nothing is.
    """

    unit: Unit
    texts: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    bad: BadReply | None = None

    def request(self, form: Form, fence: Callable[[str], str]) -> Request:
        """Make the request that comes next.

        Raises:
            PromptError: The template names something that isn't at hand.
        """
        request = make_request(self.unit, form, len(self.texts), self.texts, fence)
        if self.bad is None:
            return request
        return make_repair(request, self.bad, self.unit.chunk["id"], fence)

    def follow(self, status: ReplyStatus, text: str, key: str, form: Form) -> "Chain | None":
        """Return the chain with a next request; None where that reply was the last."""
        prompt, step = self.unit.prompt, len(self.texts)
        if status != "ok" or self.bad is not None:
            return None
        keys = (*self.keys, key)
        if step + 1 < count_steps(prompt, form):
            return replace(self, texts={**self.texts, prompt.steps[step].name: text}, keys=keys)
        fault = find_fault(prompt, text) if may_repair(prompt, form) else None
        return replace(self, bad=BadReply(text, fault), keys=keys) if fault else None


@dataclass(frozen=True)
class Found:
    """What the ledger holds of a unit.

    Attributes:
        known: Calls that are in the ledger.
        left: Calls still to make; 0 where the chain has ended.
        repairs: Calls among both that are repairs.
    """

    known: int
    left: int
    repairs: int


def ask_units(
    units: Iterable[Unit],
    teacher: "Teacher",
    finish: Callable[[Chain, Reply], Iterable[Unit]],
    note: Callable[[Unit, Reply], None] = lambda unit, reply: None,
) -> None:
    """Ask of each unit all that its chain takes.

    A chain ends at its last step, at the first reply that is no use, or after a repair.

    Args:
        units: What to ask about.
        teacher: Whom to ask.
        finish: Told of each chain that ended, with its last reply; returns what to ask about next.
        note: Told of every reply, as it comes.
    """
    fresh = map(Chain, units)
    ready: deque[Chain] = deque()

    def requests() -> Iterator[Request]:
        # What follows from a reply goes before new units, so that few chains are open at a time.
        while (chain := ready.popleft() if ready else next(fresh, None)) is not None:
            yield replace(chain.request(teacher.form, teacher.fence), tag=chain)

    while True:
        for reply in teacher.ask(requests()):
            chain: Chain = reply.request.tag
            note(chain.unit, reply)
            after = chain.follow(reply.status, reply.text, reply.key, teacher.form)
            if after is None:
                ready.extend(map(Chain, finish(chain, reply)))
            else:
                ready.append(after)
        # What the last replies led to; all else went along above.
        if not ready:
            return


def look_up(unit: Unit, form: Form, identity: str, ledger: "Ledger", gate: "Gate") -> Found:
    """Follow a unit through the ledger, without asking."""
    chain: Chain | None = Chain(unit)
    known, repairs = 0, 0
    while chain is not None:
        checked = gate.check(chain.request(form, ledger.fence))
        if isinstance(checked, Withheld):
            break
        repairs += chain.bad is not None
        key = request_key(identity, checked.request)
        stored = ledger.get(key)
        if stored is None:
            left = 1 if chain.bad else count_steps(unit.prompt, form) - len(chain.texts)
            return Found(known, left, repairs)
        known += 1
        reading = classify(stored)
        chain = chain.follow(reading.status, reading.text, key, form)
    return Found(known, 0, repairs)

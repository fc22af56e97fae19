"""A unit on its way through its requests: the steps of its prompt, and what has to be mended.

What was cut off is continued once; a last reply of the wrong shape is asked for once more.

The same rules lead a chain through the teacher's replies (`ask_units`) and, without asking,
through the ledger's (`look_up`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from domainforge.generation.continuations import join_parts, make_continuation, may_continue
from domainforge.generation.forms import form_of
from domainforge.generation.parsing import parse_chat
from domainforge.generation.repairs import BadReply, make_repair, may_repair
from domainforge.generation.requests import count_steps, make_request
from domainforge.generation.units import Form, Unit
from domainforge.teacher.privacy import Withheld
from domainforge.teacher.request import (
    Reading,
    Reply,
    ReplyStatus,
    Request,
    classify,
    request_key,
)

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
        part: The reply that is being continued, as far as it came; None while nothing is.
        continued: Which of the ledger's keys are continuations, that under way among them.
    """

    unit: Unit
    texts: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    bad: BadReply | None = None
    part: str | None = None
    continued: tuple[int, ...] = ()

    def request(self, form: Form, fence: Callable[[str], str]) -> Request:
        """Make the request that comes next.

        Raises:
            PromptError: The template names something that isn't at hand.
        """
        request = make_request(self.unit, form, len(self.texts), self.texts, fence)
        if self.bad is not None:
            return make_repair(request, self.bad, self.unit.chunk["id"], fence)
        return request if self.part is None else make_continuation(request, self.part)

    def whole(self, text: str) -> str | None:
        """Return a reply with what it continues; None where the two can't be joined."""
        return text if self.part is None else join_parts(self.part, text)

    def follow(
        self, status: ReplyStatus, text: str, key: str, form: Form, fence: Callable[[str], str]
    ) -> "Chain | None":
        """Return the chain with a next request; None where that reply was the last.

        Of two mendings of one reply the second is not worth its money: a repair is not continued,
        and what was too long for its limit is not asked for once more.
        """
        prompt, step = self.unit.prompt, len(self.texts)
        keys, is_first = (*self.keys, key), self.bad is None and self.part is None
        is_last = step + 1 == count_steps(prompt, form)
        may_go_on = status == "cut_off" and is_first
        if may_go_on and may_continue(prompt, form, text, last=is_last):
            return replace(self, part=text, keys=keys, continued=(*self.continued, len(keys)))
        whole = self.whole(text)
        if status != "ok" or self.bad is not None or whole is None:
            return None
        if not is_last:
            texts = {**self.texts, prompt.steps[step].name: whole}
            return replace(self, texts=texts, keys=keys, part=None)
        if not is_first or not may_repair(prompt, form):
            return None
        fault = parse_chat(self.unit, self.texts, text, form, fence).fault
        return replace(self, bad=BadReply(text, fault), keys=keys) if fault else None


@dataclass(frozen=True)
class Found:
    """What the ledger holds of a unit.

    Attributes:
        known: Calls that are in the ledger.
        left: Calls still to make; 0 where the chain has ended.
        extra: Calls among both that no step of the prompt is: repairs and continuations.
        end: Where the chain was when its last reply came, and that reply; None while calls are
            left, and where the privacy gate lets nothing out.
    """

    known: int
    left: int
    extra: int
    end: tuple[Chain, Reply] | None = None


def ask_units(
    units: Iterable[Unit],
    teacher: "Teacher",
    finish: Callable[[Chain, Reply], Iterable[Unit]],
    note: Callable[[Unit, Reply], None] = lambda unit, reply: None,
) -> None:
    """Ask of each unit all that its chain takes.

    A chain ends at its last step, at the first reply that is no use, after a repair, or with a
    continuation that is no use either.

    Args:
        units: What to ask about.
        teacher: Whom to ask.
        finish: Told of each chain that ended, with its last reply; returns what to ask about next.
        note: Told of every reply, as it comes.
    """
    fresh = map(Chain, units)
    ready: deque[Chain] = deque()
    form, fence = form_of(teacher), teacher.fence

    def requests() -> Iterator[Request]:
        # What follows from a reply goes before new units, so that few chains are open at a time.
        while (chain := ready.popleft() if ready else next(fresh, None)) is not None:
            yield replace(chain.request(form, fence), tag=chain)

    while True:
        for reply in teacher.ask(requests()):
            chain: Chain = reply.request.tag
            note(chain.unit, reply)
            after = chain.follow(reply.status, reply.text, reply.key, form, fence)
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
    known, extra = 0, 0
    end: tuple[Chain, Reply] | None = None
    while chain is not None:
        checked = gate.check(chain.request(form, ledger.fence))
        if isinstance(checked, Withheld):
            break
        extra += chain.bad is not None or chain.part is not None
        key = request_key(identity, checked.request)
        stored = ledger.get(key)
        if stored is None:
            left = 1 if chain.bad else count_steps(unit.prompt, form) - len(chain.texts)
            return Found(known, left, extra)
        known += 1
        reading = classify(stored)
        end = (chain, _stored_reply(checked.request, key, reading))
        chain = chain.follow(reading.status, reading.text, key, form, ledger.fence)
    return Found(known, 0, extra, None if chain is not None else end)


def _stored_reply(request: Request, key: str, reading: Reading) -> Reply:
    return Reply(
        request=request,
        key=key,
        status=reading.status,
        text=reading.text,
        finish_reason=reading.finish_reason,
        prompt_tokens=0,
        completion_tokens=0,
        detail=reading.detail,
        replayed=True,
    )

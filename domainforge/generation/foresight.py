"""What asking would take, found in the ledger without asking."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domainforge.generation.chains import Found, look_up
from domainforge.generation.novelty import NoveltyConfig, Waves
from domainforge.generation.replies import make_examples
from domainforge.generation.requests import count_steps
from domainforge.generation.units import Form, Unit
from domainforge.records import Example

if TYPE_CHECKING:
    from domainforge.teacher.ledger import Ledger
    from domainforge.teacher.privacy import Gate


@dataclass(frozen=True)
class CallCount:
    """Calls that a run would need, found without asking.

    Attributes:
        planned: All calls; of a chain of steps, every step. A repair or a continuation counts
            once a reply in the ledger calls for it, and what novelty leaves out doesn't once the
            replies in the ledger show that.
        in_ledger: Of these, paid for before.
        to_ask: Those that a run would make, at most: novelty may spare some. A chain that ended
            early in the ledger wants no more, so the three need not add up.
    """

    planned: int
    in_ledger: int
    to_ask: int


def foresee(
    units: Sequence[Unit],
    novelty: NoveltyConfig | None,
    form: Form,
    identity: str,
    ledger: "Ledger",
    gate: "Gate",
) -> tuple[CallCount, tuple[Unit, ...]]:
    """Follow all units through the ledger as a run would.

    Args:
        units: What is to be asked.
        novelty: When a run stops asking about a passage.
        form: How the teacher is asked.
        identity: Of the teacher.
        ledger: Holds what was asked before.
        gate: What requests pass on their way.

    Returns:
        The counts, and the units that the ledger can't answer to their end.
    """
    waves = Waves(units, novelty)
    open_units = deque(waves.first())
    unfinished: list[Unit] = []
    planned = known = to_ask = 0
    while open_units:
        unit = open_units.popleft()
        found = look_up(unit, form, identity, ledger, gate)
        planned += count_steps(unit.prompt, form) + found.extra
        known += found.known
        if found.left:
            unfinished.append(unit)
            to_ask += found.left
        else:
            open_units.extend(waves.after(unit, _rows_of(found, form, identity, ledger)))
    for unit in waves.waiting():
        # The wave before it isn't answered; where it was larger, this one may be in the ledger.
        found = look_up(unit, form, identity, ledger, gate)
        planned += count_steps(unit.prompt, form) + found.extra
        known += found.known
        to_ask += found.left
        if found.left:
            unfinished.append(unit)
    return CallCount(planned, known, to_ask), tuple(unfinished)


def _rows_of(found: Found, form: Form, identity: str, ledger: "Ledger") -> list[Example]:
    if found.end is None:
        return []  # the privacy gate let nothing out
    chain, reply = found.end
    # No side and no name of the teacher changes what a row says.
    return make_examples(chain, reply, form, identity, "", ledger.fence)

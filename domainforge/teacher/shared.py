"""What all parts of an open teacher have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from domainforge.teacher.budget import Budget
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.jobs import Counts
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.pace import Pace


@dataclass(frozen=True)
class Shared:
    """One teacher's name, rules, purse and memory.

    Attributes:
        identity: Who answers, as it enters the ledger's keys.
        account: Whose spending it is.
        counts: What was done so far in this session.
        say: Takes a sentence that the user should read.
    """

    identity: str
    account: str
    config: TeacherConfig
    ledger: Ledger
    pace: Pace
    counts: Counts
    budget: Budget
    say: Callable[[str], None]

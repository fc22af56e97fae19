"""What gives rows scores: one scorer after the other, a batch of rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from domainforge.filters.reviewed import REVIEWED
from domainforge.judging.verdicts import scores_of
from domainforge.records import canonical_json

Row = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """What one scorer says of one row.

    Attributes:
        scores: Added to the row's.
        reason: Why the row goes; None where it may stay.
        evidence: What shows the reason.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    evidence: str | None = None


NO_MARK = Mark()


class Scorer(Protocol):
    """Gives each row of a batch its mark, in the order of the rows.

    Batches come ordered by id, and each row once. A row that an earlier scorer left out isn't seen
    by later ones.
    """

    def score(self, rows: Sequence[Row]) -> Sequence[Mark]:
        """Return a mark for each row; its `scores` column holds what earlier scorers gave."""


def mark_rows(rows: Sequence[Row], scorers: Sequence[Scorer]) -> list[Row]:
    """Return rows with their scores, and reason and evidence where they go.

    A row that a person chose to keep gets its scores and stays.
    """
    marked = [dict(row) for row in rows]
    for scorer in scorers:
        staying = [row for row in marked if row["reason"] is None]
        for row, mark in zip(staying, scorer.score(staying), strict=True):
            if mark.scores:
                row["scores"] = canonical_json({**scores_of(row), **mark.scores})
            if mark.reason is not None and not scores_of(row).get(REVIEWED):
                row["reason"], row["evidence"] = mark.reason, mark.evidence
    return marked


class HeardVerdicts:
    """The scorer of what a judge said: verdicts as they lie on disk, ordered by id as the rows."""

    def __init__(self, verdicts: Iterator[Mapping[str, Any]]) -> None:
        """Take rows of the table of verdicts."""
        self._verdicts = verdicts
        self._ahead: Mapping[str, Any] | None = next(verdicts, None)

    def score(self, rows: Sequence[Row]) -> list[Mark]:
        """Return the marks of rows; one that nobody was asked about has none."""
        return [self._mark(str(row["id"])) for row in rows]

    def _mark(self, row_id: str) -> Mark:
        while self._ahead is not None and str(self._ahead["id"]) < row_id:
            self._ahead = next(self._verdicts, None)
        if self._ahead is None or self._ahead["id"] != row_id:
            return NO_MARK
        goes = self._ahead["verdict"]
        evidence = self._ahead["evidence"] if goes else None
        return Mark(scores_of(self._ahead), goes, evidence)

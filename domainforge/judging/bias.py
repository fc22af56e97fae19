"""What sways a judge besides what rows say: the length of an answer, and its place in a pair."""

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from domainforge.judging.verdicts import Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FEWEST = 30
_STRONG_CORRELATION = 0.4
_FEWEST_PAIRS = 10
_MUCH_BY_POSITION = 0.3


class Bias:
    """Counts verdicts as they come: eight bytes a row in memory."""

    def __init__(self) -> None:
        self._scores = array("f")
        self._lengths = array("f")
        self._pairs = self._by_position = self._chosen = 0

    def take(self, verdict: Verdict, answer_chars: int) -> None:
        """Count what one row came to.

        Args:
            verdict: Of the row.
            answer_chars: Characters of what was judged.
        """
        if "judge" in verdict.scores:
            self._scores.append(verdict.scores["judge"])
            self._lengths.append(answer_chars)
        if verdict.by_position is not None:
            self._pairs += 1
            self._by_position += verdict.by_position
            self._chosen += verdict.scores["judge_pair"] == 1

    def figures(self) -> dict[str, Any]:
        """Return what was found; nothing where nobody was judged."""
        found: dict[str, Any] = {}
        if self._scores:
            found["judged"] = len(self._scores)
            found["mean_score"] = round(sum(self._scores) / len(self._scores), 3)
            correlation = self._correlate()
            if correlation is not None:
                found["length_correlation"] = round(correlation, 3)
        if self._pairs:
            found |= {
                "pairs": self._pairs,
                "pairs_by_position": self._by_position,
                "pairs_for_chosen": self._chosen,
            }
        return found

    def notes(self) -> list[str]:
        """Say in words what a user should know of it."""
        found = self.figures()
        notes = []
        correlation = found.get("length_correlation", 0.0)
        if len(self._scores) >= _FEWEST and correlation >= _STRONG_CORRELATION:
            notes.append(
                f"the judge's scores go with the length of answers (rank correlation "
                f"{correlation:.2f} over {len(self._scores):,} rows): it may take long for good"
            )
        elif len(self._scores) >= _FEWEST and self._all_alike():
            notes.append(
                f"the judge gave all {len(self._scores):,} rows the same score: it tells nothing "
                "apart; take another judge, or leave `judge.prompt` out"
            )
        share = self._by_position / self._pairs if self._pairs else 0.0
        if self._pairs >= _FEWEST_PAIRS and share >= _MUCH_BY_POSITION:
            notes.append(
                f"of {self._pairs:,} pairs the judge named the same place in both orders in "
                f"{self._by_position:,} ({share:.0%}): it goes by the place more than by the answer"
            )
        return notes

    def _all_alike(self) -> bool:
        return min(self._scores) == max(self._scores)

    def _correlate(self) -> float | None:
        """Return Spearman's correlation of score and length; None where one of them is constant."""
        if len(self._scores) < 3 or self._all_alike() or len(set(self._lengths)) == 1:
            return None
        import numpy as np

        return float(np.corrcoef(_rank(self._scores), _rank(self._lengths))[0, 1])


def _rank(values: Sequence[float]) -> "npt.NDArray[np.float64]":
    """Rank values; equal ones share the middle of their ranks."""
    import numpy as np

    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: npt.NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return middles[places]

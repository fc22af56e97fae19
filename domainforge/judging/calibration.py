"""How far a judge agrees with people, beyond chance, and from which score on rows should stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domainforge.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

FEWEST = 10
"""With fewer labels nothing can be said at all."""

_RESAMPLES = 2000
_INTERVAL_PERCENT = (2.5, 97.5)
_FEWEST_OF_A_LENGTH = 3


@dataclass(frozen=True)
class Labelled:
    """A row that a person and the judge have looked at.

    Attributes:
        good: What the person says.
        score: The judge's overall score.
        answer_chars: Characters of the answer.
    """

    id: str
    good: bool
    score: float
    answer_chars: int


@dataclass(frozen=True)
class Calibration:
    """What labels say of a judge.

    Attributes:
        labels: How many there are.
        good: Of these, called good by people.
        threshold: The `min_score` with the highest kappa over all labels.
        kept_share: Part of the labelled rows that it keeps.
        kappa: Cohen's kappa of judge and people, each row judged by the threshold that the other
            rows choose, so that it isn't flattered by its own choice.
        low: Lower end of its 95 % interval.
        high: Upper end.
        fitted_kappa: The same with the threshold that was chosen on these very labels.
        accuracy: Part of the rows that judge and people agree on, counted as for `kappa`.
        majority: The same of a judge that gives all rows the commoner label.
        length_bias: By how much higher the judge's mean score is for the longer half of answers,
            among rows that people call alike; None where there are too few.
        score_spread: Standard deviation of the scores, to hold that against.
    """

    labels: int
    good: int
    threshold: float
    kept_share: float
    kappa: float
    low: float
    high: float
    fitted_kappa: float
    accuracy: float
    majority: float
    length_bias: float | None
    score_spread: float

    @property
    def usable(self) -> bool:
        """Whether the judge is shown to be better than chance."""
        return self.low > 0


def calibrate(rows: Sequence[Labelled], seed: int) -> Calibration:
    """Compare a judge with people.

    The threshold is the score that gives the highest kappa; of several the lowest, which keeps the
    most rows. What is reported is left-one-out: for each row the others choose the threshold. The
    interval is a bootstrap over rows of these decisions (percentiles).

    Args:
        rows: Labelled rows.
        seed: Of the bootstrap.

    Raises:
        DataError: Too few labels, or all alike.
    """
    import numpy as np

    good = np.array([row.good for row in rows], dtype=np.bool_)
    scores = np.array([row.score for row in rows], dtype=np.float64)
    if len(rows) < FEWEST or good.all() or not good.any():
        raise DataError(
            f"{len(rows)} labels, {int(good.sum())} of them good: to compare a judge with people "
            f"takes at least {FEWEST}, good ones and bad ones; label some more"
        )
    threshold = choose_threshold(good, scores)
    fitted = scores >= threshold
    others = ~np.eye(len(rows), dtype=np.bool_)
    said = np.array(
        [scores[at] >= choose_threshold(good[left], scores[left]) for at, left in enumerate(others)]
    )
    drawn = np.random.default_rng(seed).integers(0, len(rows), (_RESAMPLES, len(rows)))
    kappas = kappa_of(good[drawn], said[drawn])
    low, high = np.percentile(kappas, _INTERVAL_PERCENT)
    return Calibration(
        labels=len(rows),
        good=int(good.sum()),
        threshold=threshold,
        kept_share=float(fitted.mean()),
        kappa=float(kappa_of(good, said)),
        low=float(low),
        high=float(high),
        fitted_kappa=float(kappa_of(good, fitted)),
        accuracy=float((good == said).mean()),
        majority=float(max(good.mean(), 1 - good.mean())),
        length_bias=_length_bias(rows),
        score_spread=float(scores.std()),
    )


def choose_threshold(good: "Flags", scores: "Floats") -> float:
    """Return the score from which on calling a row good agrees best with people; the lowest such.

    The lowest score of all, which keeps every row, where no threshold is better than chance.
    """
    import numpy as np

    candidates = np.unique(scores)
    kappas = kappa_of(good[None, :], scores[None, :] >= candidates[:, None])
    return float(candidates[int(np.argmax(np.round(kappas, 9)))])


def kappa_of(good: "Flags", said: "Flags") -> "Floats":
    """Cohen's kappa over the last axis; 0 where it isn't defined (both call all rows alike).

    Of two labels: (observed - expected) / (1 - expected) agreement (Cohen 1960).
    """
    import numpy as np

    agreed = (good == said).mean(axis=-1)
    p, q = good.mean(axis=-1), said.mean(axis=-1)
    expected = p * q + (1 - p) * (1 - q)
    is_defined = expected < 1
    found = (agreed - expected) / np.where(is_defined, 1 - expected, 1.0)
    return np.asarray(np.where(is_defined, found, 0.0))


def _length_bias(rows: Sequence[Labelled]) -> float | None:
    """Compare long answers with short ones among rows of the same label, both labels weighed."""
    total, weight = 0.0, 0
    for good in (True, False):
        alike = sorted((row for row in rows if row.good == good), key=lambda row: row.answer_chars)
        middle = len(alike) // 2
        # Answers of equal length belong to neither half.
        edge = alike[middle].answer_chars if alike else 0
        short = [row.score for row in alike[:middle] if row.answer_chars < edge]
        long = [row.score for row in alike if row.answer_chars >= edge]
        if min(len(short), len(long)) < _FEWEST_OF_A_LENGTH:
            continue
        total += len(alike) * (sum(long) / len(long) - sum(short) / len(short))
        weight += len(alike)
    return total / weight if weight else None

"""What tells rows that people keep from those that they drop, and how well it does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from domainforge.filters.words import content_terms, words
from domainforge.judging.verdicts import scores_of
from domainforge.records import answer_of, question_of, said_in

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]

Row = Mapping[str, Any]

_FOLDS = 5
_RESAMPLES = 2000
# By the usual 95 % labels of a coin passed in 7 % of 240 simulated sets (36 and 60 labels), by this
# in 2.5 %: predictions of folds are no independent draws.
_QUANTILES = (0.005, 0.995)
_SCORES = ("question_related", "support", "judge", "ifd")
_MOST_CHARS = 8000


@dataclass(frozen=True)
class Power:
    """How well labels of some passages are foretold from those of the others.

    Attributes:
        auc: How often a kept row gets the higher probability of the two, of a kept and a dropped
            one; 0.5 is chance.
        low: 0.5 % quantile, by resampling passages.
        high: 99.5 % quantile.
        kept: Labels behind it.
        dropped: The same.
        by_length: The AUC of nothing but the length of the answer, whichever way round is better.
    """

    auc: float
    low: float
    high: float
    kept: int
    dropped: int
    by_length: float

    @property
    def beats_chance(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.low > 0.5

    def describe(self) -> str:
        """Say it in words."""
        return (
            f"AUC {self.auc:.2f}, 99 % {self.low:.2f} to {self.high:.2f}, by cross-validation "
            f"over {self.kept} kept and {self.dropped} dropped rows; the length of the answer "
            f"alone has {self.by_length:.2f}"
        )


class QualityModel:
    """TF-IDF of words and letters, lengths and scores, and a logistic regression over them."""

    def __init__(self, rows: Sequence[Row], kept: Sequence[bool], seed: int) -> None:
        """Learn.

        Args:
            rows: What was labelled.
            kept: Whether each was kept.
            seed: Of the run.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import FeatureUnion, make_pipeline
        from sklearn.preprocessing import FunctionTransformer, StandardScaler

        terms = TfidfVectorizer(analyzer=words_and_pairs, sublinear_tf=True, max_features=20_000)
        letters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=30_000
        )
        # A score that a row doesn't have says nothing: the row may not have got there.
        fill = SimpleImputer(keep_empty_features=True)
        parts = [
            ("words", make_pipeline(FunctionTransformer(_texts), terms)),
            ("letters", make_pipeline(FunctionTransformer(_texts), letters)),
            ("measures", make_pipeline(FunctionTransformer(_measures), fill, StandardScaler())),
        ]
        # liblinear gives the same every time for a seed, and copes with few rows of many columns.
        regression = LogisticRegression(
            class_weight="balanced", solver="liblinear", random_state=seed, max_iter=1000
        )
        self._model = make_pipeline(FeatureUnion(parts), regression)
        self._model.fit(rows, kept)

    def probabilities(self, rows: Sequence[Row]) -> "Floats":
        """Return how likely each row would be kept."""
        found: Floats = self._model.predict_proba(rows)[:, 1]
        return found


def measure_power(
    rows: Sequence[Row], kept: Sequence[bool], passages: Sequence[str], seed: int
) -> Power:
    """Find by cross-validation how well labels are foretold.

    Args:
        rows: What was labelled.
        kept: Whether each was kept.
        passages: The passage of each; rows of one are never on both sides of a fold.
        seed: Of the run.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    good = np.array(kept)
    found = np.full(len(good), 0.5)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for learned, asked in folds.split(good, good, passages):
        if len(set(good[learned])) < 2:
            continue  # nothing to learn from: chance
        part = [rows[at] for at in learned], [bool(good[at]) for at in learned]
        model = QualityModel(*part, seed)
        found[asked] = model.probabilities([rows[at] for at in asked])
    low, high = _interval(found, good, passages, seed)
    count = int(good.sum())
    length = _auc(
        np.array([float(len(answer_of(dict(row)) or said_in(dict(row)))) for row in rows]), good
    )
    auc, by_length = _auc(found, good), max(length, 1 - length)
    return Power(auc, low, high, count, len(good) - count, by_length)


def words_and_pairs(text: str) -> list[str]:
    """Return the words of a text, and each two that follow each other."""
    found = words(text)
    return [*found, *(f"{one} {other}" for one, other in pairwise(found))]


def _texts(rows: Sequence[Row]) -> list[str]:
    return [said_in(dict(row))[:_MOST_CHARS] for row in rows]


def _measures(rows: Sequence[Row]) -> "Floats":
    """Measure rows: lengths, signs, what the answer repeats, scores; nan where there is none."""
    import numpy as np

    return np.array([_measures_of(dict(row)) for row in rows], dtype=float).reshape(len(rows), -1)


def _measures_of(row: dict[str, Any]) -> list[float]:
    question, answer = question_of(row)[:_MOST_CHARS], answer_of(row)[:_MOST_CHARS]
    asked, said = content_terms(question), content_terms(answer)
    both = f"{question} {answer}"
    scores = scores_of(row)
    return [
        math.log1p(len(question)),
        math.log1p(len(answer)),
        len(asked.keys() & said.keys()) / max(len(said), 1),
        sum(letter.isdigit() for letter in both) / max(len(both), 1),
        sum(letter.isupper() for letter in both) / max(len(both), 1),
        sum(not (letter.isalnum() or letter.isspace()) for letter in both) / max(len(both), 1),
        float(question.rstrip().endswith("?")),
        float(answer.rstrip()[-1:] in ".!?"),
        math.log1p(len(row.get("messages") or ())),
        *(float(scores.get(name, math.nan)) for name in _SCORES),
    ]


def _auc(found: "Floats", kept: "Flags") -> float:
    """Area under the ROC curve by counting pairs (Mann and Whitney); ties count half."""
    import numpy as np

    others = np.sort(found[~kept])
    below = np.searchsorted(others, found[kept], "left")
    upto = np.searchsorted(others, found[kept], "right")
    return float((below + upto).mean() / 2 / len(others))


def _interval(
    found: "Floats", kept: "Flags", passages: Sequence[str], seed: int
) -> tuple[float, float]:
    """Bootstrap the AUC over passages: rows of one share its luck."""
    import numpy as np

    rng = np.random.default_rng(seed)
    names = {name: at for at, name in enumerate(dict.fromkeys(passages))}
    owner = np.array([names[passage] for passage in passages])
    members = [np.flatnonzero(owner == at) for at in range(len(names))]
    values = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([members[at] for at in rng.integers(0, len(names), len(names))])
        if kept[chosen].any() and not kept[chosen].all():
            values.append(_auc(found[chosen], kept[chosen]))
    low, high = np.quantile(values, _QUANTILES)
    return float(low), float(high)

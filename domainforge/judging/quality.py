"""A classifier of rows that learns from what people kept and dropped, and says how far it can."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.filters.reviewed import REVIEWED
from domainforge.judging.config import QualityConfig
from domainforge.judging.marks import NO_MARK, Mark
from domainforge.judging.quality_model import Power, QualityModel, measure_power
from domainforge.judging.verdicts import scores_of
from domainforge.labels import Content, Labels, dump
from domainforge.records import canonical_json, text_hash

FEWEST_LABELS = 30
FEWEST_PASSAGES = 5
"""Of each verdict, so that the rows of some passages can be told by those of others."""


@dataclass(frozen=True)
class Lesson:
    """What labels teach.

    Attributes:
        rows: What was labelled, as rows.
        kept: Whether each was kept.
        passages: The passage of each; rows of one are never on both sides of a fold.
    """

    rows: Sequence[Mapping[str, Any]]
    kept: Sequence[bool]
    passages: Sequence[str]

    def lacks(self) -> str | None:
        """Say what is missing to learn from; None where nothing is."""
        if len(self.rows) < FEWEST_LABELS:
            return f"it needs {FEWEST_LABELS} labels, and there are {len(self.rows)}"
        pairs = list(zip(self.kept, self.passages, strict=True))
        for verdict, name in ((True, "keep"), (False, "drop")):
            count = len({passage for kept, passage in pairs if kept is verdict})
            if count < FEWEST_PASSAGES:
                return (
                    f"it needs rows of {FEWEST_PASSAGES} passages labelled {name}, and there are "
                    f"{count}"
                )
        return None


def read_lesson(labels: Labels) -> Lesson:
    """Take the rows out of labels; a row that was rewritten teaches what it says now."""
    rows, kept, passages = [], [], []
    for label in sorted(labels, key=lambda label: label.key):
        if label.verdict is None:
            continue
        said: Content = label.said
        if label.verdict == "keep" and label.edited is not None:
            said = label.edited
        scores = canonical_json(label.scores)
        rows.append({"kind": label.kind, "scores": scores, **said.model_dump()})
        kept.append(label.verdict == "keep")
        passages.append(label.chunk_id or label.key)
    return Lesson(rows, kept, passages)


def hash_lesson(labels: Labels) -> str:
    """Hash all that labels teach."""
    told = sorted(
        (label.key, label.verdict, dump(label.said), dump(label.edited), label.scores)
        for label in labels
        if label.verdict
    )
    return text_hash(canonical_json(told))


class QualityScorer:
    """Scores rows that nobody has labelled by what was learned from those that somebody has."""

    def __init__(self, config: QualityConfig, lesson: Lesson, power: Power, seed: int) -> None:
        """Learn from all labels.

        Args:
            config: From which probability on rows stay.
            lesson: The labels.
            power: What cross-validation found; must beat chance.
            seed: Of the run.
        """
        self._least = config.min_probability
        self._power = power
        self._model = QualityModel(lesson.rows, lesson.kept, seed)

    def score(self, rows: Sequence[Mapping[str, Any]]) -> list[Mark]:
        """Return the marks of rows; one that a person has decided on has none."""
        if not rows:
            return []
        found = self._model.probabilities(rows)
        return [self._mark(row, float(at)) for row, at in zip(rows, found, strict=True)]

    def _mark(self, row: Mapping[str, Any], probability: float) -> Mark:
        if scores_of(row).get(REVIEWED):
            return NO_MARK
        probability = round(probability, 4)
        scores = {"quality": probability}
        if self._least is None or probability >= self._least:
            return Mark(scores)
        evidence = f"quality {probability:.2f} < {self._least:.2f}; {self._power.describe()}"
        return Mark(scores, "low_quality", evidence)


@dataclass(frozen=True)
class Learned:
    """What came of learning.

    Attributes:
        scorer: None where nothing may go by the labels.
        note: What the user should know.
        figures: For the stage's account.
    """

    scorer: QualityScorer | None
    note: str
    figures: Mapping[str, Any]


def learn_quality(config: QualityConfig, labels: Labels, seed: int) -> Learned:
    """Learn from labels, unless there are too few or they can't be told from chance."""
    lesson = read_lesson(labels)
    more = "`domainforge review RUN` gives more"
    lack = lesson.lacks()
    if lack is not None:
        return Learned(None, f"no row was scored by your labels: {lack}; {more}", {})
    power = measure_power(lesson.rows, lesson.kept, lesson.passages, seed)
    figures = {
        "quality_auc": round(power.auc, 4),
        "quality_auc_low": round(power.low, 4),
        "quality_auc_high": round(power.high, 4),
        "quality_auc_by_length": round(power.by_length, 4),
        "quality_labels": power.kept + power.dropped,
    }
    if not power.beats_chance:
        note = (
            "no row was scored by your labels: a classifier that learned from them can't be told "
            f"from chance ({power.describe()}); {more}"
        )
        return Learned(None, note, figures)
    note = f"a classifier learned from your labels: {power.describe()}"
    return Learned(QualityScorer(config, lesson, power, seed), note, figures)

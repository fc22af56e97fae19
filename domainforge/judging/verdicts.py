"""What was heard about a row, and what follows: its scores, or the reason to leave it out."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from domainforge.judging.agreement import agree
from domainforge.judging.config import JudgeConfig
from domainforge.judging.panel import What, question_before, said_by
from domainforge.prompt_judging import ANSWER, BETTER, OVERALL, REASON, SIDES
from domainforge.records import canonical_json
from domainforge.tables import PASSAGE

JUDGED_LOW, UNJUDGED = "judged_low", "unjudged"
ROUND_TRIP, KNOWN = "round_trip", "known_without_document"

VERDICT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("chunk_id", pa.string()),
        ("also", pa.list_(PASSAGE)),
        ("scores", pa.string()),
        ("verdict", pa.string()),
        ("evidence", pa.string()),
        ("by_position", pa.bool_()),
        ("missing", pa.list_(pa.string())),
        ("ledger_keys", pa.list_(pa.string())),
    ]
)
"""Of each row that was asked about; `verdict` is why it goes, null where it may stay."""

_MOST_EVIDENCE = 600


@dataclass(frozen=True)
class Heard:
    """What came back for one question.

    Attributes:
        fields: Of the reply; empty where none can be read.
        keys: Of the ledger, all that was asked for it.
        fault: Why there are no fields.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What all that was heard of a row comes to.

    Attributes:
        scores: `judge` and each criterion, `judge_pair`, `round_trip`, `known_without_document`.
        reason: Why the row goes; None where it may stay.
        evidence: What shows the reason, or what the judge said.
        by_position: Whether the judge of a pair went by the place of the answers; None without one.
        missing: What was asked and gave nothing that can be read, each with its fault.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    evidence: str | None = None
    by_position: bool | None = None
    missing: tuple[str, ...] = ()

    def as_row(self, row: Mapping[str, Any], heard: Mapping[What, Heard]) -> dict[str, Any]:
        """Return the row of the table of verdicts."""
        return {
            "id": row["id"],
            "chunk_id": row["chunk_id"],
            "also": row["also"],
            "scores": canonical_json(dict(self.scores)),
            "verdict": self.reason,
            "evidence": self.evidence,
            "by_position": self.by_position,
            "missing": list(self.missing),
            "ledger_keys": [key for each in heard.values() for key in each.keys],
        }


def read_verdict(
    row: Mapping[str, Any], heard: Mapping[What, Heard], config: JudgeConfig
) -> Verdict:
    """Read what was heard of a row so far."""
    scores: dict[str, float] = {}
    found: list[tuple[str, str]] = []
    missing = [f"{what}: {each.fault}" for what, each in heard.items() if each.fault]
    rubric = heard.get("rubric")
    said = ""
    if rubric is not None and not rubric.fault:
        of_rubric = read_scores(rubric.fields)
        said = str(rubric.fields.get(REASON, ""))
        if "judge" not in of_rubric:
            missing.append("rubric: no overall score that is a number")
        scores |= of_rubric
        low = config.min_score is not None and of_rubric.get("judge", 0.0) < config.min_score
        if low and "judge" in of_rubric:
            found.append((JUDGED_LOW, f"{of_rubric['judge']:g} of the judge: {said}"))
    by_position = _read_pair(heard, scores, found, config)
    question, answer = question_before(row), said_by(row)
    again, unaided = heard.get("again"), heard.get("unaided")
    if again is not None and not again.fault:
        other = str(again.fields[ANSWER])
        scores[ROUND_TRIP] = round(agree(question, answer, other), 4)
        if scores[ROUND_TRIP] < config.min_agreement:
            found.append((ROUND_TRIP, _beside(answer, "asked again", other)))
    if unaided is not None and not unaided.fault:
        other = str(unaided.fields[ANSWER])
        scores[KNOWN] = round(agree(question, answer, other), 4)
        if config.needs_document == "drop" and scores[KNOWN] >= config.known_agreement:
            found.append((KNOWN, _beside(answer, "without the passage", other)))
    if missing and config.unjudged == "drop":
        found.append((UNJUDGED, "; ".join(missing)))
    reason, evidence = found[0] if found else (None, said or None)
    return Verdict(
        scores, reason, evidence and evidence[:_MOST_EVIDENCE], by_position, tuple(missing)
    )


def read_scores(fields: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of a rubric's reply: `judge`, and `judge_NAME` for each criterion."""
    found = {}
    for name, value in fields.items():
        number = _number(value)
        if name != REASON and number is not None:
            found["judge" if name == OVERALL else f"judge_{name}"] = number
    return found


def scores_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores that a row has."""
    return dict(json.loads(row["scores"] or "{}"))


def _read_pair(
    heard: Mapping[What, Heard],
    scores: dict[str, float],
    found: list[tuple[str, str]],
    config: JudgeConfig,
) -> bool | None:
    """Read a pair's two verdicts; return whether they went by the place."""
    one, other = heard.get("pair"), heard.get("swapped")
    if one is None or other is None or one.fault or other.fault:
        return None
    named = one.fields[BETTER], other.fields[BETTER]
    wins = (named[0] == SIDES[0]) + (named[1] == SIDES[1])
    losses = (named[0] == SIDES[1]) + (named[1] == SIDES[0])
    scores["judge_pair"] = (wins - losses + 2) / 4
    if losses == 2 and config.min_score is not None:
        said = str(one.fields.get(REASON, ""))
        found.append((JUDGED_LOW, f"the rejected answer is better in both orders: {said}"))
    return named[0] == named[1] and named[0] in SIDES


def _number(value: Any) -> float | None:
    """Return a score; a teacher that continues lines gives texts."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 4:
        return float(value)
    return None


def _beside(answer: str, when: str, other: str) -> str:
    half = _MOST_EVIDENCE // 2 - 30
    return f"the row: {answer[:half]!r}; {when}: {other[:half]!r}"

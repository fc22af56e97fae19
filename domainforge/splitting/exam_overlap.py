"""Rows that would give an exam question away."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.deduplicate.overlap import ExamIndex
from domainforge.evaluation.exam import ExamQuestion
from domainforge.records import question_of
from domainforge.splitting.config import SplitConfig

Row = dict[str, Any]


@dataclass(frozen=True)
class Drop:
    """Why a row is left out."""

    reason: str
    evidence: str


def exam_index(
    exam: Sequence[ExamQuestion], config: SplitConfig, titles: Iterable[str] = ()
) -> ExamIndex:
    """Index the questions that no row may give away; to name a document's title is no give-away."""
    questions = ((question.id, question.question) for question in exam)
    return ExamIndex(questions, config.exam_ngram_words, config.exam_jaccard, titles)


def find_exam_overlap(rows: Sequence[Row], index: ExamIndex) -> dict[str, Drop]:
    """Find generated rows that match an exam question; documents may say what they say."""
    drops = {}
    for row in rows:
        if row["prompt_hash"]:  # a teacher wrote it; passages have none
            said = [message["content"] or "" for message in row["messages"] or ()]
            text = "\n".join([*said, row["text"] or "", row["rejected"] or ""])
            overlap = index.find(question_of(row), text)
            if overlap is not None:
                drops[row["id"]] = Drop("exam_overlap", str(overlap))
    return drops

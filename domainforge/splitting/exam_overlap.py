"""Rows that would give away a question of the exam, or of a public benchmark."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from domainforge.deduplicate.likeness import Asked, Frequencies, Names
from domainforge.deduplicate.overlap import (
    ExamIndex,
    ExamItem,
    Overlap,
    OverlapRules,
    Said,
    asked_by,
)
from domainforge.evaluation.exam import ExamQuestion
from domainforge.sentences import split_sentences
from domainforge.splitting.config import SplitConfig

Row = Mapping[str, Any]
COLUMNS = ("id", "prompt_hash", "messages", "text", "rejected")
"""What is read of a row."""


@dataclass(frozen=True)
class Drop:
    """Why a row is left out; `rule` says by which kind of match, where there are several."""

    reason: str
    evidence: str
    rule: str = ""


class Giveaways:
    """Finds rows that match the exam or a benchmark; all rows are to be counted first.

    What a teacher wrote may match neither. Documents may say what the exam asks about, since it is
    an exam about them; of a benchmark they may hold no item word by word.
    """

    def __init__(
        self,
        exam: Sequence[ExamQuestion],
        config: SplitConfig,
        titles: Iterable[str] = (),
        benchmarks: Sequence[ExamItem] = (),
    ) -> None:
        questions = [ExamItem(q.id, q.question, q.answers) for q in exam]
        self._items = {"exam_overlap": questions, "benchmark_overlap": list(benchmarks)}
        self._rules = OverlapRules(
            ngram_words=config.exam_ngram_words,
            min_jaccard=config.exam_jaccard,
            min_cosine=config.exam_cosine,
            min_answer_cosine=config.exam_answer_cosine,
        )
        self._frequencies = Frequencies(Names(titles))
        for items in self._items.values():
            self._frequencies.count(map(asked_by, items))
        self._indexes: dict[str, ExamIndex] | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to give away."""
        return any(self._items.values())

    def count(self, rows: Iterable[Row]) -> None:
        """Take note of how common the words of these rows are."""
        if self.wanted:
            for row in rows:
                if row["prompt_hash"]:
                    self._frequencies.count(said_of(row).asked)

    def find(self, rows: Sequence[Row]) -> dict[str, Drop]:
        """Return the rows that match, by id."""
        if not self.wanted:
            return {}
        if self._indexes is None:
            self._indexes = {
                reason: ExamIndex(items, self._rules, self._frequencies)
                for reason, items in self._items.items()
            }
        drops: dict[str, Drop] = {}
        written = [row for row in rows if row["prompt_hash"]]
        said = [said_of(row) for row in written]
        for reason, index in self._indexes.items():
            for row, overlap in zip(written, index.find(said), strict=True):
                if overlap is not None:
                    drops.setdefault(row["id"], _drop(reason, overlap))
        return drops | self._find_documents([row for row in rows if not row["prompt_hash"]])

    def _find_documents(self, rows: Sequence[Row]) -> dict[str, Drop]:
        reason = "benchmark_overlap"
        if self._indexes is None or not self._items[reason]:
            return {}
        found = self._indexes[reason].find_verbatim([row["text"] or "" for row in rows])
        pairs = zip(rows, found, strict=True)
        return {row["id"]: _drop(reason, overlap) for row, overlap in pairs if overlap}


def said_of(row: Row) -> Said:
    """Return what a row asks and says: each question of a chat with what is answered to it."""
    messages = row["messages"] or ()
    said = "\n".join(
        [*(message["content"] or "" for message in messages), row["text"] or "", _rejected(row)]
    )
    return Said(tuple(_asked(row)), said)


def _asked(row: Row) -> Iterator[Asked]:
    last = len(row["messages"] or ()) - 1
    for at, (first, second) in enumerate(pairwise(row["messages"] or ())):
        if first["role"] == "user" and second["role"] == "assistant":
            worse = (_rejected(row),) if at + 1 == last and _rejected(row) else ()
            yield Asked(first["content"] or "", (second["content"] or "", *worse))
    if row["text"]:
        for start, end in split_sentences(row["text"]):
            if "?" in row["text"][start:end]:
                yield Asked(row["text"][start:end])


def _rejected(row: Row) -> str:
    return str(row["rejected"] or "")


def _drop(reason: str, overlap: Overlap) -> Drop:
    what = reason.partition("_")[0]
    return Drop(reason, f"{what} question {overlap}", overlap.kind)

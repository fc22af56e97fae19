"""Rows that give an exam question away: they would make the student look better than it is."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domainforge.deduplicate.exact import split_words
from domainforge.deduplicate.likeness import Asked, Frequencies, Likeness, QuestionIndex
from domainforge.deduplicate.runs_of_words import RunTable

# A row's question that is shorter than a run of words, and stands in the exam question as a whole.
_FEWEST_HELD_WORDS = 5
_FEWEST_AGREEMENT = 0.3
# Documents hold an item where they have so many words of it in a row, or all of a shorter one.
_VERBATIM_WORDS = 13
_SHOWN_CHARS = 120

SEQUENCE, ALIKE = "sequence", "alike"
"""The two kinds of match: by words in a row, and by likeness as a whole."""


@dataclass(frozen=True)
class ExamItem:
    """A question that no row may give away."""

    id: str
    question: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class OverlapRules:
    """What counts as a match.

    Attributes:
        ngram_words: So many words in a row, shared by row and exam question.
        min_jaccard: Of the sets of words of two questions.
        min_cosine: Of their characters' TF-IDF, whatever the answers say.
        min_answer_cosine: The same where the answers agree; in between in proportion.
    """

    ngram_words: int = 8
    min_jaccard: float = 0.8
    min_cosine: float = 0.95
    min_answer_cosine: float = 0.45


@dataclass(frozen=True)
class Said:
    """What a row says: its questions with their answers, and its whole text."""

    asked: tuple[Asked, ...]
    text: str = ""


@dataclass(frozen=True)
class Overlap:
    """Which exam question a row matches, by which rule, and what shows it."""

    item: ExamItem
    kind: str
    rule: str

    def __str__(self) -> str:
        """Say it as evidence, on one line."""
        asked = " ".join(self.item.question.split())
        cut = asked if len(asked) <= _SHOWN_CHARS else f"{asked[: _SHOWN_CHARS - 3]}..."
        return f"{self.item.id}: {self.rule}" + (f"; it asks {cut!r}" if self.kind == ALIKE else "")


class ExamIndex:
    """Finds the exam question that a row gives away, if any."""

    def __init__(
        self, items: Sequence[ExamItem], rules: OverlapRules, frequencies: Frequencies
    ) -> None:
        """Index the exam, once the words of all rows and of the exam are counted."""
        self._items = items
        self._rules = rules
        words = [split_words(item.question) for item in items]
        self._names = frequencies.names
        self._runs = RunTable(words, [rules.ngram_words])
        self._held = RunTable(words, range(_FEWEST_HELD_WORDS, rules.ngram_words))
        self._verbatim = RunTable.of(
            words,
            (
                (at, min(len(own), _VERBATIM_WORDS))
                for at, own in enumerate(words)
                if len(own) >= _FEWEST_HELD_WORDS
            ),
        )
        self._questions = QuestionIndex([asked_by(item) for item in items], frequencies)

    def find(self, rows: Sequence[Said]) -> list[Overlap | None]:
        """Compare rows with the exam, both ways: the row may hold the question, or the reverse."""
        if not self._items:
            return [None] * len(rows)
        found = [self._shared_run(hit) for hit in self._runs.find([self._said(r) for r in rows])]
        asked = [(at, one) for at, row in enumerate(rows) for one in row.asked]
        held = self._held.find([self._whole(one) for _, one in asked])
        rules = self._rules
        least = min(rules.min_cosine, rules.min_answer_cosine)
        alike = self._questions.find([one for _, one in asked], rules.min_jaccard, least)
        for (at, one), inside, likenesses in zip(asked, held, alike, strict=True):
            found[at] = found[at] or self._holds(one, inside) or self._alike(likenesses)
        return found

    def find_verbatim(self, texts: Sequence[str]) -> list[Overlap | None]:
        """Find documents that hold an item word by word; they may say what it asks about."""
        runs = [self._verbatim.runs(split_words(text)) for text in texts]
        return [
            hit and Overlap(self._items[hit[0]], SEQUENCE, f"held word by word: {hit[1]!r}")
            for hit in self._verbatim.find(runs)
        ]

    def _said(self, row: Said) -> Iterator[tuple[str, ...]]:
        """Yield the runs of a row that are more than the name of a document."""
        words, size = split_words(row.text), self._rules.ngram_words
        named = [0, *itertools.accumulate(self._names.mark(words))]
        for at, run in enumerate(self._runs.runs(words)):
            inside = named[at + size] - named[at]
            if 2 * inside <= size and not self._names.hold(run):
                yield run

    def _shared_run(self, hit: tuple[int, str] | None) -> Overlap | None:
        if hit is None:
            return None
        rule = f"{self._rules.ngram_words} words in a row: {hit[1]!r}"
        return Overlap(self._items[hit[0]], SEQUENCE, rule)

    def _whole(self, one: Asked) -> list[tuple[str, ...]]:
        own = tuple(split_words(one.question))
        short = _FEWEST_HELD_WORDS <= len(own) < self._rules.ngram_words
        return [own] if short and not self._names.hold(own) else []

    def _holds(self, one: Asked, hit: tuple[int, str] | None) -> Overlap | None:
        if hit is None:
            return None
        item = self._items[hit[0]]
        agreement = self._questions.agreement(hit[0], one)
        if one.answers and item.answers and agreement < _FEWEST_AGREEMENT:
            return None
        return Overlap(item, SEQUENCE, f"it holds the row's question: {hit[1]!r}")

    def _alike(self, likenesses: Sequence[Likeness]) -> Overlap | None:
        rules = self._rules
        worth = rules.min_cosine - rules.min_answer_cosine
        best: tuple[float, Likeness] | None = None
        for found in likenesses:
            over = found.cosine + worth * found.agreement - rules.min_cosine
            if found.jaccard >= rules.min_jaccard:
                over = max(over, found.jaccard)
            if over >= 0 and (best is None or over > best[0]):
                best = over, found
        if best is None:
            return None
        found = best[1]
        if found.jaccard >= rules.min_jaccard:
            rule = f"words alike, jaccard {found.jaccard:.2f}"
        else:
            rule = f"asks alike, cosine {found.cosine:.2f}, answers {found.agreement:.2f}"
        return Overlap(self._items[found.item], ALIKE, rule)


def asked_by(item: ExamItem) -> Asked:
    """Return an item as a question to compare with."""
    return Asked(item.question, item.answers)

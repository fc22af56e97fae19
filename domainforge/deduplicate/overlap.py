"""Rows that give an exam question away: they would make the student look better than it is."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domainforge.deduplicate.exact import split_words
from domainforge.deduplicate.likeness import Asked, Frequencies, Likeness, QuestionIndex
from domainforge.deduplicate.runs_of_words import Hit, RunTable

# A row's question that is shorter than a run of words, and stands in the exam question as a whole.
_FEWEST_HELD_WORDS = 5
_FEWEST_AGREEMENT = 0.3
# Words in a row are a match where they carry so much of the weight of the question's words.
_FEWEST_SHARE = 0.65
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
    min_jaccard: float = 0.85
    min_cosine: float = 0.99
    min_answer_cosine: float = 0.56


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
        found = [self._shared_run(hits) for hits in self._runs.find(list(map(self._said, rows)))]
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
            Overlap(self._items[hits[0].item], SEQUENCE, f"held word by word: {str(hits[0])!r}")
            if hits
            else None
            for hits in self._verbatim.find(runs)
        ]

    def _said(self, row: Said) -> Iterator[tuple[str, ...]]:
        """Yield the runs of a row that are more than the name of a document."""
        words, size = split_words(row.text), self._rules.ngram_words
        named = [0, *itertools.accumulate(self._names.mark(words))]
        for at, run in enumerate(self._runs.runs(words)):
            inside = named[at + size] - named[at]
            if 2 * inside <= size and not self._names.hold(run):
                yield run

    def _shared_run(self, hits: Sequence[Hit]) -> Overlap | None:
        """Take runs that are a good part of a question, or of which there are many on end.

        "What did the king's son do when the ..." are eight words, and say nothing.
        """
        for item, own in itertools.groupby(sorted(hits), key=lambda hit: hit.item):
            runs = list(own)
            words = frozenset(word for hit in runs for word in hit.run)
            many = len(set(runs)) > _VERBATIM_WORDS - self._rules.ngram_words
            if many or self._questions.share(item, words) >= _FEWEST_SHARE:
                first = next(hit for hit in hits if hit.item == item)
                rule = f"{self._rules.ngram_words} words in a row: {str(first)!r}"
                return Overlap(self._items[item], SEQUENCE, rule)
        return None

    def _whole(self, one: Asked) -> list[tuple[str, ...]]:
        own = tuple(split_words(one.question))
        short = _FEWEST_HELD_WORDS <= len(own) < self._rules.ngram_words
        return [own] if short and not self._names.hold(own) else []

    def _holds(self, one: Asked, hits: Sequence[Hit]) -> Overlap | None:
        if not hits:
            return None
        hit = hits[0]
        item = self._items[hit.item]
        agreement = self._questions.agreement(hit.item, one)
        if one.answers and item.answers and agreement < _FEWEST_AGREEMENT:
            return None
        return Overlap(item, SEQUENCE, f"it holds the row's question: {str(hit)!r}")

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

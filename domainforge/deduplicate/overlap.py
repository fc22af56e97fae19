"""Rows that give an exam question away: they would make the student look better than it is."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from domainforge.deduplicate.exact import split_words


@dataclass(frozen=True)
class Overlap:
    """Which exam question a row matches, and by which rule."""

    exam_id: str
    rule: str

    def __str__(self) -> str:
        """Say both, as evidence."""
        return f"exam question {self.exam_id}: {self.rule}"


class ExamIndex:
    """Finds the exam question that a row gives away, if any."""

    def __init__(
        self,
        questions: Iterable[tuple[str, str]],
        ngram_words: int,
        min_jaccard: float,
        names: Iterable[str] = (),
    ) -> None:
        """Index the exam.

        Args:
            questions: Id and question of each.
            ngram_words: So many words in a row, shared by row and exam question, are a match.
            min_jaccard: As alike as this, by their sets of words, two questions are a match.
            names: Titles of the documents: words in a row that stand in one of these give nothing
                away.
        """
        self._ngram_words = ngram_words
        self._min_jaccard = min_jaccard
        self._by_ngram: dict[str, str] = {}
        self._by_word: dict[str, list[str]] = defaultdict(list)
        self._sizes: dict[str, int] = {}
        named = {ngram for name in names for ngram in self._ngrams(split_words(name))}
        for exam_id, question in questions:
            own = split_words(question)
            for ngram in self._ngrams(own):
                if ngram not in named:
                    self._by_ngram.setdefault(ngram, exam_id)
            self._sizes[exam_id] = len(set(own))
            for word in set(own):
                self._by_word[word].append(exam_id)

    def find(self, question: str, text: str) -> Overlap | None:
        """Compare a row's question with the exam, and its whole text by word sequences."""
        for ngram in self._ngrams(split_words(text)):
            if ngram in self._by_ngram:
                rule = f"{self._ngram_words} words in a row: {ngram!r}"
                return Overlap(self._by_ngram[ngram], rule)
        own = set(split_words(question))
        shared = Counter(exam_id for word in own for exam_id in self._by_word.get(word, ()))
        best = max(
            ((self._jaccard(own, exam_id, count), exam_id) for exam_id, count in shared.items()),
            default=(0.0, ""),
        )
        if best[1] and best[0] >= self._min_jaccard:
            return Overlap(best[1], f"words alike, jaccard {best[0]:.2f}")
        return None

    def _jaccard(self, own: set[str], exam_id: str, shared: int) -> float:
        return shared / (len(own) + self._sizes[exam_id] - shared)

    def _ngrams(self, own: list[str]) -> Iterator[str]:
        for at in range(len(own) - self._ngram_words + 1):
            yield " ".join(own[at : at + self._ngram_words])

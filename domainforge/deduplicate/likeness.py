"""Questions that ask the same in other words: TF-IDF of their characters, and their answers.

Character n-grams inside words (the `char_wb` of scikit-learn) forgive endings, typos and order;
their inverse document frequency makes words count for little that half of the rows use.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from domainforge.deduplicate.exact import split_words

_FEATURES = 1 << 18
_SHORTEST, _LONGEST = 2, 5
# Nobody asks for longer; what is longer is cut, so that a hostile row costs no more than another.
_MOST_CHARS = 4_000
_MOST_WORD_CHARS = 200
# So many words a question keeps when the names of documents are taken out of it.
_FEWEST_WORDS = 3
# Two words of so many letters, and as alike as this, are one word and a slip of the pen.
_FEWEST_LETTERS = 4
_SPELT_ALIKE = 0.8
_FEW_ROWS = 20
_SAY_LITTLE = frozenset(("yes", "no", "true", "false"))

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Asked:
    """A question and what is answered; the answer may be unknown, and of an exam several hold."""

    question: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Likeness:
    """How alike two questions are.

    Attributes:
        item: Position of the exam question.
        jaccard: Of their sets of words, slips of the pen aside.
        cosine: Of their weighted character n-grams.
        agreement: Of their answers, 0 to 1; 0 where one has none.
    """

    item: int
    jaccard: float
    cosine: float
    agreement: float


class Names:
    """Titles of documents, which a question may name without giving anything away."""

    def __init__(self, titles: Iterable[str]) -> None:
        self._titles: set[tuple[str, ...]] = set()
        self._lengths: dict[str, list[int]] = {}
        self._parts: dict[int, set[tuple[str, ...]]] = {}
        for title in titles:
            own = tuple(split_words(title))
            if len(own) > 1 and own not in self._titles:
                self._titles.add(own)
                lengths = self._lengths.setdefault(own[0], [])
                if len(own) not in lengths:
                    lengths.append(len(own))
                    lengths.sort(reverse=True)

    def without(self, words: Sequence[str]) -> list[str]:
        """Return the words that are part of no title; all of them where hardly any would stay."""
        named = self.mark(words)
        left = [word for word, inside in zip(words, named, strict=True) if not inside]
        return left if len(left) >= _FEWEST_WORDS else list(words)

    def mark(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether it is part of a whole title."""
        named = [False] * len(words)
        at = 0
        while at < len(words):
            known = (tuple(words[at : at + n]) for n in self._lengths.get(words[at], ()))
            size = next((len(own) for own in known if own in self._titles), 0)
            named[at : at + size] = [True] * size
            at += size or 1
        return named

    def hold(self, words: Sequence[str]) -> bool:
        """Tell whether the words stand in a title, next to each other and in order."""
        size = len(words)
        if size not in self._parts:
            self._parts[size] = {
                title[at : at + size]
                for title in self._titles
                for at in range(len(title) - size + 1)
            }
        return tuple(words) in self._parts[size]


class Frequencies:
    """In how many questions each character n-gram and each word occurs, in bounded memory."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.asked = 0
        self._grams = np.zeros(_FEATURES, dtype=np.int64)
        self._words = np.zeros(_FEATURES, dtype=np.int64)

    def count(self, asked: Iterable[Asked]) -> None:
        """Take questions and their answers into account; their order doesn't matter."""
        for one in asked:
            own = question_words(one.question, self.names)
            if own:
                self._grams[np.unique(np.concatenate([_grams(word) for word in own]))] += 1
            said = {*own, *(word for answer in one.answers for word in _answer_words(answer))}
            self._words[[_feature(word) for word in said]] += 1
            self.asked += 1

    def gram_weights(self) -> npt.NDArray[np.float64]:
        """Return the inverse document frequency of every n-gram, smoothed as scikit-learn does."""
        return np.log((1 + self.asked) / (1 + self._grams)) + 1

    def word_weight(self, word: str) -> float:
        """Return what a word of an answer is worth."""
        return math.log((1 + self.asked) / (1 + int(self._words[_feature(word)]))) + 0.1


class QuestionIndex:
    """Finds the exam questions that a row's question is most like."""

    def __init__(self, items: Sequence[Asked], frequencies: Frequencies) -> None:
        """Index the questions, once all that will be compared is counted."""
        self._frequencies = frequencies
        self._weights = frequencies.gram_weights()
        own = [question_words(item.question, frequencies.names) for item in items]
        self._vectors = self._weigh(own).T.tocsr()
        self._questions = [frozenset(words) for words in own]
        self._answers = [[_answer_words(answer) for answer in item.answers] for item in items]

    def find(
        self, asked: Sequence[Asked], min_jaccard: float, min_cosine: float
    ) -> Iterator[list[Likeness]]:
        """Yield for each question those of the exam that are as alike as one of the two says.

        Questions that share half of their words have much of their n-grams in common too, so only
        those are compared word by word.
        """
        own = [question_words(one.question, self._frequencies.names) for one in asked]
        cosines = (self._weigh(own) @ self._vectors).tocsr()
        least = min(min_cosine, min_jaccard / 2)
        for at, one in enumerate(asked):
            near = {item: cosine for item, cosine in _row(cosines, at) if cosine >= least}
            likenesses = (
                Likeness(
                    item,
                    word_likeness(set(own[at]), self._questions[item]),
                    round(near[item], 6),
                    self.agreement(item, one),
                )
                for item in sorted(near)
            )
            yield [
                one for one in likenesses if one.cosine >= min_cosine or one.jaccard >= min_jaccard
            ]

    def agreement(self, item: int, asked: Asked) -> float:
        """Return how far two answers say the same, 0 to 1; 0 where one of them is unknown.

        It is the weight of the shared words over the geometric mean of the weights of both, so
        that a long answer that happens to hold a short one says little. What a question says
        already is no part of an answer.
        """
        best = 0.0
        known = self._questions[item] | set(split_words(asked.question[:_MOST_CHARS]))
        for answer in asked.answers:
            said = _answer_words(answer)
            for wanted in self._answers[item]:
                best = max(best, self._shared(said, wanted, known))
        return round(best, 6)

    def share(self, item: int, words: frozenset[str]) -> float:
        """Return how much of the weight of a question's words these are."""
        asked = self._questions[item]
        if not asked:
            return 0.0
        # In a handful of rows nothing is known of how common words are.
        even = _FEW_ROWS / (_FEW_ROWS + self._frequencies.asked)
        part = self._worth(asked & words) + even * len(asked & words)
        return part / (self._worth(asked) + even * len(asked))

    def _shared(self, said: frozenset[str], wanted: frozenset[str], asked: frozenset[str]) -> float:
        said, wanted = (said - asked) or said, (wanted - asked) or wanted
        if not said or not wanted or said <= _SAY_LITTLE or wanted <= _SAY_LITTLE:
            return 0.0
        both, own, other = map(self._worth, (said & wanted, said, wanted))
        return both / math.sqrt(own * other)

    def _worth(self, words: frozenset[str]) -> float:
        return math.fsum(self._frequencies.word_weight(word) for word in words)

    def _weigh(self, questions: Sequence[Sequence[str]]) -> Any:
        """Return unit vectors [question, n-gram]: (1 + log count) times the weight."""
        matrix = _matrix([[_grams(word) for word in own] for own in questions])
        matrix.data = (1 + np.log(matrix.data)) * self._weights[matrix.indices]
        return _unit(matrix)


def question_words(question: str, names: Names) -> list[str]:
    """Return what questions are compared by: their words, without titles of documents."""
    return names.without(split_words(question[:_MOST_CHARS]))


def word_likeness(left: Set[str], right: Set[str]) -> float:
    """Return the Jaccard similarity of two sets of words; a slip of the pen makes no other word."""
    shared = len(left & right)
    theirs = sorted(right - left)
    for word in sorted(left - right):
        twin = next((other for other in theirs if _is_misspelt(word, other)), None)
        if twin is not None:
            theirs.remove(twin)
            shared += 1
    union = len(left) + len(right) - shared
    return shared / union if union else 0.0


def _is_misspelt(word: str, other: str) -> bool:
    if min(len(word), len(other)) < _FEWEST_LETTERS or not (word + other).isalpha():
        return False
    compared = SequenceMatcher(None, word[:_MOST_WORD_CHARS], other[:_MOST_WORD_CHARS], False)
    return compared.real_quick_ratio() >= _SPELT_ALIKE and compared.ratio() >= _SPELT_ALIKE


def _answer_words(answer: str) -> frozenset[str]:
    return frozenset(split_words(answer[:_MOST_CHARS]))


@lru_cache(maxsize=1 << 16)
def _grams(word: str) -> Ids:
    """Return the features of a word's character n-grams, its ends included."""
    padded = f" {word[:_MOST_WORD_CHARS]} "
    sizes = range(_SHORTEST, _LONGEST + 1)
    parts = [padded[at : at + n] for n in sizes for at in range(max(len(padded) - n + 1, 1))]
    return np.array([_feature(part) for part in parts], dtype=np.int32)


def _feature(text: str) -> int:
    return zlib.crc32(text.encode()) % _FEATURES


def _matrix(rows: Sequence[Sequence[Ids]]) -> Any:
    """Count features: a sparse matrix [row, feature]."""
    from scipy.sparse import csr_matrix

    parts = [part for row in rows for part in row]
    sizes = [sum(len(part) for part in row) for row in rows]
    indices = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    ones = np.ones(len(indices))
    matrix = csr_matrix((ones, indices, bounds), shape=(len(rows), _FEATURES))
    matrix.sum_duplicates()
    return matrix


def _unit(matrix: Any) -> Any:
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    norms[norms == 0] = 1
    matrix.data /= np.repeat(norms, np.diff(matrix.indptr))
    return matrix


def _row(matrix: Any, at: int) -> Iterator[tuple[int, float]]:
    start, stop = matrix.indptr[at], matrix.indptr[at + 1]
    return zip(matrix.indices[start:stop].tolist(), matrix.data[start:stop].tolist(), strict=True)

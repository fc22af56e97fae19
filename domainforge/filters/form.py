"""Checks of form: is there a question, an answer, and do they have a shape worth learning?"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from domainforge.filters.layout import is_json
from domainforge.filters.lengths import TOKENS
from domainforge.filters.ngrams import find_repeated_share
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.vocabulary import ASKING_WORDS
from domainforge.filters.words import (
    contains_words,
    content_terms,
    count_words,
    fold,
    says_yes_or_no,
    words,
)

_NGRAM = 4
_QUESTION_MARK = re.compile("[?\uff1f\u037e\u061f\u055e]")
_COPIED_WORDS = 5
_RESTATED_TERMS = 3
_QUESTION_WORDS = re.compile(r"\b(how (many|much|long|old)|what|whom?|whose)\b")
_CHOICE = re.compile(
    r"\b(or|oder|ou|o|between|zwischen|entre|both|which one|which of|of these|of the two|"
    r"in common|same)\b"
)


def find_empty(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows whose question, answer or text holds no letter and no digit."""
    return [_empty(row) for row in rows]


def find_too_short(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find questions, answers and texts of fewer words than wanted."""
    return [_too_short(row, config) for row in rows]


def find_too_long(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find questions and answers of more words than wanted, and rows of more tokens.

    Words are counted of what a teacher wrote as a chat, tokens of every row.
    """
    return [_too_long(row, config) for row in rows]


def find_repetition(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find texts of a teacher that got stuck: words, sequences or lines over and over.

    The shares follow the repetition rules of Gopher (Rae et al. 2021, appendix A1.1). In longer
    answers and texts the characters of repeated sequences are counted too, unless the passage
    repeats as much: a song has its refrain.
    """
    return [
        _repetition(row.question, config)
        or _repetition(row.answer, config)
        or _repeats_more(row, config)
        for row in rows
    ]


def find_not_a_question(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find questions that have no question mark and don't begin like a question or a request."""
    if not config.require_question:
        return [None] * len(rows)
    return [_not_a_question(row.question) for row in rows]


def find_question_is_answer(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find pairs that teach nothing: the answer repeats the question, or this copies the passage.

    Questions that offer a choice, and those answered by yes or no, may repeat their words.
    """
    return [_question_is_answer(row) for row in rows]


def _parts(row: Row) -> list[tuple[str, str]]:
    if row.kind == "chat":
        return [("question", row.question), ("answer", row.answer)]
    return [("text", row.answer)]


def _empty(row: Row) -> Evidence:
    for name, text in _parts(row):
        if not any(character.isalnum() for character in text):
            return f"{name} without a letter or digit: {text[:40]!r}"
    return None


def _too_short(row: Row, config: FilterConfig) -> Evidence:
    wanted = {
        # "And then?" is enough in a conversation.
        "question": min(1, config.min_question_words)
        if row.said_before
        else config.min_question_words,
        "answer": config.min_answer_words,
        "text": config.min_text_words,
    }
    for name, text in _parts(row):
        count = count_words(text)
        if count < wanted[name]:
            return f"{name} of {count} words, at least {wanted[name]} wanted"
    return None


def _too_long(row: Row, config: FilterConfig) -> Evidence:
    tokens = row.measured.get(TOKENS)
    if config.max_tokens is not None and tokens is not None and tokens > config.max_tokens:
        return f"{tokens:.0f} tokens, at most {config.max_tokens} wanted"
    wanted = {"question": config.max_question_words, "answer": config.max_answer_words}
    for name, text in () if row.given else _parts(row):
        count = count_words(text)
        if name in wanted and count > wanted[name]:
            return f"{name} of {count} words, at most {wanted[name]} wanted"
    return None


def _repetition(text: str, config: FilterConfig) -> Evidence:
    own = words(text)
    run = 1
    for before, word in itertools.pairwise(own):
        run = run + 1 if word == before and len(word) > 1 and word.isalpha() else 1
        if run > config.max_word_run:
            return f"{word!r} {run} times in a row"
    ngrams = [tuple(own[at : at + _NGRAM]) for at in range(len(own) - _NGRAM + 1)]
    share, worst = _repeated_share(ngrams)
    if share > config.max_repeated_ngram_share:
        return f"{share:.0%} of the four-word sequences repeat, such as {' '.join(worst)!r}"
    lines = [(line,) for line in map(fold, map(str.strip, text.splitlines())) if line]
    share, worst = _repeated_share(lines)
    if share > config.max_repeated_line_share:
        return f"{share:.0%} of the lines repeat, such as {worst[0][:60]!r}"
    return None


def _repeats_more(row: Row, config: FilterConfig) -> Evidence:
    min_words = config.prose.min_words
    if min_words is None or is_json(row.answer):
        return None
    found = find_repeated_share(row.answer, config.prose, min_words)
    return None if found and find_repeated_share(row.passage, config.prose, 1) else found


def _repeated_share(items: Sequence[tuple[str, ...]]) -> tuple[float, tuple[str, ...]]:
    """Return which share of items is a copy of an earlier one, and the commonest item."""
    if not items:
        return 0.0, ()
    counts = Counter(items)
    return 1 - len(counts) / len(items), counts.most_common(1)[0][0]


def _not_a_question(question: str) -> Evidence:
    own = words(question)
    if _QUESTION_MARK.search(question) or not ASKING_WORDS.isdisjoint(own[:1]):
        return None
    if _QUESTION_WORDS.search(fold(question)):
        return None  # "DEC had three layers, but evolved into how many layers"
    return f"neither asks nor instructs: {question[:80]!r}"


def _question_is_answer(row: Row) -> Evidence:
    if words(row.question) == words(row.answer):
        return "question and answer are the same"
    if _copies_passage(row):
        return f"the question is copied from the passage: {row.question[:80]!r}"
    # Who declines says what was asked for, and nothing else.
    declines = row.basis == "absent"
    if declines or _CHOICE.search(fold(row.question)) or says_yes_or_no(row.answer):
        return None
    if contains_words(row.question, row.answer):
        return f"the answer is a part of the question: {row.answer[:80]!r}"
    asked, answered = content_terms(row.question), content_terms(row.answer)
    if len(answered) >= _RESTATED_TERMS and answered.keys() <= asked.keys():
        return f"every content word of the answer is in the question: {row.answer[:80]!r}"
    return None


def _copies_passage(row: Row) -> bool:
    """Tell whether the question is a statement of the passage; a FAQ's own questions are none."""
    own = words(row.question)
    # "Who had seven sons?" may well stand in the passage as a relative clause.
    if len(own) < _COPIED_WORDS or own[0] in ASKING_WORDS:
        return False
    if not contains_words(row.passage, row.question):
        return False
    asked = " ".join(fold(row.question).split()) in " ".join(fold(row.passage).split())
    return not (asked and _QUESTION_MARK.search(row.question))

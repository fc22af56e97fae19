"""The check of language: a row speaks the language that is wanted, or that of its passage."""

from collections.abc import Sequence

from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import count_words
from domainforge.languages import NO_LANGUAGE, detect_language

# Labels that a detector of n-grams can't tell apart reliably, or that are one written language.
_ALIKE = (
    frozenset({"bs", "hr", "sr"}),
    frozenset({"no", "nn", "da"}),
    frozenset({"id", "ms"}),
    frozenset({"pt", "gl"}),
    frozenset({"zh", "wuu", "yue"}),
    frozenset({"uz", "uzs"}),
)


def find_wrong_language(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows in another language than the one set, or else than their passage.

    Says nothing about short rows and passages, nor where the detector is unsure of either. Answers
    that don't stand on a passage may be in any language, unless one is set.
    """
    if config.min_language_confidence is None:
        return [None] * len(rows)
    return [_wrong_language(row, config, config.min_language_confidence) for row in rows]


def _wrong_language(row: Row, config: FilterConfig, confidence: float) -> Evidence:
    text = f"{row.question}\n{row.answer}"
    if config.language is not None:
        return _differs(text, config.language, "wanted", config, confidence)
    if row.basis == "free" or row.given:
        return None
    if min(count_words(text), count_words(row.passage)) < config.min_language_words:
        return None
    passage, passage_sure = detect_language(row.passage)
    if passage_sure < confidence or passage == NO_LANGUAGE:
        return None
    source = f"is that of its passage ({passage_sure:.2f})"
    return _differs(text, passage, source, config, confidence)


def _differs(text: str, wanted: str, why: str, config: FilterConfig, confidence: float) -> Evidence:
    if count_words(text) < config.min_language_words:
        return None
    language, sure = detect_language(text)
    alike = language == wanted or any({language, wanted} <= group for group in _ALIKE)
    if alike or sure < confidence or language == NO_LANGUAGE:
        return None
    return f"the row is {language} ({sure:.2f}); {wanted} {why}"

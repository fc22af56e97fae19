"""The check of language: a row speaks the language of its passage."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import count_words

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# Labels that a detector of n-grams can't tell apart reliably, or that are one written language.
_ALIKE = (
    frozenset({"bs", "hr", "sr"}),
    frozenset({"no", "nn", "da"}),
    frozenset({"id", "ms"}),
    frozenset({"pt", "gl"}),
    frozenset({"zh", "wuu", "yue"}),
    frozenset({"uz", "uzs"}),
)
_NO_LANGUAGE = "zxx"


def find_wrong_language(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows in another language than their passage.

    Says nothing about short rows and passages, nor where the detector is unsure of either.
    """
    if config.min_language_confidence is None:
        return [None] * len(rows)
    return [_wrong_language(row, config, config.min_language_confidence) for row in rows]


def _wrong_language(row: Row, config: FilterConfig, confidence: float) -> Evidence:
    text = f"{row.question}\n{row.answer}"
    if min(count_words(text), count_words(row.passage)) < config.min_language_words:
        return None
    passage, passage_sure = _detect(row.passage)
    if passage_sure < confidence or passage == _NO_LANGUAGE:
        return None
    language, sure = _detect(text)
    alike = language == passage or any({language, passage} <= group for group in _ALIKE)
    if alike or sure < confidence or language == _NO_LANGUAGE:
        return None
    return f"the row is {language} ({sure:.2f}), its passage {passage} ({passage_sure:.2f})"


@lru_cache(maxsize=1024)
def _detect(text: str) -> tuple[str, float]:
    """Return the likeliest language and its probability among all that the detector knows."""
    language, probability = _identifier().classify(text)
    return str(language), float(probability)


@lru_cache(maxsize=1)
def _identifier() -> "LanguageIdentifier":
    # Our own instance, because the module's shared one gives scores instead of probabilities;
    # the model takes half a second to load, so only a run that checks languages pays for it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

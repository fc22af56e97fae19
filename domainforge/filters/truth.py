"""Checks of truth: does the passage say it?"""

import re
from collections.abc import Sequence

from domainforge.filters.kind import asks_for_more_than_terms
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.support import Support
from domainforge.filters.words import content_terms, missing_words, words

_ELLIPSIS = re.compile(r"\.{3,}|\u2026|\[\.*\]")


def find_quote_missing(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows whose quote is not in the passage.

    Case, punctuation, line breaks and typography don't matter; "..." may stand for a gap.
    """
    return [_quote_missing(row) for row in rows]


def find_question_unrelated(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find questions that are about something else than the passage, its title and headings."""
    return [_question_unrelated(row, config.min_question_related_share) for row in rows]


def find_unsupported(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find answers that say more than their quote (or the passage, where there is no quote)."""
    return [_unsupported(row, config) for row in rows]


def _quote_missing(row: Row) -> Evidence:
    if row.quote is None:
        return None
    parts = [part for part in map(words, _ELLIPSIS.split(row.quote)) if part]
    if not parts:
        return "the quote is empty"
    text, start = f" {' '.join(words(row.passage))} ", 0
    for part in parts:
        wanted = f" {' '.join(part)} "
        found = text.find(wanted, start)
        if found < 0:
            return f"not in the passage: {row.quote[:160]!r}"
        start = found + len(wanted) - 1
    return None


def _question_unrelated(row: Row, min_share: float) -> Evidence:
    if row.said_before:  # it leans on what was said
        return None
    share = row.question_related_share
    if share >= min_share:
        return None
    terms = content_terms(row.question)
    if not terms:
        return "the question has no content word"
    return f"related {share:.2f} < {min_share:.2f}; not in the passage: " + missing_words(
        row.unrelated_terms, terms
    )


def _unsupported(row: Row, config: FilterConfig) -> Evidence:
    support = row.support
    if support is None:
        return None
    source = "quote" if row.quote and not row.reasons else "passage"
    if support.numbers:
        return f"number not in the {source}: {missing_words(support.numbers, support.written)}"
    if support.share < config.min_support_share and not _is_told_freely(row, support, config):
        return (
            f"support {support.share:.2f} < {config.min_support_share:.2f}; "
            f"not in the {source}: {missing_words(support.missing, support.written)}"
        )
    if config.require_names and support.names:
        return f"name not in the passage: {', '.join(support.names)}"
    if config.require_names and support.facts:
        return f"not in the passage: {', '.join(support.facts)}"
    least, similarity = config.min_similarity, row.similarity
    if least is None or similarity is None or similarity >= least:
        return None
    return f"similarity {similarity:.2f} < {least:.2f} of answer and passage"


def _is_told_freely(row: Row, support: Support, config: FilterConfig) -> bool:
    """Tell whether a short answer may be in words of its own: the question asks for no term."""
    if row.quote or len(support.missing) > config.max_own_words:
        return False
    return asks_for_more_than_terms(row.question)

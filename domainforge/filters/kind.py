"""Check of kind: an answer that can't be what the question asks for (English questions only)."""

import re
from collections.abc import Sequence

from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import content_terms, is_number

_AMOUNT = re.compile(r"^how many\b", re.IGNORECASE)
_TIME = re.compile(
    r"^(when (?:did|do|does|is|are|was|were|has|have|had|will|would|can|could|should|must)"
    r"|(on|in|at) (what|which) (date|day|year|month))\b",
    re.IGNORECASE,
)
_FREE = re.compile(
    r"\b(?:why|what (?:\w+ ){0,2}happen\w*|warum|weshalb|wieso|pourquoi|por qué)\b"
    r"|\bhow (?!(?:many|much|old|long|far|tall|big|large|often|high|deep|wide)\b)"
    r"|^(?:wie|comment|cómo) (?!(?:viele?|lange?|alt|oft|hoch)\b)"
    r"|\bwhat (?:do|does|did|will|would|should|could|can|must)\b"
    r".*\b(?:do|feel|think|say|look like|tell)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"^(who|where|what is the name)\b", re.IGNORECASE)
_AMOUNT_WORDS = re.compile(
    r"\b(no|none|zero|once|twice|both|all|half|several|many|few|dozens?|hundreds|thousands|millions"
    r"|majority|minority|most)\b"
)
_TIME_WORDS = re.compile(
    r"\b(january|february|march|april|may|june|july|august|september|october|november|december|"
    r"\w+day|spring|summer|autumn|fall|winter|days?|weeks?|months?|years?|century|centuries|hours?|"
    r"minutes?|morning|noon|afternoon|evening|night|midnight|dawn|dusk|sunset|sunrise|now|then|"
    r"tomorrow|always|never|annually|daily|weekly|monthly|yearly|after|before|until|till|since|"
    r"during|while|when|once|every|each|as|if|upon|(?:beginning|start|end) of|reign|era)\b"
)


def find_wrong_kind(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find "how many" without a number, "when" without a time, "who" or "where" with only a number.

    Questions in other words, or in other languages, pass.
    """
    return [_wrong_kind(row) for row in rows]


def answers_kind(question: str, answer: str) -> bool | None:
    """Tell whether an answer has what "how many" or "when" asks for; None for other questions."""
    has_number = any(map(is_number, content_terms(answer)))
    if _AMOUNT.match(question):
        return has_number or bool(_AMOUNT_WORDS.search(answer.lower()))
    if _TIME.match(question):
        return has_number or bool(_TIME_WORDS.search(answer.lower()))
    return None


def asks_for_more_than_terms(question: str) -> bool:
    """Tell whether a question asks for a reason, a manner, a feeling or a deed.

    People answer these in words of their own; a name, a date or a thing they take over.
    """
    return _FREE.search(question) is not None


def _wrong_kind(row: Row) -> Evidence:
    if answers_kind(row.question, row.answer) is False:
        wanted = "how many, and no number" if _AMOUNT.match(row.question) else "when, and no time"
        return f"asks {wanted} answers: {row.answer[:120]!r}"
    terms = content_terms(row.answer)
    if _NAME.match(row.question) and terms and all(map(is_number, terms)):
        return f"asks for a name, and a number answers: {row.answer[:120]!r}"
    return None

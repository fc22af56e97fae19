"""Checks of phrases that a teacher writes when it does something else than the task.

What the passage itself says is never held against a row: a manual of prompt templates may say
"[insert name]", a thriller may say "the passage".
"""

import re
from collections.abc import Sequence
from re import IGNORECASE, MULTILINE

from domainforge.filters.layout import find_stray_fence
from domainforge.filters.references import find_reference
from domainforge.filters.refusals import find_refusal_in, is_said_in
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import fold

_OPENING_CHARS = 200

_LEFTOVERS = re.compile(
    r"\[(?:insert|your|name|answer|question|fill)\b[^\]\n]*\]?"
    r"|\{\{|\}\}|\{%|%\}"
    r"|</?(?:answer|question|passage|document|quote)>"
    r"|<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|</s>"
    r"|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{16,}\b",
    IGNORECASE,
)
_LABELS = re.compile(
    r"^[^\w\n]*+(?:question|answer|quote|passage|frage|antwort|zitat|réponse|citation|pregunta"
    r"|respuesta|cita|q|a)\s*\d*\s*:",
    IGNORECASE | MULTILINE,
)


def find_refusal(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find replies that decline, or say that there is no answer, in fourteen languages."""
    return [_refusal(row) for row in rows]


def find_template_leftover(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find words of the prompt: labels, placeholders, fences, "according to the passage"."""
    return [_template_leftover(row) for row in rows]


def _refusal(row: Row) -> Evidence:
    # "I can't ..." is how people begin to ask.
    for text in (row.answer,) if row.given else (row.question, row.answer):
        found = find_refusal_in(straighten(text[:_OPENING_CHARS]), asks=text is row.question)
        if found and not is_said_in(row.passage, found):
            return repr(found)
    return None


def _template_leftover(row: Row) -> Evidence:
    passage = fold(row.passage)
    for text in map(straighten, (row.question, row.answer)):
        label = _LABELS.search(text) if row.kind == "chat" else None
        if label:
            return repr(label.group().strip())
        fence = find_stray_fence(text)
        if fence and "```" not in passage:
            return repr(fence)
        for found in _LEFTOVERS.finditer(text):
            if fold(found.group()) not in passage:
                return repr(found.group())
        reference = find_reference(row, text)
        if reference:
            return repr(reference)
    return None


def straighten(text: str) -> str:
    """Make apostrophes straight, so that one pattern serves both."""
    return text.replace("\u2019", "'").replace("\u02bc", "'")

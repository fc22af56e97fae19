"""Checks of phrases that a teacher writes when it does something else than the task.

What the passage itself says is never held against a row: a manual of prompt templates may say
"[insert name]", a thriller may say "the passage".
"""

import re
from collections.abc import Sequence
from re import IGNORECASE, MULTILINE

from domainforge.filters.refusals import find_refusal_in, is_said_in
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import contains_words, fold

_OPENING_CHARS = 200

_TEXT_NOUN = r"(?P<noun>passage|text|excerpt|paragraph|snippet|extract|article|document|context)"
_REFERENCES = re.compile(
    rf"\b(according to|based on|as (?:mentioned|described|stated) in|from|in) (?:the|this|that)"
    rf" (?:(?:above|given|provided|following) )?{_TEXT_NOUN}s?\b"
    r"|\b(?:the|this) (?:(?:above|given|provided|following) )?"
    r"(?P<bare>passage|excerpt|snippet)\b"
    r"|\b(?:laut|gemäß|nach) (?:dem|diesem) (?P<german>text|abschnitt|auszug|dokument)\b"
    r"|\bim (?:obigen |vorliegenden )?(?P<german_in>text|abschnitt|auszug)\b"
    r"|\b(?:selon|d'après|dans) (?:le|ce|l'|cet) ?(?P<french>texte|passage|extrait)\b"
    r"|\b(?:según|en) (?:el|este) (?P<spanish>texto|pasaje|fragmento|extracto)\b",
    IGNORECASE,
)
_LEFTOVERS = re.compile(
    r"\[(?:insert|your|name|answer|question|fill)\b[^\]\n]*\]?"
    r"|\{\{|\}\}|\{%|%\}"
    r"|</?(?:answer|question|passage|document|quote)>"
    r"|<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|</s>"
    r"|```"
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
        for found in _LEFTOVERS.finditer(text):
            if fold(found.group()) not in passage:
                return repr(found.group())
        for found in _REFERENCES.finditer(text):
            if row.basis == "absent" and found["bare"] is None:
                continue  # "There is nothing about it in the documents" is how to decline
            noun = next(value for value in found.groupdict().values() if value)
            if not contains_words(row.passage, noun):
                return repr(found.group())
    return None


def straighten(text: str) -> str:
    """Make apostrophes straight, so that one pattern serves both."""
    return text.replace("\u2019", "'").replace("\u02bc", "'")

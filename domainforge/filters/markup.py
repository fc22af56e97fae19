"""The check of markup: remains of HTML, JSON, escapes and broken encodings in what should be text.

What the passage has itself is no fault, nor is what stands in code, formulas, tables or answers
that are JSON as a whole.
"""

import re
from collections.abc import Sequence

from domainforge.filters.layout import cut_code, is_code_line, is_json, is_table_line
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import fold

_TAGS = (
    r"div|span|br|hr|strong|em|ul|ol|li|table|thead|tbody|tr|td|th|h[1-6]|img|font|center|small"
    r"|blockquote|pre|code|script|style|html|body|head|title|meta|link|section|article|header"
    r"|footer|nav|button|input|form|label|iframe|details|summary|p|b|i|u|a"
)
_NOISE = (
    ("HTML", rf"</?(?:{_TAGS})(?:\s[^<>\n]{{0,300}})?/?>|<!--|<!doctype"),
    ("HTML entity", r"&(?:amp|nbsp|lt|gt|quot|apos|mdash|ndash|hellip|rsquo|lsquo|#\d{2,6}"
     r"|#x[0-9a-f]{2,6});"),
    # "\n" before a small letter may be a path or a formula.
    ("escape", r"(?:\\[nrt]){2,}|\\[nrt](?=(?-i:[A-Z\s])|$)|\\\"|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}"),
    ("broken character", r"\ufffd|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"),
    # UTF-8 that was read as Windows-1252: an umlaut, a quotation mark.
    ("broken encoding", r"[\u00c2\u00c3][\u0080-\u00bf\u20ac\u2122\u0153\u0178]"
     r"|\u00e2\u20ac[\u0080-\u00bf\u2122\u0153\u009d\u02dc\u201c\u201d]"),
    ("JSON", r"\"(?:answer|question|quote|text|response|output|content)\"\s*:"
     r"|^\s*[{\[]\s*\"[^\"\n]{1,60}\"\s*[:,]|\"\s*\}[\s\],]*$"),
)  # fmt: skip
_FINDERS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _NOISE)
_ANSWER_KEYS = re.compile(r"\s*\{\s*\"(?:answer|question|response|output)\"\s*:", re.IGNORECASE)


def find_markup(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find tags, entities, escapes, JSON and broken characters that the passage doesn't have."""
    return [_markup(row) for row in rows]


def _markup(row: Row) -> Evidence:
    passage = ""
    for text in (row.question, row.answer):
        if is_json(text) and not _ANSWER_KEYS.match(text):
            continue
        plain = _plain(text)
        for kind, pattern in _FINDERS:
            for found in pattern.finditer(plain):
                passage = passage or fold(row.passage)
                if fold(found.group()).strip(" \n\t") not in passage:
                    return f"{kind}: {_around(plain, found)!r}"
    return None


def _plain(text: str) -> str:
    if _ANSWER_KEYS.match(text):
        return text
    lines = cut_code(text).splitlines()
    return "\n".join(line for line in lines if not (is_table_line(line) or _is_code(line)))


def _is_code(line: str) -> bool:
    """Tell code from a line of prose with a tag in it, which has as many signs."""
    return is_code_line(line) and not any(pattern.search(line) for _, pattern in _FINDERS)


def _around(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 20) : found.end() + 20]

"""What of a text is prose, and what is code, table, list or data that the rules of prose miss."""

import json
import re
from functools import lru_cache

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)
_INLINE = re.compile(
    r"`[^`\n]{1,400}`|\$\$[^$]{1,2000}\$\$|\$[^$\n]{1,200}\$|\\\([^\n]{1,200}?\\\)"
)
_INDENTED = re.compile(r"(?: {4}|\t)")
LIST_ITEM = re.compile(r"\s*(?:[-*+\u2022\u2023\u25e6\u25aa\u2013\u2014]|\(?\d{1,3}[.)])\s")
_HEADING = re.compile(r" {0,3}#{1,6}\s")
_QUOTED = re.compile(r"\s*>")
_WITHOUT_SIGNS = str.maketrans("", "", "{}[]=<>;_/\\|&$#@*+()")
_MOST_SIGNS_SHARE = 0.1
# Whole replies of these are answers in a wrapper; of other languages they are code.
_WRAPPERS = frozenset(("", "json", "text", "txt", "plaintext", "markdown", "md"))


def cut_code(text: str) -> str:
    """Return a text without fenced blocks, code and formulas within lines."""
    parts, at, opened = list[str](), 0, ""
    for fence in _FENCE.finditer(text):
        if not opened:
            parts.append(text[at : fence.start()])
            opened = fence[1]
        elif fence[1].startswith(opened) and not fence[2].strip():
            at, opened = fence.end(), ""
    if not opened:
        parts.append(text[at:])
    return _INLINE.sub(" ", "".join(parts))


@lru_cache(maxsize=256)
def prose_lines(text: str) -> tuple[str, ...]:
    """Return the lines of running text; a text that is one JSON value has none."""
    if is_json(text):
        return ()
    return tuple(line for line in cut_code(text).splitlines() if _is_prose(line))


def is_table_line(line: str) -> bool:
    """Tell whether a line is a row of a table: bars or tabs between cells."""
    return line.count("|") >= 2 or line.strip().count("\t") >= 1


def is_heading(line: str) -> bool:
    """Tell whether a line is a Markdown heading."""
    return _HEADING.match(line) is not None


def is_code_line(line: str) -> bool:
    """Tell whether a line looks like a statement of some program, by its signs."""
    signs = len(line) - len(line.translate(_WITHOUT_SIGNS))
    return signs >= 2 and signs >= _MOST_SIGNS_SHARE * len(line.strip())


def is_json(text: str) -> bool:
    """Tell whether a text is one JSON object or list."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def find_stray_fence(text: str) -> str | None:
    """Return a fence that opens nothing, or that a whole answer is wrapped in.

    Code blocks in the midst of an answer, and answers that are a program, are none.
    """
    if "```" not in text:
        return None
    fences = _FENCE.findall(text)
    if len(fences) % 2 or "```" in _FENCE.sub("", text):
        return "```"
    stripped = text.strip()
    wrapped = len(fences) == 2 and stripped.startswith("```") and stripped.endswith("```")
    return f"```{fences[0][1]}" if wrapped and fences[0][1].strip() in _WRAPPERS else None


def _is_prose(line: str) -> bool:
    if not line.strip() or _INDENTED.match(line) or is_table_line(line) or _QUOTED.match(line):
        return False
    return not (LIST_ITEM.match(line) or is_heading(line) or is_code_line(line))

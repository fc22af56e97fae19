"""The structure of Markdown text: the kind of every line, headings, and the tree of sections.

Every scan is linear in the text, whatever stands in it: documents are hostile.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal, NamedTuple

from domainforge.records import Section

LineKind = Literal["blank", "heading", "code", "table", "text"]

LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•▪◦‣]|\(?(?:\d{1,3}|[A-Za-z])[.)])[ \t]")
_NO_SPACE = re.compile(r"\S")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(?=\S)")
_UNDERLINE = re.compile(r" {0,3}(?:(=)={2,}+|-{3,}+)[ \t\r]*+(?:\n|\Z)")
_MAY_BE_HEADING = re.compile(r"^ {0,3}(?:#{1,6}[ \t]|={3}|-{3})", re.MULTILINE)
_FENCE = re.compile(r"^([^\S\n]*)(`{3,}+|~{3,}+)(.*)$", re.MULTILINE)
_MAX_UNDERLINED_CHARS = 120
# A longer line that begins with # is no title that anyone would want above each passage.
_MAX_HEADING_CHARS = 500


class Line(NamedTuple):
    """One line, `text[start:end]` without its line break; an underlined heading has two.

    Attributes:
        level: Of a heading; 1 is the highest.
        title: Of a heading, without markup.
    """

    start: int
    end: int
    kind: LineKind
    level: int = 0
    title: str = ""


def scan_lines(text: str) -> Iterator[Line]:
    """Yield every line with its kind, in order; an unclosed code fence is text."""
    position = 0
    for start, end in _code_blocks(text):
        yield from _plain_lines(text, position, start)
        for line_start, line_end in _line_spans(text, start, end):
            yield Line(line_start, line_end, "code")
        position = end + 1
    yield from _plain_lines(text, position, len(text))


def headings_of(text: str) -> list[Line]:
    """Return the heading lines outside code, in order."""
    if not _MAY_BE_HEADING.search(text):
        return []
    return [line for line in scan_lines(text) if line.kind == "heading"]


def sections_of(text: str) -> tuple[Section, ...]:
    """Return the tree of sections, in the order of their headings.

    A section begins with its heading line and reaches to the next heading of its level or a
    higher one, so sections lie in one another as the headings do. Text above the first heading
    belongs to none.
    """
    headings = headings_of(text)
    ends = [len(text)] * len(headings)
    still_open: list[int] = []
    for index, heading in enumerate(headings):
        while still_open and headings[still_open[-1]].level >= heading.level:
            ends[still_open.pop()] = heading.start
        still_open.append(index)
    return tuple(
        Section(heading.level, heading.title, heading.start, end)
        for heading, end in zip(headings, ends, strict=True)
    )


def plain_heading(title: str) -> str:
    """Strip emphasis, links and anchors from a heading."""
    title = re.sub(r"!?\[([^\[\]]*)\]\([^()]*\)", r"\1", title)
    title = re.sub(r"(?<!\s)\s*\{#[^{}]*\}\s*$", "", title)
    return " ".join(title.replace("**", "").replace("`", "").strip(" *_").split())


def _plain_lines(text: str, start: int, stop: int) -> Iterator[Line]:
    """Yield the lines between code blocks."""
    after_text, underline = False, -1
    for line_start, line_end in _line_spans(text, start, stop):
        if line_start == underline:
            continue
        line = _plain_line(text, line_start, line_end)
        if line.kind == "text" and not after_text:
            heading = _underlined(text, line_start, line_end, stop)
            if heading:
                line, underline = heading, line_end + 1
        after_text = line.kind == "text"
        yield line


def _plain_line(text: str, start: int, end: int) -> Line:
    first = _NO_SPACE.search(text, start, end)
    if first is None:
        return Line(start, end, "blank")
    if first[0] == "|":
        return Line(start, end, "table")
    if first[0] == "#" and end - start <= _MAX_HEADING_CHARS:
        mark = _HEADING.match(text, start, end)
        title = plain_heading(_without_closing(text[mark.end() : end])) if mark else ""
        if mark and title:
            return Line(start, end, "heading", len(mark[1]), title)
    return Line(start, end, "text")


def _without_closing(title: str) -> str:
    """Leave out the `##` that may close a heading line."""
    title = title.strip()
    opened = title.rstrip("#")
    return opened if opened.strip() and opened[-1] in " \t" else title


def _underlined(text: str, start: int, end: int, stop: int) -> Line | None:
    """Return the heading that this line is if the next one underlines it."""
    if end - start > _MAX_UNDERLINED_CHARS or LIST_ITEM.match(text, start, end):
        return None
    mark = _UNDERLINE.match(text, end + 1, stop)
    title = plain_heading(text[start:end]) if mark else ""
    if not mark or not title:
        return None
    under_end = mark.end() - mark[0].endswith("\n")
    return Line(start, under_end, "heading", 1 if mark[1] else 2, title)


def _code_blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of fenced code, both fences included."""
    fences = list(_FENCE.finditer(text)) if "```" in text or "~~~" in text else []
    closing = {mark: _Closing(mark, fences) for mark in "`~"} if fences else {}
    position = 0
    for fence in fences:
        if fence.start() < position or not _opens(fence):
            continue
        end = closing[fence[2][0]].find(fence)
        if end is not None:
            yield fence.start(), end
            position = end + 1


def _opens(fence: "re.Match[str]") -> bool:
    # Backticks after backticks on one line are code in the line.
    return fence[1] in ("", " ", "  ", "   ") and not (fence[2][0] == "`" and "`" in fence[3])


class _Closing:
    """The lines that can close a block of one mark, found in one pass for all that open."""

    def __init__(self, mark: str, fences: "list[re.Match[str]]") -> None:
        lines = [fence for fence in fences if fence[2][0] == mark and not fence[3].strip()]
        self._starts = [line.start() for line in lines]
        self._ends = [line.end() for line in lines]
        self._lengths = [len(line[2]) for line in lines]
        # The longest mark from here on: tells at once that nothing closes a block.
        self._longest = list(self._lengths)
        for index in range(len(lines) - 2, -1, -1):
            self._longest[index] = max(self._longest[index], self._longest[index + 1])

    def find(self, opening: "re.Match[str]") -> int | None:
        """Return the end of the first line that closes this block."""
        length = len(opening[2])
        index = bisect_left(self._starts, opening.end())
        if index == len(self._starts) or self._longest[index] < length:
            return None
        # What is passed over here lies in the block and is never looked at again.
        while self._lengths[index] < length:
            index += 1
        return self._ends[index]


def _line_spans(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    while start < stop:
        end = text.find("\n", start, stop)
        end = stop if end < 0 else end
        yield start, end
        start = end + 1

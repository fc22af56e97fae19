"""Sentences of Markdown text, with their spans."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from domainforge.markdown import LIST_ITEM, Line, scan_lines

Span = tuple[int, int]

_OPENING = "\"'\u201c\u2018\u00ab(\\[*_"
_CLOSING = "\"'\u201d\u2019\u00bb)\\]*_"
_WIDE_STOPS = "\u3002\uff01\uff1f"  # of Chinese and Japanese: no space follows them
_SENTENCE_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{_CLOSING}]*+(?=\s)"
    rf"|[{_WIDE_STOPS}]++[{_CLOSING}\u300d\u300f\uff09]*+"
)
_LAST_WORD = re.compile(rf"(?:(?<=\s)|^)[{_OPENING}]*(\S+)$")
_NEXT = re.compile(rf"\s*[{_OPENING}]*(\S)")
_LIST_NUMBER = re.compile(r"\s*(?:[-*+\u2022]\s+)?\(?(?:\d{1,3}|[A-Za-z])")
_ABBREVIATION = re.compile(
    r"mr|mrs|ms|dr|prof|st|rev|gen|col|sgt|capt|lt|hon|sen|rep|gov|pres|messrs|mt|vs|cf|viz|al"
    r"|approx|ca|est|dept|inc|ltd|co|corp|jr|sr|bzw|(?:[^\W\d_]\.)*[^\W\d_]",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(
    r"nos?|nr|figs?|sec|chap?|vols?|pp?|art|eq|tab|para|ed"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec",
    re.IGNORECASE,
)
# More than any word before a full stop, less than a search through a long text would cost.
_LOOK_BACK_CHARS = 60


def split_sentences(text: str) -> list[Span]:
    """Return the spans of the sentences, in order, without the whitespace between them.

    A heading, a table row and a whole fenced code block count as one each; a list item starts a
    new one. Abbreviations, initials, decimals and list numbers end none. Every character that is
    no whitespace lies in exactly one span.
    """
    spans: list[Span] = []
    for kind, lines in _runs(scan_lines(text), text):
        if kind == "text":
            spans += _prose_sentences(text, lines[0].start, lines[-1].end)
        elif kind == "code":
            spans.append((lines[0].start, lines[-1].end))
        else:
            spans += [(line.start, line.end) for line in lines]
    return [trim_span(text, span) for span in spans]


def _prose_sentences(text: str, start: int, end: int) -> Iterator[Span]:
    begin = start
    for match in _SENTENCE_END.finditer(text, start, end):
        after = _NEXT.match(text, match.end(), end)
        if after is None:
            break
        before = text[max(begin, match.start() - _LOOK_BACK_CHARS) : match.start()]
        if _ends_sentence(before, match[0], after[1]):
            yield begin, match.end()
            begin = match.end()
    if text[begin:end].strip():
        yield begin, end


def _ends_sentence(before: str, mark: str, following: str) -> bool:
    if mark[0] in _WIDE_STOPS:
        return True
    if following.islower() or _LIST_NUMBER.fullmatch(before):
        return False
    if mark != ".":
        return True
    found = _LAST_WORD.search(before)
    word = found[1] if found else ""
    if _BEFORE_NUMBER.fullmatch(word):
        return not following.isdigit()
    return word.lower() in ("i", "a.m", "p.m") or not _ABBREVIATION.fullmatch(word)


def _runs(lines: Iterable[Line], text: str) -> Iterator[tuple[str, list[Line]]]:
    """Group neighbouring lines of one kind; a list item starts a new group of text."""
    for kind, group in groupby(lines, key=lambda line: line.kind):
        if kind == "blank":
            continue
        if kind != "text":
            yield kind, list(group)
            continue
        run: list[Line] = []
        for line in group:
            if run and LIST_ITEM.match(text, line.start, line.end):
                yield kind, run
                run = []
            run.append(line)
        yield kind, run


def trim_span(text: str, span: Span) -> Span:
    """Leave out whitespace at both ends; of nothing but whitespace, an empty span is left."""
    start, end = span
    passage = text[start:end]
    lead = len(passage) - len(passage.lstrip())
    return start + lead, start + max(len(passage.rstrip()), lead)

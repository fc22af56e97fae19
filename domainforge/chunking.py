"""Documents to chunks of bounded tokens, on structure first, with exact spans; and sentences.

Sections (by Markdown heading) are never mixed. Within one, blocks are kept whole where they fit:
paragraphs, lists, tables, fenced code. Longer ones are cut at sentences, then at lines, words and
at last characters. A heading line is in `Chunk.headings` and not in the text.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from domainforge.records import Chunk, Document
from domainforge.sources.cleaning import plain_heading

Encode = Callable[[str], Sequence[int]]
Span = tuple[int, int]

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*?)(?:[ \t]+#+)?[ \t\r]*")
_UNDERLINE = re.compile(r" {0,3}(={3,}|-{3,})[ \t\r]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+•▪◦‣]|\(?(?:\d{1,3}|[A-Za-z])[.)])[ \t]")
_MAX_UNDERLINED_CHARS = 120

_OPENING = "\"'\u201c\u2018\u00ab(\\[*_"
_CLOSING = "\"'\u201d\u2019\u00bb)\\]*_"
_WIDE_STOPS = "\u3002\uff01\uff1f"  # of Chinese and Japanese: no space follows them
_SENTENCE_END = re.compile(
    rf"[.!?\u2026]+[{_CLOSING}]*(?=\s)|[{_WIDE_STOPS}]+[{_CLOSING}\u300d\u300f\uff09]*"
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


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    kind: str  # blank, heading, code, table, text
    level: int = 0
    title: str = ""


@dataclass(frozen=True)
class _Section:
    path: tuple[str, ...]
    lines: Sequence[_Line]


def chunk_document(
    document: Document, encode: Encode, max_tokens: int, min_tokens: int
) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens` tokens.

    The chunks are in order, don't overlap, and `document.text[start:end] == text`. Every
    character that is no whitespace is in one of them, but for heading lines: a heading is in the
    `headings` of what stands under it; one with nothing under it is text of the section above.
    A heading over the whole document that repeats its title is left out of `headings`.

    Args:
        document: The document.
        encode: Text to token ids, without special tokens.
        max_tokens: Upper bound for every chunk; a single character is never cut.
        min_tokens: A smaller chunk is merged with its neighbour in the section if both fit.
    """
    text, document_id = document.text, document.id

    @lru_cache(maxsize=8192)
    def count(passage: str) -> int:
        return len(encode(passage))

    chunks: list[Chunk] = []
    for section in _sections(document):
        for start, end in _pack(text, section.lines, count, max_tokens, min_tokens):
            passage = text[start:end]
            chunks.append(
                Chunk(
                    document_id=document_id,
                    uri=document.uri,
                    title=document.title,
                    headings=section.path,
                    index=len(chunks),
                    start=start,
                    end=end,
                    text=passage,
                    tokens=count(passage),
                )
            )
    return chunks


def split_sentences(text: str) -> list[Span]:
    """Return the spans of the sentences, in order, without the whitespace between them.

    A heading, a table row and a whole fenced code block count as one each; a list item starts a
    new one. Abbreviations, initials, decimals and list numbers end none. Every character that is
    no whitespace lies in exactly one span.
    """
    spans: list[Span] = []
    for kind, lines in _runs(_scan(text), text):
        if kind == "text":
            spans += _prose_sentences(text, lines[0].start, lines[-1].end)
        elif kind == "code":
            spans.append((lines[0].start, lines[-1].end))
        else:
            spans += [(line.start, line.end) for line in lines]
    return [_trim(text, span) for span in spans]


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


def _scan(text: str) -> list[_Line]:
    """Tell the kind of every line; an unclosed code fence is text."""
    spans = []
    start = 0
    for content in text.split("\n"):
        spans.append((start, start + len(content)))
        start += len(content) + 1
    lines: list[_Line] = []
    unclosed: set[str] = set()
    index = 0
    while index < len(spans):
        start, end = spans[index]
        close = _closing_fence(text, spans, index, unclosed)
        if close is not None:
            lines += [_Line(*span, "code") for span in spans[index : close + 1]]
            index = close + 1
            continue
        line = _plain_line(text, start, end)
        if line.kind == "text" and (not lines or lines[-1].kind != "text"):
            under = spans[index + 1] if index + 1 < len(spans) else (0, 0)
            mark = _UNDERLINE.fullmatch(text, *under)
            if mark and end - start <= _MAX_UNDERLINED_CHARS and not _ITEM.match(text, start, end):
                title = plain_heading(text[start:end])
                if title:
                    line = _Line(start, under[1], "heading", 1 if "=" in mark[1] else 2, title)
                    index += 1
        lines.append(line)
        index += 1
    return lines


def _plain_line(text: str, start: int, end: int) -> _Line:
    content = text[start:end].strip()
    if not content:
        return _Line(start, end, "blank")
    heading = _HEADING.fullmatch(text, start, end)
    if heading and plain_heading(heading[2]):
        return _Line(start, end, "heading", len(heading[1]), plain_heading(heading[2]))
    return _Line(start, end, "table" if content.startswith("|") else "text")


def _closing_fence(text: str, spans: Sequence[Span], index: int, unclosed: set[str]) -> int | None:
    """Return the index of the line that closes the fence that opens here, if one does."""
    opening = _FENCE.match(text, *spans[index])
    if opening is None or opening[1] in unclosed:
        return None
    for later in range(index + 1, len(spans)):
        line = text[slice(*spans[later])].strip()
        if line.startswith(opening[1]) and not line.strip(line[0]):
            return later
    unclosed.add(opening[1])
    return None


def _runs(lines: Sequence[_Line], text: str) -> Iterator[tuple[str, list[_Line]]]:
    """Group neighbouring lines of one kind; a list item starts a new group of text."""
    for kind, group in groupby(lines, key=lambda line: line.kind):
        if kind == "blank":
            continue
        if kind != "text":
            yield kind, list(group)
            continue
        run: list[_Line] = []
        for line in group:
            if run and _ITEM.match(text, line.start, line.end):
                yield kind, run
                run = []
            run.append(line)
        yield kind, run


def _sections(document: Document) -> list[_Section]:
    """Cut a document at its headings; each section knows the headings above it."""
    lines = _scan(document.text)
    sections: list[_Section] = []
    open_headings: list[_Line] = []
    body: list[_Line] = []

    def close(next_level: int) -> None:
        path = tuple(heading.title for heading in open_headings)
        filled = any(line.kind != "blank" for line in body)
        if filled:
            sections.append(_Section(path, list(body)))
        elif open_headings and next_level <= open_headings[-1].level:
            # Nothing stands under this heading, so it is text itself.
            _add_bare_heading(sections, path[:-1], open_headings[-1])

    for line in lines:
        if line.kind != "heading":
            body.append(line)
            continue
        close(line.level)
        body.clear()
        while open_headings and open_headings[-1].level >= line.level:
            open_headings.pop()
        open_headings.append(line)
    close(0)
    return _without_title(sections, lines, document.title)


def _add_bare_heading(sections: list[_Section], path: tuple[str, ...], line: _Line) -> None:
    """Add a heading as text; several in a row make one section."""
    text_line = replace(line, kind="text")
    last = sections[-1] if sections else None
    if last and last.path == path and all(known.level for known in last.lines):
        sections[-1] = _Section(path, [*last.lines, text_line])
    else:
        sections.append(_Section(path, [text_line]))


def _without_title(sections: list[_Section], lines: Sequence[_Line], title: str) -> list[_Section]:
    """Leave out what `Chunk.title` says already: a top heading alone, or without own text."""
    headings = [line for line in lines if line.kind == "heading"]
    if not headings or headings[0].title.casefold() != title.strip().casefold():
        return sections
    first = headings[0]
    if sections and sections[0].lines[0].start == first.start:
        rest = sections[0].lines[1:]
        return [_Section(sections[0].path, rest)][: len(rest)] + sections[1:]
    highest = min(heading.level for heading in headings)
    if first.level > highest or sum(h.level == highest for h in headings) > 1:
        return sections
    return [_Section(s.path[1:], s.lines) if s.path[:1] == (first.title,) else s for s in sections]


def _pack(
    text: str,
    lines: Sequence[_Line],
    count: Callable[[str], int],
    max_tokens: int,
    min_tokens: int,
) -> list[Span]:
    """Fill chunks with neighbouring pieces of one section."""
    groups: list[list[Span]] = []
    room = 0
    for start, end in _pieces(text, lines, count, max_tokens):
        # One token more for the line break between two pieces.
        tokens = count(text[start:end]) + 1
        if not groups or tokens > room:
            groups.append([])
            room = max_tokens + 1
        groups[-1].append((start, end))
        room -= tokens
    spans = [span for group in groups for span in _fitting(text, group, count, max_tokens)]
    return _merge_small(text, spans, count, max_tokens, min_tokens)


def _fitting(
    text: str, group: Sequence[Span], count: Callable[[str], int], max_tokens: int
) -> list[Span]:
    """Join a group to one span; halve it where the sum of its counts was too hopeful."""
    span = (group[0][0], group[-1][1])
    if len(group) == 1 or count(text[slice(*span)]) <= max_tokens:
        return [span]
    half = len(group) // 2
    first = _fitting(text, group[:half], count, max_tokens)
    return first + _fitting(text, group[half:], count, max_tokens)


def _merge_small(
    text: str,
    spans: Sequence[Span],
    count: Callable[[str], int],
    max_tokens: int,
    min_tokens: int,
) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        if merged:
            both = (merged[-1][0], span[1])
            small = min(count(text[slice(*merged[-1])]), count(text[slice(*span)])) < min_tokens
            if small and count(text[slice(*both)]) <= max_tokens:
                merged[-1] = both
                continue
        merged.append(span)
    return merged


def _pieces(
    text: str, lines: Sequence[_Line], count: Callable[[str], int], max_tokens: int
) -> Iterator[Span]:
    """Yield the largest pieces of structure that fit: blocks, else sentences, else less."""
    for kind, group in groupby(lines, key=lambda line: line.kind):
        block = list(group)
        span = _trim(text, (block[0].start, block[-1].end))
        if kind == "blank":
            continue
        if count(text[slice(*span)]) <= max_tokens:
            yield span
            continue
        if kind == "code":
            yield from _cut(text, span, count, max_tokens)
            continue
        for start, end in split_sentences(text[slice(*span)]):
            sentence = (span[0] + start, span[0] + end)
            if count(text[slice(*sentence)]) <= max_tokens:
                yield sentence
            else:
                yield from _cut(text, sentence, count, max_tokens)


def _cut(text: str, span: Span, count: Callable[[str], int], max_tokens: int) -> Iterator[Span]:
    """Cut what has no sentences (code, long table rows, endless words) at lines, words, letters."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(
        ["\n\n", "\n", " ", ""],
        chunk_size=max_tokens,
        chunk_overlap=0,
        length_function=count,
        add_start_index=True,
    )
    for piece in splitter.create_documents([text[slice(*span)]]):
        start = span[0] + int(piece.metadata["start_index"])
        part = (start, start + len(piece.page_content))
        # The splitter adds up counts of parts, and a tokenizer may need more for the whole.
        if count(piece.page_content) > max_tokens > 1 and len(piece.page_content) > 1:
            yield from _cut(text, part, count, max_tokens // 2)
        else:
            yield part


def _trim(text: str, span: Span) -> Span:
    start, end = span
    passage = text[start:end]
    lead = len(passage) - len(passage.lstrip())
    return start + lead, start + max(len(passage.rstrip()), lead)

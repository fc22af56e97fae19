"""Documents to chunks of bounded tokens, on structure first, with exact spans.

Sections (by Markdown heading) are never mixed. Within one, blocks are kept whole where they fit:
paragraphs, lists, tables, fenced code. Longer ones are cut at sentences, then at lines, words and
at last characters. A heading line is in `Chunk.headings` and not in the text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from domainforge.markdown import Line, scan_lines
from domainforge.records import Chunk, Document
from domainforge.sentences import Span, split_sentences, trim_span
from domainforge.token_counts import Encode, EncodedCounts, SpanCounts, TokenCounter

_TABLE_RULE = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|?)+[ \t\r]*")
_NO_SPACE = re.compile(r"\S")
# A table's head is repeated beside the passage, so it may not be a passage itself.
_MAX_CONTEXT_SHARE = 0.5
# Estimates are off by a token or two where a span begins inside a word of the tokenizer.
_NEAR_TOKENS = 4


@dataclass(frozen=True)
class _Section:
    path: tuple[str, ...]
    lines: list[Line]


class _Piece(NamedTuple):
    """A part of a section; `context` is the head of the table that it is cut from."""

    start: int
    end: int
    context: str = ""


def chunk_document(
    document: Document, encode: Encode | TokenCounter, max_tokens: int, min_tokens: int
) -> list[Chunk]:
    """Cut a document into chunks of at most `max_tokens` tokens.

    The chunks are in order, don't overlap, and `document.text[start:end] == text`. Every
    character that is no whitespace is in one of them, but for heading lines: a heading is in the
    `headings` of what stands under it; one with nothing under it is text of the section above.
    A heading over the whole document that repeats its title is left out of `headings`. Where a
    table is cut, its head is the `context` of the later parts; that counts for no tokens.

    Args:
        document: The document.
        encode: Text to token ids, without special tokens; a counter is much faster.
        max_tokens: Upper bound for every chunk; a single character is never cut.
        min_tokens: A smaller chunk is merged with its neighbour in the section if both fit.
    """
    text, document_id = document.text, document.id
    sections = _sections(document)
    regions = [trim_span(text, (s.lines[0].start, s.lines[-1].end)) for s in sections]
    counts: SpanCounts
    if isinstance(encode, TokenCounter):
        counts = encode.counts(text, regions, max_tokens)
    else:
        counts = EncodedCounts(text, encode)
    cutter = _Cutter(text, counts, max_tokens, min_tokens)
    chunks: list[Chunk] = []
    for section in sections:
        for piece in cutter.pack(section.lines):
            chunks.append(
                Chunk(
                    document_id=document_id,
                    uri=document.uri,
                    title=document.title,
                    headings=section.path,
                    index=len(chunks),
                    start=piece.start,
                    end=piece.end,
                    text=text[piece.start : piece.end],
                    tokens=counts.exact(piece.start, piece.end),
                    context=piece.context,
                )
            )
    return chunks


def _sections(document: Document) -> list[_Section]:
    """Cut a document at its headings; each section knows the headings above it."""
    lines = list(scan_lines(document.text))
    sections: list[_Section] = []
    open_headings: list[Line] = []
    body: list[Line] = []

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


def _add_bare_heading(sections: list[_Section], path: tuple[str, ...], line: Line) -> None:
    """Add a heading as text; several in a row make one section."""
    text_line = line._replace(kind="text")
    last = sections[-1] if sections else None
    if last and last.path == path and last.lines[0].level:
        last.lines.append(text_line)
    else:
        sections.append(_Section(path, [text_line]))


def _without_title(sections: list[_Section], lines: Sequence[Line], title: str) -> list[_Section]:
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


@dataclass(frozen=True)
class _Cutter:
    """Cuts the sections of one text."""

    text: str
    counts: SpanCounts
    max_tokens: int
    min_tokens: int

    def pack(self, lines: Iterable[Line]) -> Iterator[_Piece]:
        """Fill chunks with neighbouring pieces of one section; small ones join a neighbour."""
        last: _Piece | None = None
        for group in self._groups(lines):
            for piece in self._fitting(group):
                if last and self._joins(last, piece):
                    last = last._replace(end=piece.end)
                    continue
                if last:
                    yield last
                last = piece
        if last:
            yield last

    def _groups(self, lines: Iterable[Line]) -> Iterator[list[_Piece]]:
        group: list[_Piece] = []
        room = 0
        for piece in self._pieces(lines):
            # One token more for the line break between two pieces.
            tokens = self.counts.estimate(piece.start, piece.end) + 1
            if group and tokens > room:
                yield group
                group = []
            if not group:
                room = self.max_tokens + 1
            group.append(piece)
            room -= tokens
        if group:
            yield group

    def _fitting(self, group: Sequence[_Piece]) -> Iterator[_Piece]:
        """Join a group to one piece; halve it where the sum of its counts was too hopeful."""
        first, last = group[0], group[-1]
        if self.counts.exact(first.start, last.end) <= self.max_tokens:
            yield first._replace(end=last.end)
        elif len(group) > 1:
            half = len(group) // 2
            yield from self._fitting(group[:half])
            yield from self._fitting(group[half:])
        else:
            for start, end in self._cut((first.start, first.end)):
                yield _Piece(start, end, first.context)

    def _joins(self, one: _Piece, other: _Piece) -> bool:
        tokens = [self.counts.exact(piece.start, piece.end) for piece in (one, other)]
        if min(tokens) >= self.min_tokens or sum(tokens) > self.max_tokens + _NEAR_TOKENS:
            return False
        return self.counts.exact(one.start, other.end) <= self.max_tokens

    def _pieces(self, lines: Iterable[Line]) -> Iterator[_Piece]:
        """Yield the largest pieces of structure that fit: blocks, else sentences, else less."""
        for kind, group in groupby(lines, key=lambda line: line.kind):
            if kind == "blank":
                continue
            block = list(group)
            span = trim_span(self.text, (block[0].start, block[-1].end))
            if self._fits(span):
                yield _Piece(*span)
            elif kind == "code":
                yield from (_Piece(*part) for part in self._cut(span))
            else:
                context = self._table_head(block) if kind == "table" else ""
                yield from self._sentences(span, context)

    def _sentences(self, span: Span, context: str) -> Iterator[_Piece]:
        offset = span[0]
        # Neither the head nor its rule is without it.
        after_head = offset + len(context)
        for start, end in split_sentences(self.text[slice(*span)]):
            sentence = (offset + start, offset + end)
            own = context if sentence[0] > after_head else ""
            parts = [sentence] if self._fits(sentence) else self._cut(sentence)
            yield from (_Piece(*part, own) for part in parts)

    def _table_head(self, rows: Sequence[Line]) -> str:
        """Return the head of a table and the rule under it, where it has one of bearable size."""
        if len(rows) < 3 or not _TABLE_RULE.fullmatch(self.text, rows[1].start, rows[1].end):
            return ""
        span = trim_span(self.text, (rows[0].start, rows[1].end))
        small = self.counts.estimate(*span) <= self.max_tokens * _MAX_CONTEXT_SHARE
        return self.text[slice(*span)] if small else ""

    def _fits(self, span: Span) -> bool:
        tokens = self.counts.estimate(*span)
        if abs(tokens - self.max_tokens) <= _NEAR_TOKENS:
            tokens = self.counts.exact(*span)
        return tokens <= self.max_tokens

    def _cut(self, span: Span) -> Iterator[Span]:
        """Cut what has no sentences (code, long rows, endless words) at lines, words, letters.

        Unlike LangChain's splitter this looks no further than what fits, so that a line of 50 MB
        is cut in linear time.
        """
        start, end = span
        while start < end:
            stop = self._stop(start, end)
            yield trim_span(self.text, (start, stop))
            following = _NO_SPACE.search(self.text, stop, end)
            start = following.start() if following else end

    def _stop(self, start: int, end: int) -> int:
        """Return where the part that begins at `start` is to end."""
        limit, stop = self.max_tokens, end + 1
        while True:
            furthest = self._furthest(start, min(end, stop - 1), limit)
            stop = end if furthest == end else _break_before(self.text, start, furthest)
            tokens = self.counts.exact(*trim_span(self.text, (start, stop)))
            if tokens <= self.max_tokens or stop == start + 1:
                return stop
            limit = max(1, limit - (tokens - self.max_tokens))

    def _furthest(self, start: int, end: int, max_tokens: int) -> int:
        """Return how far one can go from `start` with so many tokens, one character at least."""
        step = 4 * max_tokens
        low, high = start + 1, min(start + step, end)
        while high < end and self.counts.estimate(start, high) <= max_tokens:
            step *= 2
            low, high = high, min(start + step, end)
        if self.counts.estimate(start, high) <= max_tokens:
            return high
        while high - low > 1:
            middle = (low + high) // 2
            if self.counts.estimate(start, middle) <= max_tokens:
                low = middle
            else:
                high = middle
        return low


def _break_before(text: str, start: int, stop: int) -> int:
    """Return where to cut before `stop`: a blank line not too far back, else a line, a word."""
    if text[stop].isspace():
        word = stop
    else:
        word = max(text.rfind(mark, start, stop) for mark in (" ", "\t", "\n"))
    line = text.rfind("\n", start, stop + 1)
    blank = text.rfind("\n\n", (start + stop) // 2, stop + 1)
    return next((found for found in (blank, line, word) if found > start), stop)

"""Documents to chunks of bounded tokens, on structure first, with exact spans; and sentences.

Sections (by Markdown heading) are never mixed. Within one, blocks are kept whole where they fit:
paragraphs, lists, tables, fenced code. Longer ones are cut at sentences, then at lines, words and
at last characters. A heading line is in `Chunk.headings` and not in the text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from domainforge.markdown import Line, scan_lines
from domainforge.records import Chunk, Document
from domainforge.sentences import Span, split_sentences, trim_span

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class _Section:
    path: tuple[str, ...]
    lines: Sequence[Line]


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
    if last and last.path == path and all(known.level for known in last.lines):
        sections[-1] = _Section(path, [*last.lines, text_line])
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


def _pack(
    text: str,
    lines: Sequence[Line],
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
    text: str, lines: Sequence[Line], count: Callable[[str], int], max_tokens: int
) -> Iterator[Span]:
    """Yield the largest pieces of structure that fit: blocks, else sentences, else less."""
    for kind, group in groupby(lines, key=lambda line: line.kind):
        block = list(group)
        span = trim_span(text, (block[0].start, block[-1].end))
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

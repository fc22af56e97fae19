"""Pages of a PDF to Markdown: headings, paragraphs, lists and tables, across page breaks."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.pdf_page import BULLETS, Piece, Row, Rules, in_reading_order, rows_of
from domainforge.sources.kinds.pdf_tables import table_at

# Rows at the top and at the bottom of a page that may be its header and footer.
_EDGE_ROWS = 2
_MIN_PAGES_TO_COMPARE = 3
_MIN_FULL_CHARS = 30
_MAX_PARAGRAPH_CHARS = 20_000
_MAX_WORD_CHARS = 60
_MAX_HEADING_CHARS = 120
_MAX_HEADINGS_SHARE = 0.3
_HEADING_SIZE = 1.15
_ITEM = re.compile(rf"(?:[-\u2014{BULLETS}]|\(?\w{{1,3}}[.)])\s")
_BULLET = re.compile(rf"[{BULLETS}]\s+")
_LETTER_SPACED = re.compile(r"(?<!\S)(?:[^\W\d_] ){3,}[^\W\d_](?!\S)")
_LEADERS = re.compile(r"\s*(?:\.\s?){4,}\s*")
_HYPHENATED = re.compile(r"\w-\Z")


@dataclass(frozen=True)
class PdfPage:
    """What stands on one page.

    Attributes:
        text: Its text where its layout is not to be read from the pieces (right-to-left, OCR).
    """

    pieces: tuple[Piece, ...] = ()
    rules: Rules = field(default_factory=Rules)
    text: str | None = None


@dataclass
class _Line:
    """A line of the result while it grows; `full`: its last row was filled to the margin."""

    text: str
    kind: str = "text"
    full: bool = False
    joined: bool = False


def pages_to_markdown(pages: Sequence[PdfPage], outline: Mapping[str, int]) -> str:
    """Write all pages as one Markdown text.

    Args:
        pages: In order.
        outline: Titles of the PDF's own outline, as `outline_key` writes them, to their depth.
    """
    rows = _without_repeats([rows_of(page.pieces) for page in pages])
    sizes = _heading_sizes(rows)
    words = _words(rows)
    lines: list[_Line] = []
    for page, kept in zip(pages, rows, strict=True):
        if page.text is not None:
            lines += [_Line(line) for line in clean_text(page.text).split("\n")]
            continue
        pieces = [phrase for row in kept for phrase in row.phrases]
        for region in in_reading_order(pieces, page.rules):
            for line in _region_lines(rows_of(region), page.rules, sizes, outline, words):
                _append(lines, line, words)
    return clean_text("\n".join(_spaced(lines)))


def outline_key(title: str) -> str:
    """Return what a title in the outline and the heading on the page have in common."""
    return re.sub(r"^[\d.]+(?=[^\d.])|\W+", "", clean_text(title).casefold())


def _region_lines(
    rows: Sequence[Row],
    rules: Rules,
    sizes: Mapping[float, int],
    outline: Mapping[str, int],
    words: set[str],
) -> Iterator[_Line]:
    margins = _Margins(rows)
    index = 0
    while index < len(rows):
        row = rows[index]
        table = table_at(rows, index, rules) if len(row.phrases) > 1 else None
        if table is not None:
            yield _Line(table.markdown, "block")
            index += table.rows
            continue
        following = rows[index + 1] if index + 1 < len(rows) else None
        text = _row_text(row)
        level = _level(row, text, sizes, outline)
        full = level is None and margins.is_full(row, following)
        if index and _apart(rows[index - 1], row, margins.gap):
            yield _Line("", "gap")
        yield _Line(text if level is None else "#" * level + " " + text, _kind(level), full)
        index += 1


class _Margins:
    """Where the rows of a region usually end, and how far they stand apart."""

    def __init__(self, rows: Sequence[Row]) -> None:
        gaps = [after.top - row.bottom for row, after in pairwise(rows)]
        self.gap = median(gaps) if gaps else 0.0
        weighted = sorted((row.right, len(row.text)) for row in rows)
        left = sum(chars for _, chars in weighted) / 2
        self.right = 0.0
        for right, chars in weighted:
            self.right = right
            left -= chars
            if left <= 0:
                break

    def is_full(self, row: Row, following: Row | None) -> bool:
        """Tell whether the next word would not have fitted into the row."""
        text = row.text
        if len(text) < _MIN_FULL_CHARS or not _is_prose(text):
            return False
        if following is None:
            return row.right > self.right - 3 * row.size
        if abs(following.size - row.size) > 0.1 * row.size or following.bold != row.bold:
            return row.right > self.right - 0.5 * row.size
        first = following.text.split(" ", 1)[0]
        width = (following.phrases[0].right - following.left) / max(
            len(following.phrases[0].text), 1
        )
        indented = following.left > row.left + row.size and row.left < following.left - 5
        fits = row.right + (len(first) + 1) * width <= self.right
        return not fits and not (indented and text.endswith((".", "!", "?", ":")))


def _append(lines: list[_Line], line: _Line, words: set[str]) -> None:
    """Add a line, or join it to the last one that it continues."""
    item = bool(_ITEM.match(line.text))
    if item and len(lines) > 1 and lines[-1].kind == "gap" and _ITEM.match(lines[-2].text):
        lines.pop()  # Items of one list stay together.
    last = lines[-1] if lines else None
    if line.kind == "gap":
        if last is not None and not last.full:
            lines.append(line)
        return
    if last is None or last.kind != "text" or line.kind != "text" or not last.text:
        lines.append(line)
        return
    if len(last.text) > _MAX_PARAGRAPH_CHARS:
        last.full = False  # Joining on would copy it for every line.
    hyphen = bool(_HYPHENATED.search(last.text[-2:])) and line.text[:1].isalpha()
    cut = hyphen and (last.full or line.text[:1].islower())
    if cut or (last.full and not item):
        last.text = _join(last.text, line.text, cut, words)
        last.full, last.joined = line.full, True
    else:
        lines.append(line)


def _spaced(lines: Sequence[_Line]) -> Iterator[str]:
    """Put blank lines around headings, tables and paragraphs."""
    for before, line in zip([None, *lines], lines, strict=False):
        item = bool(_ITEM.match(line.text))
        apart = line.kind != "text" or (line.joined and not item)
        if before is not None and (apart or before.kind != "text" or (before.joined and not item)):
            yield ""
        yield _BULLET.sub("- ", line.text, count=1) if item else line.text


def _join(text: str, following: str, cut: bool, words: set[str]) -> str:
    if not cut:
        return f"{text} {following.lstrip()}"
    left = re.search(r"\w+(?=-\Z)", text[-_MAX_WORD_CHARS:])
    right = re.match(r"\w+", following)
    pair = (left[0] if left else "", right[0] if right else "")
    known = f"{pair[0]}-{pair[1]}".lower() in words and "".join(pair).lower() not in words
    keep = known or not following[:1].islower()
    return (text if keep else text[:-1]) + following.lstrip()


def _row_text(row: Row) -> str:
    return _LEADERS.sub(" ... ", _LETTER_SPACED.sub(lambda m: m[0].replace(" ", ""), row.text))


def _kind(level: int | None) -> str:
    return "text" if level is None else "heading"


def _apart(above: Row, row: Row, gap: float) -> bool:
    return row.top - above.bottom > max(gap, 0) + 0.5 * row.size


def _level(
    row: Row, text: str, sizes: Mapping[float, int], outline: Mapping[str, int]
) -> int | None:
    """Return the level of a heading, by the outline or else by its type size."""
    if len(text) > _MAX_HEADING_CHARS or sum(map(str.isalpha, text)) < 0.5 * len(text):
        return None
    known = outline.get(outline_key(text))
    if known is not None and (row.bold or row.size >= min(sizes, default=0)):
        return min(known, 6)
    return sizes.get(_rounded(row.size))


def _heading_sizes(pages: Sequence[Sequence[Row]]) -> dict[float, int]:
    """Map type sizes well above that of the body to heading levels."""
    chars: Counter[float] = Counter()
    for row in (row for rows in pages for row in rows):
        chars[_rounded(row.size)] += len(row.text)
    if len(chars) < 2:
        return {}
    body = chars.most_common(1)[0][0]
    above = sorted((size for size in chars if size >= _HEADING_SIZE * body), reverse=True)
    while sum(chars[size] for size in above) > _MAX_HEADINGS_SHARE * chars.total():
        above.pop()
    return {size: min(level, 6) for level, size in enumerate(above, 1)}


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _without_repeats(pages: Sequence[list[Row]]) -> list[list[Row]]:
    """Leave out edge rows that most pages share; digits count as equal (page numbers)."""
    readable = sum(1 for rows in pages if rows)
    if readable < _MIN_PAGES_TO_COMPARE:
        return list(pages)
    seen = Counter(key for rows in pages for key in set(_edges(rows)))
    repeated = {key for key, count in seen.items() if count >= 3 and count > readable / 2}
    result = []
    for rows in pages:
        drop = {index for key, index in _edges(rows).items() if key in repeated}
        result.append([row for index, row in enumerate(rows) if index not in drop])
    # Pages that are nothing but the same rows: then those rows are the document.
    return result if any(result) else list(pages)


def _edges(rows: Sequence[Row]) -> dict[tuple[str, str], int]:
    """Map (top or bottom, text with digits masked) to the row's index."""
    top = {("top", _mask(row.text)): i for i, row in enumerate(rows[:_EDGE_ROWS])}
    start = max(len(rows) - _EDGE_ROWS, 0)
    bottom = {("bottom", _mask(row.text)): i for i, row in enumerate(rows[start:], start)}
    return top | bottom


def _mask(line: str) -> str:
    return re.sub(r"\d+", "#", " ".join(line.split()))


def _words(pages: Sequence[Sequence[Row]]) -> set[str]:
    return {
        word
        for rows in pages
        for row in rows
        for word in re.findall(r"\w+-\w+|\w+", row.text.lower())
    }


def _is_prose(line: str) -> bool:
    return sum(char.isalpha() or char == " " for char in line) >= 0.8 * len(line)

"""A PDF page as rows of text with places: pieces to rows, rows to columns in reading order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

# Pieces of one row that are nearer than this part of the type size belong to one phrase.
_PHRASE_GAP = 0.55
_WORD_GAP = 0.12
# Newspaper columns hold phrases at least this long; the cells of tables are mostly shorter.
_MIN_COLUMN_CHARS = 18
_MIN_COLUMN_ROWS = 3
_MAX_DEPTH = 3
_MAX_CUTS = 60
# What begins an item of a list, with its text some way off.
BULLETS = "*\u2022\u25aa\u25e6\u2023\u2013\u25cf\u25cb\u25a0"
_MARKER = re.compile(rf"[-{BULLETS}]|[(.]?\w{{1,3}}[.)]|\.\d{{1,2}}")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text at a place; y grows downward, everything in points."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The level lines drawn on a page: (height, from, to)."""

    horizontal: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Phrases side by side, left to right."""

    phrases: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """All of its words."""
        return " ".join(phrase.text for phrase in self.phrases)

    @property
    def left(self) -> float:
        """Where its first phrase begins."""
        return self.phrases[0].left

    @property
    def right(self) -> float:
        """Where its last phrase ends."""
        return self.phrases[-1].right

    @property
    def top(self) -> float:
        """Its upper edge."""
        return min(phrase.top for phrase in self.phrases)

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return max(phrase.bottom for phrase in self.phrases)

    @property
    def size(self) -> float:
        """Type size of its longest phrase."""
        return max(self.phrases, key=lambda phrase: len(phrase.text)).size

    @property
    def bold(self) -> bool:
        """Whether all of it is bold."""
        return all(phrase.bold for phrase in self.phrases)


def rows_of(pieces: Sequence[Piece]) -> list[Row]:
    """Put pieces that stand side by side into rows, from top to bottom."""
    rows: list[list[Piece]] = []
    edges: list[tuple[float, float]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.top + piece.bottom, piece.left)):
        # Only the last rows can be beside it: pieces come in the order of their middles.
        for index in range(len(rows) - 1, max(len(rows) - 4, -1), -1):
            top, bottom = edges[index]
            shared = min(bottom, piece.bottom) - max(top, piece.top)
            if shared > 0.5 * min(bottom - top, piece.bottom - piece.top):
                rows[index].append(piece)
                break
        else:
            rows.append([piece])
            edges.append((piece.top, piece.bottom))
    return [Row(tuple(_phrases(sorted(row, key=lambda piece: piece.left)))) for row in rows]


def in_reading_order(pieces: Sequence[Piece], rules: Rules, depth: int = 0) -> list[list[Piece]]:
    """Split a page into regions to be read one after the other.

    Where text stands in columns, each column is a region; what spans them divides them. Columns
    are told from tables by the length of their lines and by rules that cross the gutter.
    """
    gutter = _gutter(pieces, rules) if depth < _MAX_DEPTH else None
    if gutter is None:
        return [list(pieces)]
    regions: list[list[Piece]] = []
    for across, band in _bands(pieces, gutter):
        if across or not _is_columns(band, gutter):
            regions.append(list(band))
            continue
        for side in (
            [piece for piece in band if piece.right <= gutter],
            [piece for piece in band if piece.right > gutter],
        ):
            regions += in_reading_order(side, rules, depth + 1)
    return regions


def _phrases(row: Sequence[Piece]) -> Iterator[Piece]:
    current = row[0]
    for piece in row[1:]:
        gap = piece.left - current.right
        size = max(current.size, piece.size)
        if gap > _PHRASE_GAP * size and not (current is row[0] and _MARKER.fullmatch(current.text)):
            yield current
            current = piece
            continue
        if piece.text == current.text and piece.right <= current.right:
            continue  # Bold faked by printing it twice.
        space = " " if gap > _WORD_GAP * size else ""
        longer = current if len(current.text) >= len(piece.text) else piece
        current = Piece(
            current.text.rstrip() + space + piece.text if space else current.text + piece.text,
            current.left,
            min(current.top, piece.top),
            max(current.right, piece.right),
            max(current.bottom, piece.bottom),
            longer.size,
            current.bold and piece.bold,
        )
    yield current


def _gutter(pieces: Sequence[Piece], rules: Rules) -> float | None:
    """Find the emptiest upright strip between long phrases, if there is a clear one."""
    long = [piece for piece in pieces if len(piece.text) >= _MIN_COLUMN_CHARS]
    if len(long) < 2 * _MIN_COLUMN_ROWS:
        return None
    left, right = min(p.left for p in long), max(p.right for p in long)
    width = right - left
    size = median(p.size for p in long)
    cuts = sorted({p.left for p in long if left + 0.2 * width < p.left < right - 0.1 * width})
    best: tuple[int, float] | None = None
    for cut in cuts[:: len(cuts) // _MAX_CUTS + 1]:
        crossing = sum(1 for p in long if p.left < cut - 1 and p.right > cut - 0.6 * size)
        after = sum(1 for p in long if abs(p.left - cut) < 2 * size)
        before = sum(1 for p in long if p.right <= cut - 0.6 * size)
        fits = crossing <= 0.25 * len(long) and min(after, before) >= _MIN_COLUMN_ROWS
        if fits and (best is None or after - 2 * crossing > best[0]):
            best = (after - 2 * crossing, cut - 0.3 * size)
    if best is None:
        return None
    top, bottom = min(p.top for p in long), max(p.bottom for p in long)
    crossed = [
        y for y, start, end in rules.horizontal if start < best[1] - size < best[1] + size < end
    ]
    inside = [y for y in crossed if top < y < bottom]
    return None if len(inside) >= _MIN_COLUMN_ROWS else best[1]


def _bands(pieces: Sequence[Piece], gutter: float) -> Iterator[tuple[bool, list[Piece]]]:
    """Yield stretches of the page, top to bottom: what crosses the gutter, what stands beside."""
    band: list[Piece] = []
    kind = False
    rows = rows_of(pieces)
    for row in rows:
        across = any(phrase.left < gutter < phrase.right for phrase in row.phrases)
        if across != kind and band:
            yield kind, band
            band = []
        kind = across
        band += row.phrases
    if band:
        yield kind, band


def _is_columns(band: Sequence[Piece], gutter: float) -> bool:
    left = [len(piece.text) for piece in band if piece.right <= gutter]
    right = [len(piece.text) for piece in band if piece.right > gutter]
    if min(len(left), len(right)) < 1:
        return False
    long = min(sum(left) / len(left), sum(right) / len(right)) >= _MIN_COLUMN_CHARS
    return long and len(left) + len(right) > _MIN_COLUMN_ROWS

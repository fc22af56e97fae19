"""Tables of a PDF page, ruled or not, told by phrases that stand below each other."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from domainforge.sources.kinds.pdf_page import Piece, Row, Rules

_MAX_GAP = 2.6
_MAX_COLUMNS = 40
_HEADING_SIZE = 1.1
_MAX_CELL_CHARS = 400
# Rows looked at for one table: a page of more is absurd, and would take quadratic time.
_MAX_ROWS = 200


@dataclass(frozen=True)
class TableRun:
    """A table and how many rows of the page it takes."""

    markdown: str
    rows: int


def table_at(rows: Sequence[Row], start: int, rules: Rules) -> TableRun | None:
    """Return the table that begins at a row, if one can be told for sure."""
    end = _run_end(rows, start)
    while end - start >= 2:
        run = rows[start:end]
        columns = _columns(run)
        stray = _first_stray(run, columns) if len(columns) > 1 else _last_lone(run)
        if stray is None:
            return _table(run, columns, rules) if len(columns) > 1 else None
        end = start + stray
        while end > start and len(rows[end - 1].phrases) < 2:
            end -= 1
    return None


def markdown_table(cells: Sequence[Sequence[str]]) -> str:
    """Write rows of equal length as a Markdown table; the first one is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(cells[0]), *lines[1:]])


def _run_end(rows: Sequence[Row], start: int) -> int:
    """Find where rows of several phrases stop; a lone phrase between two of them may be a cell."""
    end = start
    lone = 0
    for index in range(start, min(len(rows), start + _MAX_ROWS)):
        row = rows[index]
        if index > start and row.top - rows[index - 1].bottom > _MAX_GAP * row.size:
            break
        if len(row.phrases) == 1 and row.size > _HEADING_SIZE * rows[start].size:
            break
        if len(row.phrases) > 1:
            end, lone = index + 1, 0
        else:
            lone += 1
            if lone > 2:
                break
    return end


def _columns(run: Sequence[Row]) -> list[tuple[float, float]]:
    """Merge the phrases of all rows into upright strips that hardly any phrase crosses."""
    several = [row for row in run if len(row.phrases) > 1]
    phrases = [phrase for row in several for phrase in row.phrases]
    allowed = len(several) // 7
    edges = sorted({edge for p in phrases for edge in (p.left, p.right)})
    starts = sorted(p.left for p in phrases)
    ends = sorted(p.right for p in phrases)
    columns: list[tuple[float, float]] = []
    opened = closed = 0
    begin: float | None = None
    for edge in edges:
        while opened < len(starts) and starts[opened] <= edge:
            opened += 1
        while closed < len(ends) and ends[closed] <= edge:
            closed += 1
        filled = opened - closed > allowed
        if filled and begin is None:
            begin = edge
        elif not filled and begin is not None:
            columns.append((begin, edge))
            begin = None
    return columns if len(columns) <= _MAX_COLUMNS else []


def _touched(phrase: Piece, columns: Sequence[tuple[float, float]]) -> list[int]:
    return [
        index
        for index, (left, right) in enumerate(columns)
        if min(phrase.right, right) - max(phrase.left, left) > 0.1 * phrase.size
    ]


def _nearest(phrase: Piece, columns: Sequence[tuple[float, float]]) -> int:
    touched = _touched(phrase, columns)
    if touched:
        return touched[0]
    middle = (phrase.left + phrase.right) / 2
    return min(range(len(columns)), key=lambda i: abs(sum(columns[i]) / 2 - middle))


def _last_lone(run: Sequence[Row]) -> int | None:
    lone = [index for index, row in enumerate(run) if len(row.phrases) == 1]
    return lone[-1] if lone else None


def _first_stray(run: Sequence[Row], columns: Sequence[tuple[float, float]]) -> int | None:
    """Find a row that is a sentence below or between cells, not a row of the table."""
    for index, row in enumerate(run):
        if len(row.phrases) == 1:
            lone = row.phrases[0]
            starts = any(abs(lone.left - left) < 1.5 for left, _ in columns[1:])
            if index and len(_touched(lone, columns)) > 1 and not starts:
                return index
            continue
        # Two phrases in one cell: these rows don't share columns.
        taken = [_nearest(phrase, columns) for phrase in row.phrases]
        if len(set(taken)) < 0.7 * len(taken):
            return index
    return None


def _table(
    run: Sequence[Row], columns: Sequence[tuple[float, float]], rules: Rules
) -> TableRun | None:
    lines = [_cells(row, columns) for row in run]
    if sum(sum(map(bool, cells)) >= 2 for cells in lines) < 2:
        return None
    grid: list[list[str]] = []
    wrapped = _wrapped(run, lines, _rules_across(columns, rules))
    for cells, goes_on in zip(lines, wrapped, strict=True):
        if goes_on:
            grid[-1] = [f"{old} {new}".strip() for old, new in zip(grid[-1], cells, strict=True)]
        else:
            grid.append(cells)
    longest = max(len(cell) for cells in grid for cell in cells)
    if len(grid) < 2 or longest > _MAX_CELL_CHARS:
        return None
    return TableRun(markdown_table(grid), len(run))


def _cells(row: Row, columns: Sequence[tuple[float, float]]) -> list[str]:
    cells = [""] * len(columns)
    for phrase in row.phrases:
        index = _nearest(phrase, columns)
        cells[index] = f"{cells[index]} {phrase.text}".strip()
    return cells


def _wrapped(
    run: Sequence[Row], lines: Sequence[Sequence[str]], rules: Sequence[float]
) -> list[bool]:
    """Tell of each row whether it only goes on with wrapped cells of the row above."""
    ruled = [_is_between(above, row, rules) for above, row in pairwise(run)]
    gaps = [row.top - above.bottom for above, row in pairwise(run)]
    across = [gap for gap, rule in zip(gaps, ruled, strict=True) if rule]
    inside = [gap for gap, rule in zip(gaps, ruled, strict=True) if not rule]
    # Rules part the rows: then rows without one between them stand nearer together.
    if len(across) >= 2 and (not inside or max(inside) < max(0.8 * min(across), min(across) - 1)):
        return [False, *(not rule for rule in ruled)]
    pitches = [row.top - above.top for above, row in pairwise(run)]
    first = [bool(cells[0]) for cells in lines]
    whole = [
        pitch for pitch, (one, two) in zip(pitches, pairwise(first), strict=True) if one and two
    ]
    usual = whole or [pitch for pitch, begins in zip(pitches, first[1:], strict=True) if begins]
    limit = 0.8 * median(usual) if usual else 0.0
    return [
        False,
        *(not begins and pitch < limit for pitch, begins in zip(pitches, first[1:], strict=True)),
    ]


def _rules_across(columns: Sequence[tuple[float, float]], rules: Rules) -> list[float]:
    """Return the heights of rules that go through most of a table, from the top."""
    left, right = columns[0][0], columns[-1][1]
    return sorted(
        y
        for y, start, end in rules.horizontal
        if min(end, right) - max(start, left) > 0.5 * (right - left)
    )


def _is_between(above: Row, row: Row, rules: Sequence[float]) -> bool:
    top, bottom = (above.top + above.bottom) / 2, (row.top + row.bottom) / 2
    return bisect_right(rules, top) < bisect_left(rules, bottom)

"""Stray cells far outside a sheet's table, cut before they make the reader ask for terabytes."""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from zipfile import ZIP_STORED, ZipFile

from domainforge.sources.kinds.office import Package

# calamine keeps 32 bytes for every cell between the first and the last one, filled or not, and
# one cell at XFD1048576 then takes the process down (548 GB).
_MAX_GRID_CELLS = 12_000_000
_QUICK_CELLS = 2_000_000
_MAX_BLANK_ROWS = 10_000
_MAX_BLANK_COLUMNS = 500
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_PREFIX = rb"(?:\w+:)?"
_LAST_ROW = re.compile(rb"<" + _PREFIX + rb"row\b[^>]*?\br=\"(\d{1,9})\"")
_FILLED = re.compile(rb"<" + _PREFIX + rb"c\b[^>]*?\br=\"([A-Z]{1,3})(\d{1,9})\"[^>]*(?<!/)>")
_ROW = re.compile(
    rb"<(" + _PREFIX + rb")row\b[^>]*?\br=\"(\d{1,9})\"[^>]*?(?:/>|>.*?</\1row>)", re.DOTALL
)
_CELL = re.compile(
    rb"<(" + _PREFIX + rb")c\b[^>]*?\br=\"([A-Z]{1,3})\d+\"[^>]*?(?:/>|>.*?</\1c>)", re.DOTALL
)


@dataclass(frozen=True)
class Bounded:
    """A workbook that can be read, and what had to be cut.

    Attributes:
        cut: Entries of sheets whose stray cells were cut.
        too_large: Entries of sheets that were emptied.
    """

    data: bytes
    cut: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()


def bound_sheets(package: Package) -> Bounded:
    """Cut cells that stand beyond a long stretch of nothing, and sheets that are too large."""
    cut: list[str] = []
    too_large: list[str] = []
    changed: dict[str, bytes] = {}
    for name in package.names:
        if not _SHEET.fullmatch(name):
            continue
        body = package.read(name)
        if _is_surely_small(body):
            continue
        trimmed, cells = _trim(body)
        if cells > _MAX_GRID_CELLS:
            too_large.append(name)
            changed[name] = _ROW.sub(b"", body)
        elif trimmed is not None:
            cut.append(name)
            changed[name] = trimmed
    if not changed:
        return Bounded(package.data)
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_STORED) as archive:
        for name in package.names:
            if name.endswith((".xml", ".rels")):
                archive.writestr(name, changed.get(name) or package.read(name))
    return Bounded(out.getvalue(), tuple(cut), tuple(too_large))


def _is_surely_small(body: bytes) -> bool:
    """Bound the grid by the last row and the number of letters in column names."""
    rows = max((int(found) for found in _LAST_ROW.findall(body[-200_000:])), default=0)
    rows = max(rows, body.count(b"row "))
    if re.search(rb"\br=\"[A-Z]{3}\d", body):
        return rows * 16_384 <= _QUICK_CELLS
    return rows * (702 if re.search(rb"\br=\"[A-Z]{2}\d", body) else 26) <= _QUICK_CELLS


def _trim(body: bytes) -> tuple[bytes | None, int]:
    """Return a sheet without its stray cells (None: it has none) and the size of what is left."""
    columns: set[bytes] = set()
    rows: set[int] = set()
    for column, row in _FILLED.findall(body):
        columns.add(column)
        rows.add(int(row))
    numbers = [_column_number(letters) for letters in columns]
    last_row = _before_gap(rows, _MAX_BLANK_ROWS)
    last_column = _before_gap(numbers, _MAX_BLANK_COLUMNS)
    cells = last_row * last_column
    if cells > _MAX_GRID_CELLS or (
        last_row == max(rows, default=0) and last_column == max(numbers, default=0)
    ):
        return None, cells
    kept = _ROW.sub(lambda row: row[0] if int(row[2]) <= last_row else b"", body)
    kept = _CELL.sub(lambda cell: cell[0] if _column_number(cell[2]) <= last_column else b"", kept)
    return kept, cells


def _before_gap(numbers: Iterable[int], most: int) -> int:
    """Return the last number before a gap of more than so many, counted from 0."""
    last = 0
    for number in sorted(numbers):
        if number - last > most and last:
            break
        last = number
    return last


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number

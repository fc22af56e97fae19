"""Rows of OpenDocument tables: repeated and merged cells spread out, within bounds."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_MAX_CHARS = 50_000_000
_MAX_COLUMNS = 16_384
_MAX_REPEATED_CHARS = 300
_ROW_GROUPS = ("table-header-rows", "table-rows", "table-row-group")


class GridBudget:
    """Counts the characters of a document: a short file can say "repeat" a billion times.

    Attributes:
        spent: Whether something had to be left out.
    """

    def __init__(self, chars: int = _MAX_CHARS) -> None:
        self._left = chars
        self.spent = False

    def take(self, chars: int) -> bool:
        """Tell whether so many more may be read; a blank cell counts as one."""
        if chars > self._left:
            self.spent = True
            return False
        self._left -= chars
        return True


def table_rows(table: "_Element", budget: GridBudget) -> Iterator[list[str]]:
    """Yield the rows of a table as text; what is merged over rows is said in each.

    However many blank rows follow each other, one of them is given.
    """
    below: dict[int, tuple[int, str]] = {}
    for row in _rows(table):
        cells = _cells(row, below, budget)
        repeated = _count(row, "number-rows-repeated")
        if not any(cells):
            yield []
            continue
        chars = sum(map(len, cells)) + len(cells)
        for _ in range(repeated):
            if not budget.take(chars):
                return
            yield cells


def _rows(table: "_Element") -> Iterator["_Element"]:
    for child in table:
        if child.tag == f"{_TABLE}table-row":
            yield child
        elif isinstance(child.tag, str) and child.tag.rpartition("}")[2] in _ROW_GROUPS:
            yield from _rows(child)


def _cells(row: "_Element", below: dict[int, tuple[int, str]], budget: GridBudget) -> list[str]:
    cells: list[str] = []
    waiting = 0  # blank cells are only written when something follows them
    for cell in row:
        if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            continue
        column = len(cells) + waiting
        repeated = min(_count(cell, "number-columns-repeated"), _MAX_COLUMNS - column)
        text = cell_value(cell)
        if column in below:
            rows, above = below.pop(column)
            text = text or above
            if rows > 1:
                below[column] = (rows - 1, above)
        if not text:
            waiting += max(repeated, 0)
            continue
        if not budget.take(waiting + repeated * (len(text) + 1)):
            break
        spanned = _count(cell, "number-rows-spanned")
        if spanned > 1 and len(text) <= _MAX_REPEATED_CHARS:
            below[column] = (spanned - 1, text)
        cells += [""] * waiting + [text] * max(repeated, 0)
        waiting = 0
    return cells


def cell_value(cell: "_Element") -> str:
    """Return a cell as text: dates in ISO 8601, numbers in full, the rest as it is shown."""
    kind = cell.get(f"{_OFFICE}value-type")
    date = cell.get(f"{_OFFICE}date-value")
    if kind == "date" and date:
        return re.sub(r"T00:00:00(?:\.0+)?$", "", date)[:40]
    if kind == "float":
        try:
            return f"{float(cell.get(f'{_OFFICE}value', '')):.15g}"
        except ValueError:
            pass
    shown = " ".join(_shown(paragraph) for paragraph in cell.iter(f"{_TEXT}p", f"{_TEXT}h"))
    return " ".join(shown.split())


def _shown(paragraph: "_Element") -> str:
    """Return the text of a paragraph, comments on the cell left out."""
    if next(paragraph.iterancestors(f"{_OFFICE}annotation"), None) is not None:
        return ""
    parts = [paragraph.text or ""]
    for child in paragraph:
        if child.tag in (f"{_TEXT}s", f"{_TEXT}tab", f"{_TEXT}line-break"):
            parts.append(" ")
        elif child.tag != f"{_OFFICE}annotation" and isinstance(child.tag, str):
            parts.append("".join(str(text) for text in child.itertext()))
        parts.append(child.tail or "")
    return "".join(parts)


def _count(element: "_Element", name: str) -> int:
    value = element.get(f"{_TABLE}{name}", "1")
    return max(int(value), 1) if re.fullmatch("[0-9]{1,9}", value) else 1

"""Grids of cells to Markdown tables, and HTML tables with merged cells to plain grids."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_MAX_SPAN = 1000
_MAX_GRID_CELLS = 200_000
# Labels are worth saying again in each row, texts are not.
_MAX_REPEATED_CHARS = 300


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """Write rows as a Markdown table; the first is its header, columns without text are left out.

    Returns:
        An empty string where no cell has text.
    """
    cells = [[cell_text(cell) for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max(map(len, cells), default=0)
    for row in cells:
        row.extend([""] * (width - len(row)))
    filled = [index for index in range(width) if any(row[index] for row in cells)]
    if not filled:
        return ""
    lines = ["| " + " | ".join([row[index] for index in filled]) + " |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(filled))
    return "\n".join(lines)


def cell_text(text: str) -> str:
    """Make text fit into one cell: one line, no bars that would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def spread_merged_cells(soup: "BeautifulSoup") -> None:
    """Give every HTML table a full grid, in place.

    What is merged over rows is said again in each (a row has to be understood alone); what is
    merged over columns stands in the first.
    """
    for table in soup.find_all("table"):
        if table.select_one("[rowspan], [colspan]"):
            _spread(soup, table)


def _spread(soup: "BeautifulSoup", table: "Tag") -> None:
    below: dict[int, tuple[int, str]] = {}
    cells_left = _MAX_GRID_CELLS
    for row in [r for r in table.find_all("tr") if r.find_parent("table") is table]:
        column = 0
        for cell in row.find_all(["td", "th"], recursive=False):
            while column in below:
                cell.insert_before(soup.new_tag(cell.name, string=_take(below, column)))
                column += 1
            rows, columns = _span(cell, "rowspan"), _span(cell, "colspan")
            if rows > 1:
                text = cell.get_text(" ", strip=True)
                below[column] = (rows - 1, text if len(text) <= _MAX_REPEATED_CHARS else "")
                below.update({column + i: (rows - 1, "") for i in range(1, columns)})
            for _ in range(columns - 1):
                cell.insert_after(soup.new_tag(cell.name))
            column += columns
        while column in below:
            row.append(soup.new_tag("td", string=_take(below, column)))
            column += 1
        cells_left -= column
        if cells_left < 0:
            return


def _take(below: dict[int, tuple[int, str]], column: int) -> str:
    rows, text = below.pop(column)
    if rows > 1:
        below[column] = (rows - 1, text)
    return text


def _span(cell: "Tag", name: str) -> int:
    """Read and remove a span."""
    value = str(cell.attrs.pop(name, "1")).strip()
    # Longer digits are no span, and int() would refuse thousands of them.
    return min(max(int(value), 1), _MAX_SPAN) if re.fullmatch("[0-9]{1,9}", value) else 1

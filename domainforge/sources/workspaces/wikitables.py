"""Tables of wikitext as Markdown tables: spans spread out, inner tables written in one cell."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mwparserfromhell.wikicode import Wikicode

_MAX_SPAN = 200
_MAX_COLUMNS = 200
_MAX_CELLS = 100_000

Render = Callable[["Wikicode | None"], str]


def render_table(table: Any, render: Render, render_inline: Render) -> str:
    """Render a table; one that only lays text out (a single column) gives its text."""
    rows = [row for row in _rows(table) if row]
    captions = [_caption(cell, render_inline) for row in rows for cell in row if _is_caption(cell)]
    rows = [[cell for cell in row if not _is_caption(cell)] for row in rows]
    rows = [row for row in rows if row]
    if rows and max(len(row) for row in rows) == 1:
        texts = [render(row[0].contents).strip() for row in rows]
        return "\n\n" + "\n\n".join(text for text in [*captions, *texts] if text) + "\n\n"
    grid = _grid(rows, render_inline)
    if not grid:
        return "\n\n"
    width = max(len(row) for row in grid)
    head = [""] * width if not _is_head(rows[0]) else grid.pop(0)
    lines = [_line(head, width), _line(["---"] * width, width)]
    lines += [_line(row, width) for row in grid if any(row)]
    caption = "".join(f"{text}\n\n" for text in captions if text)
    return f"\n\n{caption}" + "\n".join(lines) + "\n\n"


def render_flat_table(table: Any, render_inline: Render) -> str:
    """Render a table within a cell: cells with commas, rows with semicolons."""
    rows = [[render_inline(cell.contents).lstrip("+ ") for cell in row] for row in _rows(table)]
    return "; ".join(", ".join(cell for cell in row if cell) for row in rows if any(row))


def _rows(table: Any) -> list[list[Any]]:
    """Return the cells by row; cells before the first row mark are a row too."""
    loose: list[Any] = []
    rows: list[list[Any]] = [loose]
    for node in table.contents.nodes if table.contents is not None else ():
        tag = _tag(node)
        if tag in ("td", "th", "caption"):
            loose.append(node)
        elif tag == "tr":
            cells = node.contents.nodes if node.contents is not None else ()
            rows.append([cell for cell in cells if _tag(cell) in ("td", "th", "caption")])
        elif tag in ("tbody", "thead", "tfoot"):
            rows += _rows(node)
    return rows


def _tag(node: Any) -> str:
    tag = getattr(node, "tag", None)
    return str(tag).strip().lower() if tag is not None else ""


def _is_caption(cell: Any) -> bool:
    # The parser takes `|+ Title` for a cell that starts with a plus.
    return _tag(cell) == "caption" or (
        cell.wiki_markup == "|" and str(cell.contents).startswith("+") and not cell.attributes
    )


def _caption(cell: Any, render_inline: Render) -> str:
    return render_inline(cell.contents).lstrip("+").strip()


def _is_head(row: list[Any]) -> bool:
    return all(_tag(cell) == "th" for cell in row)


def _grid(rows: list[list[Any]], render_inline: Render) -> list[list[str]]:
    """Place cells in columns: one over several rows is repeated, over several columns is not."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[int, str]] = {}  # column to rows still to fill, and with what
    count = 0
    for row in rows:
        line: list[str] = []
        for cell in row:
            _fill(line, hanging)
            text = render_inline(cell.contents).replace("|", "\\|")
            rowspan = _span(cell, "rowspan")
            for offset in range(_span(cell, "colspan")):
                if len(line) >= _MAX_COLUMNS:
                    break
                if rowspan > 1:
                    hanging[len(line)] = (rowspan - 1, text if offset == 0 else "")
                line.append(text if offset == 0 else "")
        _fill(line, hanging)
        count += len(line)
        if count > _MAX_CELLS:
            break
        grid.append(line)
    return grid


def _fill(line: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    while len(line) in hanging:
        left, text = hanging.pop(len(line))
        if left > 1:
            hanging[len(line)] = (left - 1, text)
        line.append(text)


def _span(cell: Any, name: str) -> int:
    value = str(cell.get(name).value or "").strip() if cell.has(name) else ""
    return min(max(int(value), 1), _MAX_SPAN) if value.isdecimal() and len(value) < 9 else 1


def _line(cells: list[str], width: int) -> str:
    return "| " + " | ".join([*cells, *[""] * (width - len(cells))]) + " |"

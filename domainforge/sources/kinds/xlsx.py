"""Excel workbooks, new and old, by calamine: each sheet under its name, as Markdown tables."""

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.office import (
    Properties,
    core_properties,
    not_a_package,
    open_package,
)
from domainforge.sources.kinds.old_workbook import check_old_workbook
from domainforge.sources.kinds.sheet_bounds import Bounded, bound_sheets
from domainforge.sources.kinds.tables import markdown_table
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
OLD_MEDIA_TYPE = "application/vnd.ms-excel"
# Of one table: its header is said again above the rest.
_TABLE_CHARS = 50_000
# Of one document: a workbook of a million rows becomes several.
_DOCUMENT_CHARS = 1_000_000
_MAX_CELL_CHARS = 32_767  # Excel's own limit
_MAX_REPEATED_CHARS = 300
_OLE = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_BOOKS = tuple(name.encode("utf-16-le") for name in ("Workbook", "Book"))

Cell = Any


def load_xlsx(data: bytes, file: SourceFile) -> Loaded:
    """Read the sheets that a workbook shows: values, not formulas; dates in ISO 8601.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    package = open_package(data, ".xlsx", "xl/")
    bounded = bound_sheets(package)
    return _load(bounded, file, MEDIA_TYPE, core_properties(package))


def load_xls(data: bytes, file: SourceFile) -> Loaded:
    """Read an old Excel file (BIFF, Excel 5 to 2003).

    Raises:
        UnreadableError: Broken, encrypted, or of another kind.
    """
    if data.startswith(b"PK"):
        return load_xlsx(data, file)
    if not data.startswith(_OLE) or _ENCRYPTED in data or not any(n in data for n in _BOOKS):
        raise not_a_package(data, ".xls")
    check_old_workbook(data)
    return _load(Bounded(data), file, OLD_MEDIA_TYPE, Properties())


def _load(bounded: Bounded, file: SourceFile, media_type: str, properties: Properties) -> Loaded:
    from python_calamine import CalamineError

    try:
        loaded = _read(bounded, file, media_type, properties)
    except (CalamineError, OSError, ValueError, struct.error) as error:
        if "password" in str(error).lower():
            raise UnreadableError("encrypted", "needs a password; save a copy without") from error
        raise UnreadableError("unreadable", f"no readable workbook: {error}"[:300]) from error
    except BaseException as error:
        # Rust's panics are no Exception, and their class can't be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableError("unreadable", f"no readable workbook: {error}"[:300]) from error
    return loaded


def _read(bounded: Bounded, file: SourceFile, media_type: str, properties: Properties) -> Loaded:
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    dropped: list[LeftOut] = []
    with CalamineWorkbook.from_filelike(io.BytesIO(bounded.data)) as book:
        sheets = [s for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
        shown = [s.name for s in sheets if s.visible == SheetVisibleEnum.Visible]
        # A workbook that shows nothing at all was not made to hide it from its reader.
        names = shown or [s.name for s in sheets]
        for sheet in sheets:
            if sheet.name not in names:
                dropped.append(LeftOut(f"{file.uri}#{sheet.name}", "hidden", "a hidden sheet"))
        texts = list(join_blocks(_blocks(book, names)))
    for entry in bounded.cut:
        detail = f"{entry}: cells far below or beside its table are left out"
        dropped.append(LeftOut(f"{file.uri}#{entry}", "stray_cells", detail))
    faults = tuple(
        LeftOut(f"{file.uri}#{entry}", "too_large", "it spans too many cells to be read")
        for entry in bounded.too_large
    )
    title = properties.title or file.stem
    whole = Document(
        file.uri,
        title,
        "",
        media_type,
        {**properties.metadata, "sheets": names[:100]},
        created=properties.created,
        modified=properties.modified,
    )
    return Loaded(parts_of(whole, texts, file), tuple(dropped), faults)


def parts_of(whole: Document, texts: Sequence[str], file: SourceFile) -> tuple[Document, ...]:
    """Return a document for each text; the only one keeps its name."""
    documents = []
    for number, text in enumerate(texts or ("",), 1):
        raw = text if file.config.keep_raw else None
        document = replace(whole, text=clean_text(text), raw=raw)
        if len(texts) > 1:
            uri, title = f"{file.uri}#part-{number}", f"{whole.title}, part {number}"
            document = replace(document, uri=uri, title=title)
        documents.append(document)
    return tuple(documents)


def join_blocks(blocks: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Join blocks of Markdown under the names of their sheets, up to a document's size."""
    parts: list[str] = []
    size = 0
    current = None
    for name, block in blocks:
        if parts and size + len(block) > _DOCUMENT_CHARS:
            yield "\n\n".join(parts)
            parts, size, current = [], 0, None
        if name != current:
            parts.append(f"## {name}")
            current = name
        parts.append(block)
        size += len(block)
    if parts:
        yield "\n\n".join(parts)


def _blocks(book: "CalamineWorkbook", names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        heading = " ".join(clean_text(name).split())
        for block in sheet_blocks(_rows(book.get_sheet_by_name(name))):
            yield heading, block


def _rows(sheet: "CalamineSheet") -> Iterator[list[str]]:
    """Yield rows as text; what is merged over rows is said in each of them."""
    # Rows are counted from the sheet's first, columns from the first that has anything.
    first_column = (sheet.start or (0, 0))[1]
    merged: dict[int, list[tuple[int, int]]] = {}
    for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
        if bottom > top:
            merged.setdefault(top, []).append((left - first_column, bottom))
    below: dict[int, tuple[int, str]] = {}
    for number, values in enumerate(sheet.iter_rows()):
        row = [_text(value) for value in values]
        if any(row):
            for column, (bottom, text) in list(below.items()):
                if number > bottom:
                    del below[column]
                elif not row[column]:
                    row[column] = text
        for column, bottom in merged.get(number, ()):
            if 0 <= column < len(row) and 0 < len(row[column]) <= _MAX_REPEATED_CHARS:
                below[column] = (bottom, row[column])
        yield row


def sheet_blocks(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Turn a sheet's rows into tables and lines of text.

    Blank rows end a table, unless what follows lies under it. Rows of one cell above a table
    are its heading and stay text.
    """
    block: list[Sequence[str]] = []
    span = (0, 0)
    blank = False
    for row in rows:
        filled = [index for index, cell in enumerate(row) if cell]
        if not filled:
            blank = True
            continue
        inside = span[0] <= filled[0] and filled[-1] <= span[1] and span[0] < span[1]
        if blank and block and not inside:
            yield from _block(block)
            block = []
        span = (
            (min(span[0], filled[0]), max(span[1], filled[-1]))
            if block
            else (
                filled[0],
                filled[-1],
            )
        )
        block.append(row)
        blank = False
    yield from _block(block)


def _block(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    start = next((i for i, row in enumerate(rows) if sum(map(bool, row)) > 1), len(rows))
    if start:
        yield "\n\n".join(" ".join(" ".join(row).split()) for row in rows[:start])
    table: list[Sequence[str]] = []
    size = 0
    for row in rows[start:]:
        table.append(row)
        size += sum(map(len, row)) + 3 * len(row)
        if size > _TABLE_CHARS:
            yield markdown_table(table)
            table, size = [rows[start]], 0
    # A header alone is what is left where the last table was full.
    if len(table) > 1 or (table and len(rows) == start + 1):
        yield markdown_table(table)


def _text(value: Cell) -> str:
    """Write a value as a reader would see it; a date at midnight is a date."""
    match value:
        case str():
            return value[:_MAX_CELL_CHARS].strip()
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            # 15 digits are what Excel itself has; repr would show the binary rest.
            return f"{value:.15g}" if abs(value) < 1e15 else f"{value:.15G}"
        case datetime():
            return (value.date() if value.time() == time() else value).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            minutes, seconds = divmod(round(value.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        case _:
            return str(value)

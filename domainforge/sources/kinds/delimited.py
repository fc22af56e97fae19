"""CSV and TSV of any size: rows as documents where they hold texts, else Markdown tables."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO, TextIO

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.jsonl import MEANING
from domainforge.sources.kinds.rows import PART_BYTES, PART_ROWS, Row, RowReader, text_field
from domainforge.sources.kinds.tables import markdown_table
from domainforge.sources.kinds.text_lines import open_text
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 1 << 16
# Of one table: about what a reader (and a chunk with its header) can still oversee.
_TABLE_CHARS = 50_000
_MAX_CELL_CHARS = 10_000_000
_MAX_COLUMNS = 10_000
_NAMED_DELIMITER = re.compile(r"sep=(.)\r?\n")  # what Excel writes for itself


def stream_delimited(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded]:
    """Read a .csv or .tsv file of any size; dialect and encoding are told from its head.

    Where the source names a `text_field`, or a column is called text, content or body, each row
    is a document. Any other file is a Markdown table, a long one several with the header on each;
    one of questions with answers is an exam, which is dropped.

    Raises:
        UnreadableError: No text, or no table.
    """
    tab = file.uri.lower().endswith((".tsv", ".tab"))
    media_type = "text/tab-separated-values" if tab else "text/csv"
    rows = _rows(open_text(handle), "\t" if tab else None)
    header = next(rows, None)
    if header is None:
        return
    names = [name.strip() for name in header.cells]
    is_plain = text_field(dict.fromkeys(names, ""), file.config) is None
    if {"question", "answers"} <= set(names) and (is_plain or file.stem == "exam"):
        left_out = LeftOut(file.uri, "exam_file", MEANING["exam_file"])
        yield Loaded(dropped=(left_out,))
        return
    if is_plain:
        yield from islice(_tables(header.cells, rows, file, media_type), skip, None)
        return
    with RowReader(file, "row", media_type) as reader:
        for number, (good, faults) in enumerate(_parts(names, rows, reader)):
            if number < skip:
                reader.pass_over(good)
            else:
                yield reader.read(good, faults)


class _Cells:
    """One row, and its number counted from 1 below the header."""

    __slots__ = ("cells", "number")

    def __init__(self, number: int, cells: list[str]) -> None:
        self.number = number
        self.cells = cells


def _rows(text: TextIO, delimiter: str | None) -> Iterator[_Cells]:
    """Yield the rows that have anything in them; the header is number 0."""
    sample = text.read(_SAMPLE_CHARS)
    # The rest of a line, so that what follows begins with a whole one.
    sample += text.readline(_MAX_CELL_CHARS)
    named = _NAMED_DELIMITER.match(sample)
    if named:
        delimiter, sample = named[1], sample[named.end() :]
    csv.field_size_limit(_MAX_CELL_CHARS)
    lines = chain(io.StringIO(sample, newline=""), _lines(text))
    reader = csv.reader(lines, delimiter=delimiter or _delimiter(sample))
    number = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            detail = f"no table from row {number} on: {error}"
            raise UnreadableError("unreadable", detail) from error
        if len(cells) > _MAX_COLUMNS:
            raise UnreadableError("unreadable", f"{len(cells):,} columns in row {number}")
        if any(cell.strip() for cell in cells):
            yield _Cells(number, cells)
            number += 1


def _lines(text: TextIO) -> Iterator[str]:
    while line := text.readline(_MAX_CELL_CHARS):
        if len(line) == _MAX_CELL_CHARS:
            raise UnreadableError("unreadable", f"a line of more than {len(line):,} characters")
        yield line


def _delimiter(sample: str) -> str:
    """Choose what cuts the first lines into the same number of columns; a comma if nothing does.

    csv.Sniffer guesses letters as delimiters and takes minutes on some texts.
    """
    best, most = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = list(
                islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), 50)
            )
        except csv.Error:
            continue
        widths = [len(row) for row in rows if row]
        usual = max(set(widths), key=widths.count, default=1)
        if usual > 1:
            score = (widths.count(usual) / len(widths), usual)
            best, most = (delimiter, score) if score > most else (best, most)
    return best


def _parts(
    names: Sequence[str], rows: Iterator[_Cells], reader: RowReader
) -> Iterator[tuple[list[Row], list[LeftOut]]]:
    good: list[Row] = []
    faults: list[LeftOut] = []
    size = 0
    for row in rows:
        if len(row.cells) > len(names):
            detail = f"row {row.number}: {len(row.cells)} cells under {len(names)} names"
            faults.append(LeftOut(reader.uri(row.number), "bad_row", detail))
        else:
            good.append(Row(row.number, dict(zip(names, row.cells, strict=False))))
        size += sum(map(len, row.cells))
        if size >= PART_BYTES or len(good) + len(faults) >= PART_ROWS:
            yield good, faults
            good, faults, size = [], [], 0
    if good or faults:
        yield good, faults


def _tables(
    header: list[str], rows: Iterator[_Cells], file: SourceFile, media_type: str
) -> Iterator[Loaded]:
    """Cut the table where it gets long; each part is named by its first row."""
    part: list[_Cells] = []
    size = 0
    first = True
    for row in rows:
        length = sum(map(len, row.cells)) + 3 * len(row.cells)
        if part and size + length > _TABLE_CHARS:
            yield _table(header, part, file, media_type, whole=False)
            part, size, first = [], 0, False
        part.append(row)
        size += length
    if part or first:
        yield _table(header, part, file, media_type, whole=first)


def _table(
    header: list[str], rows: list[_Cells], file: SourceFile, media_type: str, whole: bool
) -> Loaded:
    text = markdown_table([header, *(row.cells for row in rows)])
    uri, title = file.uri, file.stem
    if not whole:
        first, last = rows[0].number, rows[-1].number
        uri, title = f"{uri}#row-{first}", f"{title}, rows {first} to {last}"
    raw = text if file.config.keep_raw else None
    metadata = {"rows": len(rows)}
    return Loaded((Document(uri, title, clean_text(text), media_type, metadata, raw=raw),))

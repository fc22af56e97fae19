"""The office part of `converters.py`: rivals for each kind, and files to weigh them on.

    python benchmarks/office_converters.py FOLDER    # writes the files and their rows.jsonl

One file of each kind, large enough to time, made with the writers that people use. Each holds what
converters lose most: merged cells, notes, comments, equations, hidden sheets, stray cells.
"""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

Convert = Callable[[bytes], str]

# What must come out of the file of each kind, and what must not.
VECTORS: dict[str, tuple[list[str], list[str]]] = {
    "office.docx": (
        ["# Manual", "## Chapter 7", "| North | 6 | 9 |", "| North | 10 | 18 |", "\\frac{m}{a}",
         "Reviewer's words", "[fares](https://ferry.example/fares)", "Custom heading"],
        ["deleted words"],
    ),
    "office.pptx": (
        ["# Slide 7", "Point 7.1", "| Day | Ferry |", "240", "Speaker's words", "in a group"],
        ["hidden slide"],
    ),
    "office.xlsx": (
        ["## Fares", "| North | 2024-03-01 |", "| North | 2024-03-02 |", "row 19999 "],
        ["NaN", "Unnamed", "hidden cell"],
    ),
    "office.odt": (
        ["# Chapter 7", "| Day | Ferry |", "Footnote's words", "Reviewer's words", "nested point"],
        [],
    ),
    "office.ods": (["## Fares", "| North | 2024-03-01 |", "row 4999 "], []),
    "office.epub": (["# Chapter 7", "**Authors:** Ann Quay", "Map of ports", "* A point"], ["x()"]),
}  # fmt: skip


def mammoth(data: bytes) -> str:
    """Markdown by mammoth and markdownify, used plainly."""
    import mammoth
    from markdownify import markdownify

    html = mammoth.convert_to_html(io.BytesIO(data)).value
    return str(markdownify(html, heading_style="ATX"))


def docx2python(data: bytes) -> str:
    """Text by docx2python."""
    from docx2python import docx2python

    with docx2python(io.BytesIO(data)) as document:
        return str(document.text)


def openpyxl(data: bytes) -> str:
    """Rows by openpyxl, read-only."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    lines = []
    for sheet in book.worksheets:
        lines.append(f"## {sheet.title}")
        for row in sheet.iter_rows(values_only=True):
            lines.append("| " + " | ".join("" if v is None else str(v) for v in row) + " |")
    return "\n".join(lines)


def odfdo(data: bytes) -> str:
    """Markdown by odfdo."""
    from odfdo import Document

    return str(Document(io.BytesIO(data)).to_markdown())


def odfpy(data: bytes) -> str:
    """Text by odfpy."""
    from odf import teletype
    from odf.opendocument import load

    return str(teletype.extractText(load(io.BytesIO(data)).body))


def ebooklib(data: bytes) -> str:
    """Chapters by EbookLib (AGPL: to compare with only) and markdownify."""
    import ebooklib
    from ebooklib import epub
    from markdownify import markdownify

    book = epub.read_epub(io.BytesIO(data))
    items = book.get_items_of_type(ebooklib.ITEM_DOCUMENT)
    return "\n".join(markdownify(i.get_content().decode(), heading_style="ATX") for i in items)


def docling(ending: str) -> Convert:
    """Markdown by docling-slim's own reader of a format, without the pipeline that needs torch."""

    def convert(data: bytes) -> str:
        from docling.backend.msexcel_backend import MsExcelDocumentBackend
        from docling.backend.mspowerpoint_backend import MsPowerpointDocumentBackend
        from docling.backend.msword_backend import MsWordDocumentBackend
        from docling.datamodel.base_models import InputFormat
        from docling.datamodel.document import InputDocument

        backend, kind = {
            ".docx": (MsWordDocumentBackend, InputFormat.DOCX),
            ".pptx": (MsPowerpointDocumentBackend, InputFormat.PPTX),
            ".xlsx": (MsExcelDocumentBackend, InputFormat.XLSX),
        }[ending]
        stream = io.BytesIO(data)
        file = InputDocument(
            path_or_stream=stream, format=kind, filename=f"x{ending}", backend=backend
        )
        return str(backend(file, stream).convert().export_to_markdown())

    return convert


RIVALS: dict[str, dict[str, Convert]] = {
    ".docx": {
        "mammoth, markdownify": mammoth,
        "docx2python": docx2python,
        "docling": docling(".docx"),
    },
    ".pptx": {"docling": docling(".pptx")},
    ".xlsx": {"openpyxl": openpyxl, "docling": docling(".xlsx")},
    ".xls": {},
    ".odt": {"odfdo": odfdo, "odfpy": odfpy},
    ".ods": {"odfpy": odfpy},
    ".epub": {"ebooklib, markdownify": ebooklib},
}


def write_files(folder: Path) -> None:
    """Write a file of each kind and what must come out of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (_docx, _pptx, _xlsx, _odf, _epub):
        make(folder)
    rows = (
        {"id": name, "must_include": wanted, "must_not_include": unwanted}
        for name, (wanted, unwanted) in VECTORS.items()
    )
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _words(number: int) -> str:
    return f"The ferry number {number} leaves the pier at half past six and costs 2.50 crowns. " * 5


def _docx(folder: Path) -> None:
    from docx import Document
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    word = Document()
    word.add_heading("Manual", 0)
    style = word.styles.add_style("Kapitel", WD_STYLE_TYPE.PARAGRAPH)
    style.element.get_or_add_pPr().append(parse_xml(f"<w:outlineLvl {nsdecls('w')} w:val='1'/>"))
    word.add_paragraph("Custom heading", style=style)
    for number in range(200):
        word.add_heading(f"Chapter {number}", 2)
        for _ in range(5):
            word.add_paragraph(_words(number))
        word.add_paragraph("A point", style="List Bullet")
    table = word.add_table(3, 3)
    cells = ("Pier", "From", "To", "North", "6", "9", "", "10", "18")
    for cell, text in zip(table._cells, cells, strict=True):
        cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    last = word.add_paragraph("See ")
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
    target = word.part.relate_to("https://ferry.example/fares", kind, is_external=True)
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    run = "<m:r><m:t>{}</m:t></m:r>".format
    for xml in (
        f"<w:hyperlink {nsdecls('w', 'r')} r:id='{target}'><w:r><w:t>fares</w:t></w:r>"
        "</w:hyperlink>",
        f"<w:del {nsdecls('w')}><w:r><w:delText>deleted words</w:delText></w:r></w:del>",
        f"<m:oMath xmlns:m='{math}'><m:f><m:num>{run('m')}</m:num><m:den>{run('a')}</m:den></m:f>"
        "</m:oMath>",
    ):
        last._p.append(parse_xml(xml))
    word.add_comment(last.runs, text="Reviewer's words", author="Ann")
    word.save(str(folder / "office.docx"))


def _pptx(folder: Path) -> None:
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    show = Presentation()
    for number in range(100):
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}" if number != 50 else "A hidden slide"
        frame = slide.placeholders[1].text_frame
        frame.text = _words(number)
        frame.add_paragraph().text = f"Point {number}.1"
        if number == 50:
            slide.element.set("show", "0")
    table = slide.shapes.add_table(2, 2, 0, 0, 9, 9).table
    for index, text in enumerate(("Day", "Ferry", "Sunday", "18:40")):
        table.cell(index // 2, index % 2).text = text
    data = CategoryChartData()
    data.categories = ["May"]
    data.add_series("Guests", (240,))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, data)
    slide.notes_slide.notes_text_frame.text = "Speaker's words"
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    show.save(str(folder / "office.pptx"))


def _xlsx(folder: Path) -> None:
    import datetime

    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Fares"
    sheet.append(["Port", "From", "Price"])
    for day in (1, 2):
        sheet.append(["North" if day == 1 else None, datetime.date(2024, 3, day), 2.5])
    sheet.merge_cells("A2:A3")
    log = book.create_sheet("Log")
    log.append(["Port", "Words", "Price", "Guests"])
    for number in range(20_000):
        log.append(["South", f"row {number} of the log", number / 4, number])
    hidden = book.create_sheet("Secret")
    hidden["A1"] = "hidden cell"
    hidden.sheet_state = "hidden"
    book.save(folder / "office.xlsx")


def _odf(folder: Path) -> None:
    import datetime

    from odfdo import Document, Header, List, Paragraph, Table

    text = Document("text")
    text.body.clear()
    for number in range(200):
        text.body.append(Header(1, f"Chapter {number}"))
        for _ in range(5):
            text.body.append(Paragraph(_words(number)))
    last = Paragraph("The last word.")
    text.body.append(last)
    last.insert_note(after="last", note_id="n1", citation="1", body="Footnote's words")
    last.insert_annotation(after="The", body="Reviewer's words", creator="Ann")
    points = List(["A point"])
    points.get_item(position=0).append(List(["nested point"]))
    text.body.append(points)
    table = Table("T")
    table.set_values([["Day", "Ferry"], ["Sunday", "18:40"]])
    text.body.append(table)
    text.save(str(folder / "office.odt"))
    book = Document("spreadsheet")
    book.body.clear()
    sheet = Table("Fares")
    day = datetime.date(2024, 3, 1)
    rows = [["South", day, f"row {number} of it", number / 4] for number in range(5_000)]
    sheet.set_values([["Port", "From", "Words", "Price"], ["North", day, "x", 2.5], *rows])
    book.body.append(sheet)
    book.save(str(folder / "office.ods"))


def _epub(folder: Path) -> None:
    from zipfile import ZIP_DEFLATED, ZipFile

    names = [f"c{number}.xhtml" for number in range(100)]
    items = "".join(
        f"<item id='{n}' href='{n}' media-type='application/xhtml+xml'/>" for n in names
    )
    spine = "".join(f"<itemref idref='{n}'/>" for n in names)
    opf = (
        "<package xmlns='http://www.idpf.org/2007/opf' version='3.0' unique-identifier='i'>"
        "<metadata xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:identifier id='i'>b"
        "</dc:identifier><dc:title>Book</dc:title><dc:creator>Ann Quay</dc:creator>"
        f"<dc:language>en</dc:language></metadata><manifest>{items}</manifest>"
        f"<spine>{spine}</spine></package>"
    )
    with ZipFile(folder / "office.epub", "w", ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container' version='1.0'>"
            "<rootfiles><rootfile full-path='book.opf' "
            "media-type='application/oebps-package+xml'/></rootfiles></container>",
        )
        archive.writestr("book.opf", opf)
        for number, name in enumerate(names):
            body = f"<p>{_words(number)}</p>" * 8
            archive.writestr(
                name,
                "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>t</title></head><body>"
                f"<h1>Chapter {number}</h1>{body}<ul><li>A point</li></ul>"
                "<p><img src='map.png' alt='Map of ports'/></p><script>x()</script></body></html>",
            )


if __name__ == "__main__":
    write_files(Path(sys.argv[1]))

"""Office files and e-books made with the writers that people use, and ways to harm them."""

import datetime
import io
from collections.abc import Callable, Mapping
from zipfile import ZIP_DEFLATED, ZipFile

import openpyxl
import xlwt
from odfdo import Document as OdfDocument
from odfdo import DrawPage, Frame, Header, List, Paragraph, Table
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from tests.sources.samples import make_docx

DAY = datetime.date(2024, 3, 1)


def make_pptx() -> bytes:
    """Slides with a title, nested points, a table, a chart, notes, a group and a hidden slide."""
    show = Presentation()
    layout = show.slide_layouts
    slide = show.slides.add_slide(layout[1])
    slide.shapes.title.text = "Ferry rules"
    body = slide.placeholders[1].text_frame
    body.text = "Dogs pay half"
    body.add_paragraph().text = "Small ones"
    body.paragraphs[1].level = 1
    slide.notes_slide.notes_text_frame.text = "Mention the muzzle."
    slide = show.slides.add_slide(layout[6])
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
    for index, text in enumerate(("Day", "Last | ferry", "Sunday", "18:40")):
        table.cell(index // 2, index % 2).text = text
    for text, left, top in (("right", 5, 1), ("left", 1, 1.1), ("top", 3, 0.2)):
        slide.shapes.add_textbox(
            Inches(left), Inches(top), Inches(1), Inches(1)
        ).text_frame.text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(6), 100, 100).text_frame.text = "in a group"
    data = CategoryChartData()
    data.categories = ["May", "June"]
    data.add_series("Guests", (120, 240.5))
    slide = show.slides.add_slide(layout[5])
    slide.shapes.title.text = "Guests"
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, Inches(2), 10, 10, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "By month"
    slide = show.slides.add_slide(layout[5])
    slide.shapes.title.text = "Not for you"
    slide.element.set("show", "0")
    show.core_properties.title = "The ferry, in slides"
    show.core_properties.author = "Ann"
    return saved(show.save)


def make_xlsx() -> bytes:
    """A sheet with a heading, a table with dates and merged cells, and a hidden sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Fares"
    sheet["B2"] = "Fares of 2024"
    rows = [
        ["Port", "From", "Price"],
        ["North", DAY, 3],
        [None, datetime.datetime(2024, 3, 1, 6, 30), 0.1 + 0.2],
    ]
    for down, row in enumerate(rows, 4):
        for across, value in enumerate(row, 2):
            sheet.cell(down, across, value)
    sheet.merge_cells("B5:B6")
    hidden = book.create_sheet("Secret")
    hidden["A1"] = "salaries"
    hidden.sheet_state = "hidden"
    return saved(book.save)


def make_xls() -> bytes:
    """An old workbook with one table."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Fares")
    for down, row in enumerate((("Port", "Price"), ("North", 2.5))):
        for across, value in enumerate(row):
            sheet.write(down, across, value)
    return saved(book.save)


def make_odt() -> bytes:
    """A text with headings, a nested list, a note, a comment and a table."""
    text = OdfDocument("text")
    text.body.clear()
    text.body.append(Header(1, "Ferry rules"))
    paragraph = Paragraph("A crossing costs 2.50 crowns.")
    text.body.append(paragraph)
    paragraph.insert_note(after="crossing", note_id="n1", citation="1", body="One way.")
    paragraph.insert_annotation(after="costs", body="Still right?", creator="Ann")
    points = List(["Dogs pay half.", "Cats go free."])
    points.get_item(position=0).append(List(["Small ones too."]))
    text.body.append(points)
    table = Table("Hours")
    table.set_values([["Day", "Last ferry"], ["Sunday", "18:40"]])
    text.body.append(table)
    text.meta.title = "Rules of the ferry"
    return saved(text.save)


def make_ods() -> bytes:
    """A spreadsheet with one table."""
    book = OdfDocument("spreadsheet")
    book.body.clear()
    table = Table("Fares")
    table.set_values([["Port", "From", "Price"], ["North", DAY, 2.5], ["South", DAY, 3]])
    book.body.append(table)
    return saved(book.save)


def make_odp() -> bytes:
    """Two slides, the second without a title."""
    show = OdfDocument("presentation")
    show.body.clear()
    for number, words in enumerate(("Dogs pay half", "Cats go free"), 1):
        page = DrawPage(f"page{number}", name=f"Page {number}")
        if number == 1:
            frame = Frame.text_frame("Ferry rules", size=("1cm", "1cm"))
            frame.set_attribute("presentation:class", "title")
            page.append(frame)
        page.append(Frame.text_frame(words, size=("1cm", "1cm")))
        show.body.append(page)
    return saved(show.save)


def make_epub(chapters: Mapping[str, str] | None = None, **extra: str) -> bytes:
    """A book: chapters in reverse order of their names in the archive, contents, a picture."""
    chapters = chapters or {
        "b.xhtml": "<h1>Fares</h1><p>A crossing costs <b>2.50</b>.</p>"
        "<p><a href='a.xhtml#x'>see below</a> <img src='img/map.png' alt='Map of ports'/></p>",
        "a.xhtml": "<p id='x'>The last ferry leaves at 18:40.</p>"
        "<aside>Not on Sundays.</aside><script>alert(1)</script>",
    }
    items = "".join(
        f"<item id='{name}' href='{name}' media-type='application/xhtml+xml'/>" for name in chapters
    )
    spine = "".join(f"<itemref idref='{name}'/>" for name in chapters)
    opf = (
        "<package xmlns='http://www.idpf.org/2007/opf' version='3.0'>"
        "<metadata xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:title>The ferry</dc:title>"
        "<dc:creator>Ann Quay</dc:creator><dc:creator>Bo Pier</dc:creator><dc:language>en"
        "</dc:language><dc:description>All of it.</dc:description><dc:rights>CC0-1.0</dc:rights>"
        "<meta property='dcterms:modified'>2024-03-01T10:00:00Z</meta></metadata><manifest>"
        "<item id='nav' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/>"
        f"{items}</manifest><spine><itemref idref='nav'/>{spine}</spine></package>"
    )
    nav = (
        "<nav><ol><li><a href='b.xhtml'>One</a></li><li><a href='a.xhtml'>Hours</a></li></ol></nav>"
    )
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": "<container><rootfiles><rootfile full-path='in/book.opf'/>"
        "</rootfiles></container>",
        "in/book.opf": opf,
        "in/nav.xhtml": nav,
        **{f"in/{name}": f"<html><body>{body}</body></html>" for name, body in chapters.items()},
        **extra,
    }
    return make_zip({name: body.encode() for name, body in parts.items()})


# One of each kind that is a zip, with the entry that holds its text.
PACKAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "x.docx": (make_docx, "word/document.xml"),
    "x.pptx": (make_pptx, "ppt/slides/slide1.xml"),
    "x.xlsx": (make_xlsx, "xl/worksheets/sheet1.xml"),
    "x.odt": (make_odt, "content.xml"),
    "x.ods": (make_ods, "content.xml"),
    "x.odp": (make_odp, "content.xml"),
    "x.epub": (make_epub, "in/book.opf"),
}


def replaced(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Write a zip anew with entries changed."""
    with ZipFile(io.BytesIO(data)) as old:
        return make_zip({name: change(name, old.read(name)) for name in old.namelist()})


def make_zip(entries: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, body in entries.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()

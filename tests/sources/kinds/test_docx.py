import io
import re
from pathlib import Path
from zipfile import ZipFile

import pytest
from docx import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from tests.sources.kinds.office_samples import replaced, saved
from tests.sources.samples import load_bytes, make_docx

MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def docx_with(body: str, **parts: str) -> bytes:
    """Make a Word file whose body is this XML, with other parts replaced or added."""

    def change(name: str, old: bytes) -> bytes:
        if name == "word/document.xml":
            text = f"<w:document {WORD} {MATH}><w:body>{body}</w:body></w:document>"
            return text.encode()
        return old

    data = replaced(make_docx(), change)
    out = io.BytesIO(data)
    with ZipFile(out, "a") as archive:
        for name, text in parts.items():
            archive.writestr(f"word/{name}.xml", text)
    return out.getvalue()


def paragraph(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def words(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def text_of(tmp_path: Path, data: bytes) -> str:
    (document,) = load_bytes(tmp_path, "x.docx", data).documents
    return document.text


def test_headings_lists_and_tables_survive(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "rules.docx", make_docx()).documents
    assert document.title == "Ferry rules"
    assert document.text == (
        "# Ferry rules\n\n# Fares\n\nA crossing costs 2.50 crowns.\n\n"
        "* Children travel free.\n* Dogs pay half.\n\n## Hours\n\n"
        "| Day | Last ferry |\n| --- | --- |\n| Sunday | 18:40 |"
    )


def test_lists_in_lists(tmp_path: Path) -> None:
    word = WordDocument()
    for text, style in (
        ("Dogs", "List Bullet"),
        ("small", "List Bullet 2"),
        ("One", "List Number"),
    ):
        word.add_paragraph(text, style=style)
    text = text_of(tmp_path, saved(word.save))
    assert re.search(r"^[*-] Dogs\n", text)
    assert re.search(r"^ *[*+-] small$", text, re.MULTILINE)
    assert "1. One" in text


def test_properties_become_dates_author_and_title(tmp_path: Path) -> None:
    word = WordDocument()
    word.add_paragraph("No heading here.")
    word.core_properties.title = "The ferry"
    word.core_properties.author = "Ann"
    (document,) = load_bytes(tmp_path, "x.docx", saved(word.save)).documents
    assert document.title == "The ferry"
    assert document.metadata == {"author": "Ann"}
    assert document.created == "2013-12-23T23:15:00Z"  # of python-docx's template


def test_equations_become_latex(tmp_path: Path) -> None:
    fraction = f"<m:f><m:num>{run('mλ')}</m:num><m:den>{run('a')}</m:den></m:f>"
    power = f"<m:sSup><m:e>{run('10')}</m:e><m:sup>{run('-6')}</m:sup></m:sSup>"
    body = paragraph(words("For "), f"<m:oMath>{run('m=1')}</m:oMath>", words(", so")) + paragraph(
        f"<m:oMathPara><m:oMath>{run('sinθ=')}{fraction}{run(chr(0xD7))}{power}</m:oMath></m:oMathPara>"
    )
    assert text_of(tmp_path, docx_with(body)) == (
        r"For $m=1$, so" + "\n\n" + r"$$\sin\theta=\frac{m\lambda}{a}\times10^{-6}$$"
    )


def test_merged_cells_are_said_in_each_row(tmp_path: Path) -> None:
    word = WordDocument()
    table = word.add_table(rows=3, cols=3)
    for cell, text in zip(
        table._cells, ["Pier", "Hours", "-", "North", "6", "9", "-", "10", "18"], strict=True
    ):
        cell.text = "" if text == "-" else text
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    lines = text_of(tmp_path, saved(word.save)).splitlines()
    assert lines[0] == "| Pier | Hours |  |"
    assert lines[2:] == ["| North | 6 | 9 |", "| North | 10 | 18 |"]


def test_footnotes_and_comments_stand_at_the_end(tmp_path: Path) -> None:
    notes = (
        f'<w:footnotes {WORD}><w:footnote w:id="2"><w:p>{words("One way.")}</w:p></w:footnote>'
        "</w:footnotes>"
    )
    comments = (
        f'<w:comments {WORD}><w:comment w:id="0" w:author="Ann"><w:p>{words("Still right?")}</w:p>'
        "</w:comment></w:comments>"
    )
    body = paragraph(
        words("A crossing"),
        '<w:r><w:footnoteReference w:id="2"/></w:r>',
        words(" costs 2.50"),
        '<w:r><w:commentReference w:id="0"/></w:r>',
        words("."),
    )
    data = docx_with(body, footnotes=notes, comments=comments)
    assert text_of(tmp_path, data) == (
        "A crossing[^1] costs 2.50.\n\n[^1]: One way.\n\nComments:\n\n* Still right?"
    )


def test_links_stay_and_deleted_text_goes(tmp_path: Path) -> None:
    word = WordDocument()
    paragraph_ = word.add_paragraph("See ")
    target = word.part.relate_to(
        "https://ferry.example/fares",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink",
        is_external=True,
    )
    link = f"<w:hyperlink {nsdecls('w', 'r')} r:id='{{}}'><w:r><w:t>{{}}</w:t></w:r></w:hyperlink>"
    paragraph_._p.append(parse_xml(link.format(target, "fares")))
    gone = f"<w:del {nsdecls('w')}><w:r><w:delText>old price</w:delText></w:r></w:del>"
    new = f"<w:ins {nsdecls('w')}><w:r><w:t> new price</w:t></w:r></w:ins>"
    for xml in (gone, new):
        paragraph_._p.append(parse_xml(xml))
    text = text_of(tmp_path, saved(word.save))
    assert text == "See [fares](https://ferry.example/fares) new price"
    # What refers to nothing: a link, a note and a comment.
    paragraph_._p.append(parse_xml(link.format("rId999", ", gone")))
    for kind in ("footnote", "endnote", "comment"):
        reference = f"<w:r {nsdecls('w')}><w:{kind}Reference w:id='77'/></w:r>"
        paragraph_._p.append(parse_xml(reference))
    assert text_of(tmp_path, saved(word.save)) == text + ", gone"


def test_own_heading_styles_are_headings(tmp_path: Path) -> None:
    word = WordDocument()
    style = word.styles.add_style("Kapitel 'eins'", WD_STYLE_TYPE.PARAGRAPH)
    style.element.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="1"/>'))
    below = word.styles.add_style("Kapitel neu", WD_STYLE_TYPE.PARAGRAPH)
    below.base_style = style
    word.add_paragraph("Fares", style=style)
    word.add_paragraph("Hours", style=below)
    assert text_of(tmp_path, saved(word.save)) == "## Fares\n\n## Hours"


def test_pictures_leave_their_words(tmp_path: Path) -> None:
    from PIL import Image

    picture = saved(lambda out: Image.new("RGB", (4, 4)).save(out, "png"))
    word = WordDocument()
    for words_ in ("A map\nof ports", ""):
        shape = word.add_picture(io.BytesIO(picture))
        shape._inline.docPr.set("descr", words_)
    assert text_of(tmp_path, saved(word.save)) == "![A map of ports](data:image/png;base64...)"


def test_a_style_map_in_the_file_hides_nothing(tmp_path: Path) -> None:
    data = io.BytesIO(make_docx())
    with ZipFile(data, "a") as archive:
        archive.writestr("mammoth/style-map", "p => !")
    assert "A crossing costs" in text_of(tmp_path, data.getvalue())


def test_deep_nesting_is_a_fault_or_read(tmp_path: Path) -> None:
    deep = 20_000
    body = "<w:sdt><w:sdtContent>" * deep + "<w:p/>" + "</w:sdtContent></w:sdt>" * deep
    (fault,) = load_bytes(tmp_path, "x.docx", docx_with(body)).faults
    assert fault.reason == "unreadable"


@pytest.mark.parametrize("data", [b"PK\x03\x04 broken", b"plain text", make_docx()[:2000]])
def test_broken_file_is_a_fault(tmp_path: Path, data: bytes) -> None:
    loaded = load_bytes(tmp_path, "x.docx", data)
    assert not loaded.documents
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [("kb/x.docx", "unreadable")]


def test_password_protected_file_says_so(tmp_path: Path) -> None:
    (fault,) = load_bytes(tmp_path, "x.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100).faults
    assert fault.reason == "encrypted"

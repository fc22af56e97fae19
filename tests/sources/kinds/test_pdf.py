import io
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    PageTemplate,
    Paragraph,
    SimpleDocTemplate,
    Table,
)
from reportlab.platypus.flowables import Flowable

from domainforge.sources.kinds.pdf_ocr import dpi_of_page
from tests.sources.samples import encrypt_pdf, load_bytes, make_pdf

LINES = ["The ferry crosses every hour.", "A crossing costs 2.50 crowns."]
PROSE = (
    "The old harbour has a lighthouse of nine floors and a very patient keeper who counts all "
    "ships of the northern line and writes each of them into a book that nobody reads. "
)
FARES = [["Stop", "Fare", "Note"], ["Veltren", "2.50", ""], ["", "4.00", "guests"]]
FARES_MARKDOWN = (
    "| Stop | Fare | Note |\n| --- | --- | --- |\n| Veltren | 2.50 |  |\n|  | 4.00 | guests |"
)


def text_of(folder: Path, data: bytes) -> str:
    (document,) = load_bytes(folder, "x.pdf", data).documents
    return document.text


def make_flow(*flow: Flowable) -> bytes:
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A4).build(list(flow))
    return buffer.getvalue()


def paragraph(text: str, style: str = "BodyText") -> Paragraph:
    return Paragraph(text, getSampleStyleSheet()[style])


def bare_pdf(objects: Sequence[bytes]) -> bytes:
    """Number raw objects from 1 (the catalogue) and add a cross-reference table."""
    out = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    return out + head + table + end % (len(objects) + 1, len(out))


def one_page(
    content: bytes = b"", extra: bytes = b"", kids: bytes = b"/Count 1/Kids[3 0 R]"
) -> bytes:
    shown = content + b" BT /F 12 Tf 60 700 Td (The ferry crosses every hour.) Tj ET"
    packed = zlib.compress(shown, 9)
    return bare_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R" + extra + b">>",
            b"<</Type/Pages" + kids + b">>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 5 0 R"
            b"/Resources<</Font<</F 4 0 R>>>>>>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed),
        ]
    )


def test_text_title_and_pages(tmp_path: Path) -> None:
    data = make_pdf([LINES, ["The last one leaves at 18:40."]], title="Ferry rules")
    (document,) = load_bytes(tmp_path, "x.pdf", data).documents
    assert document.title == "Ferry rules"
    assert document.metadata == {"pages": 2}
    assert document.media_type == "application/pdf"
    assert document.text == "\n".join([*LINES, "The last one leaves at 18:40."])


def test_title_that_a_program_made_up_is_not_used(tmp_path: Path) -> None:
    for title in (None, "untitled", "Microsoft Word - draft2.docx"):
        (document,) = load_bytes(tmp_path, "ferry_rules.pdf", make_pdf([LINES], title)).documents
        assert document.title == "ferry rules"


def test_author_and_dates(tmp_path: Path) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(make_pdf([LINES]))))
    writer.add_metadata(
        {"/Author": "Ann Lee", "/CreationDate": "D:20240105103000+01'00'", "/ModDate": "D:nonsense"}
    )
    buffer = io.BytesIO()
    writer.write(buffer)
    (document,) = load_bytes(tmp_path, "x.pdf", buffer.getvalue()).documents
    assert document.metadata["author"] == "Ann Lee"
    assert document.created == "2024-01-05T10:30:00+01:00"
    assert document.modified is None


def test_scanned_file_is_a_fault_that_says_what_helps(tmp_path: Path) -> None:
    (fault,) = load_bytes(tmp_path, "scan.pdf", make_pdf([[], []])).faults
    assert fault.reason == "no_text"
    assert "ocr: true" in fault.detail
    assert "pip install 'domainforge[ocr]'" in fault.detail


def test_page_without_text_is_named(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.pdf", make_pdf([LINES, [], LINES])).documents
    assert document.metadata == {"pages": 3, "pages_without_text": [2]}


@pytest.mark.parametrize(
    ("size", "dpi"), [(A4, 200), ((2480, 3508), 72 * (8_000_000 / (2480 * 3508)) ** 0.5)]
)
def test_a_scan_is_drawn_no_larger_than_memory_allows(
    tmp_path: Path, size: tuple[float, float], dpi: float
) -> None:
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=size)
    canvas.rect(50, 50, 300, 300, fill=1)
    canvas.save()
    assert dpi_of_page(tmp_path / "scan.pdf", 1) == pytest.approx(dpi, rel=0.02)


@pytest.mark.slow
def test_scanned_page_is_read_by_ocr(tmp_path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (1240, 400), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((80, 120), "The ferry crosses every hour.", "black", ImageFont.load_default(48))
    picture.save(tmp_path / "scan.png")
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.drawImage(str(tmp_path / "scan.png"), 0, 500, 595, 192)
    canvas.showPage()
    canvas.drawString(60, 700, "A page of text.")
    canvas.save()
    (document,) = load_bytes(tmp_path, "x.pdf", buffer.getvalue(), ocr=True).documents
    assert "The ferry crosses every hour." in document.text
    assert document.metadata == {"pages": 2, "pages_by_ocr": [1]}


def test_missing_extra_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    (fault,) = load_bytes(tmp_path, "scan.pdf", make_pdf([[]]), ocr=True).faults
    assert fault.reason == "no_ocr"
    assert "pip install 'domainforge[ocr]'" in fault.detail


def test_encrypted_file_is_a_fault(tmp_path: Path) -> None:
    data = encrypt_pdf(make_pdf([LINES]), "secret", "owner")
    (fault,) = load_bytes(tmp_path, "x.pdf", data).faults
    assert (fault.reason, fault.uri) == ("encrypted", "kb/x.pdf")


def test_file_that_only_forbids_printing_is_read(tmp_path: Path) -> None:
    assert LINES[0] in text_of(tmp_path, encrypt_pdf(make_pdf([LINES]), "", "owner"))


@pytest.mark.parametrize("data", [b"%PDF-1.4 broken", b"no pdf", make_pdf([LINES])[:300], b""])
def test_broken_file_is_a_fault(tmp_path: Path, data: bytes) -> None:
    (fault,) = load_bytes(tmp_path, "x.pdf", data).faults
    assert fault.reason == "unreadable"


def test_headers_and_footers_that_repeat_are_left_out(tmp_path: Path) -> None:
    words = ["alpha", "beta", "gamma", "delta"]
    text = text_of(
        tmp_path,
        make_pdf(
            [
                ["Handbook of Veltren", f"Fact {word} stands here.", f"A {word} line.", f"Page {n}"]
                for n, word in enumerate(words, 1)
            ]
        ),
    )
    assert "Handbook" not in text
    assert "Page" not in text
    assert text.count("stands here") == text.count("line.") == 4


def test_two_pages_are_too_few_to_tell_a_header(tmp_path: Path) -> None:
    data = make_pdf([["Ferry", "Alpha"], ["Ferry", "Beta"]])
    assert text_of(tmp_path, data) == "Ferry\nAlpha\nFerry\nBeta"


def test_pages_that_are_all_alike_are_kept(tmp_path: Path) -> None:
    assert text_of(tmp_path, make_pdf([["Habibi"]] * 4)) == "\n".join(["Habibi"] * 4)


def test_hyphens_at_line_ends_are_mended(tmp_path: Path) -> None:
    page = [
        "The old harbour has a well-known light-",
        "house of nine floors and a very well-",
        "known keeper, who counts all ships of the North-",
        "South line.",
    ]
    assert text_of(tmp_path, make_pdf([page])) == (
        "The old harbour has a well-known lighthouse of nine floors and a very well-known keeper,"
        " who counts all ships of the North-South line."
    )


def test_wrapped_lines_are_joined_and_short_ones_stay(tmp_path: Path) -> None:
    text = text_of(
        tmp_path,
        make_flow(
            paragraph("Fares"),
            paragraph(PROSE * 3),
            paragraph("Sunday until 18:40"),
            paragraph("\u2022 Every bicycle costs half a crown."),
            paragraph("\u2022 Every dog is free."),
        ),
    )
    assert text.split("\n") == [
        "Fares",
        "",
        (PROSE * 3).strip(),
        "",
        "Sunday until 18:40",
        "",
        "- Every bicycle costs half a crown.",
        "- Every dog is free.",
    ]


def test_sentence_goes_on_over_the_page(tmp_path: Path) -> None:
    text = text_of(tmp_path, make_flow(paragraph(PROSE * 40)))
    assert text == (PROSE * 40).strip()


def test_headings_by_type_size(tmp_path: Path) -> None:
    text = text_of(
        tmp_path,
        make_flow(
            paragraph("Ferry rules", "Title"),
            paragraph(PROSE),
            paragraph("Fares", "Heading2"),
            paragraph(PROSE),
        ),
    )
    assert text.startswith("# Ferry rules\n\nThe old harbour")
    assert "\n\n## Fares\n\n" in text


def test_headings_by_the_outline(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.setFont("Helvetica-Bold", 12)
    for place, (line, level) in enumerate({"1 Ferry rules": 0, "1.1 Fares": 1}.items()):
        canvas.drawString(60, 780 - 100 * place, line)
        canvas.bookmarkPage(line)
        canvas.addOutlineEntry(line.split(" ", 1)[1], line, level)
        canvas.drawString(60, 740 - 100 * place, "The fare for the ferry is due on board.")
    canvas.save()
    text = text_of(tmp_path, buffer.getvalue())
    assert "# 1 Ferry rules\n\nThe fare" in text
    assert "\n\n## 1.1 Fares\n\nThe fare" in text


@pytest.mark.parametrize("ruled", [True, False])
def test_tables(tmp_path: Path, ruled: bool) -> None:
    style = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if ruled else []
    table = Table(FARES, style=style)
    text = text_of(tmp_path, make_flow(paragraph(PROSE), table, paragraph(PROSE)))
    assert f"reads.\n\n{FARES_MARKDOWN}\n\nThe old" in text


def test_cell_of_several_lines_stays_one_cell(tmp_path: Path) -> None:
    rows = [["Stop", "Note"], ["Veltren", "by the\nold | mill"], ["Sund", "none"]]
    grid = ("GRID", (0, 0), (-1, -1), 0.5, colors.black)
    text = text_of(
        tmp_path, make_flow(Table(rows, style=[grid, ("VALIGN", (0, 0), (-1, -1), "TOP")]))
    )
    assert "| Veltren | by the old \\| mill |\n| Sund | none |" in text


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    template = BaseDocTemplate(buffer, pagesize=A4)
    frames = [Frame(50, 400, 230, 350, id="left"), Frame(310, 400, 230, 350, id="right")]
    template.addPageTemplates([PageTemplate(frames=frames)])
    template.build([paragraph(f"{number}. {PROSE * 2}") for number in range(1, 9)])
    text = text_of(tmp_path, buffer.getvalue())
    places = [text.index(f"{number}. The old harbour") for number in range(1, 9)]
    assert places == sorted(places)
    assert text.count((PROSE * 2).strip()) == 8


def test_letters_set_apart_and_ligatures(tmp_path: Path) -> None:
    text = text_of(tmp_path, make_pdf([["A B S T R A C T", "no 1 2 3 4 5 change"]]))
    assert text == "ABSTRACT\nno 1 2 3 4 5 change"


def test_form_annotation_link_and_attachment_are_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    canvas.drawString(60, 700, "Order of a ticket")
    canvas.acroForm.textfield(name="Name", value="Ann Lee", x=60, y=600)
    canvas.acroForm.checkbox(name="Dog", checked=True, x=60, y=550)
    canvas.linkURL("https://example.org/fares", (60, 500, 200, 520))
    canvas.textAnnotation("Ask the keeper", (60, 400, 80, 420))
    canvas.save()
    writer = PdfWriter(clone_from=PdfReader(buffer))
    writer.add_attachment("fares.csv", b"a,b")
    buffer = io.BytesIO()
    writer.write(buffer)
    (document,) = load_bytes(tmp_path, "x.pdf", buffer.getvalue()).documents
    assert document.text.endswith("- Name: Ann Lee\n- Dog: yes")
    assert document.metadata["form_fields"] == {"Name": "Ann Lee", "Dog": "yes"}
    assert document.metadata["links"] == ["https://example.org/fares"]
    assert document.metadata["annotations"] == ["page 1: Ask the keeper"]
    assert document.metadata["attachments"] == ["fares.csv"]


def test_raw_text_is_kept_where_asked(tmp_path: Path) -> None:
    data = make_pdf([["Head", f"{n} is here", "foot"] for n in ("one", "two", "three")])
    (document,) = load_bytes(tmp_path, "x.pdf", data, keep_raw=True).documents
    assert "Head" not in document.text
    assert document.raw is not None
    assert document.raw.count("Head") == 3


def test_page_tree_loop_ends(tmp_path: Path) -> None:
    data = one_page(kids=b"/Count 3/Kids[3 0 R 2 0 R]")
    assert text_of(tmp_path, data) == LINES[0]


def test_claim_of_a_million_pages(tmp_path: Path) -> None:
    (document,) = load_bytes(
        tmp_path, "x.pdf", one_page(kids=b"/Count 1000000/Kids[3 0 R]")
    ).documents
    assert document.text == LINES[0]
    assert document.metadata == {"pages": 1, "pages_claimed": 1_000_000}


def test_bomb_in_a_stream(tmp_path: Path) -> None:
    assert text_of(tmp_path, one_page(b" " * (64 << 20))) == LINES[0]


def test_absurd_nesting(tmp_path: Path) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert text_of(tmp_path, one_page(extra=b"/X " + deep)) == LINES[0]
    assert text_of(tmp_path, one_page(deep)) == LINES[0]


def test_endless_text_on_one_page_is_cut(tmp_path: Path) -> None:
    drawn = b"BT /F 1 Tf 1 790 Td " + b"(a) Tj 20 0 Td (b) Tj -20 -1 Td " * 60_000 + b"ET"
    (document,) = load_bytes(tmp_path, "x.pdf", one_page(drawn)).documents
    assert len(document.text) < 1_000_000


@pytest.mark.slow
def test_absurd_pages_take_linear_time(tmp_path: Path) -> None:
    """Rows that are nearly tables, and a paragraph without end."""
    shifted = b"".join(b"1 0 0 1 %d %d Tm (abc) Tj 1 0 0 1 %d %d Tm (def) Tj " % (
        n * 7 % 300, 5000 - n, 320 + n * 11 % 250, 5000 - n) for n in range(9000))  # fmt: skip
    lines = b"0 -1.2 Td (and the keeper counts all the ships that come by in the) Tj " * 20_000
    started = time.process_time()
    text_of(tmp_path, one_page(b"BT /F 1 Tf " + shifted + b"ET"))
    text_of(tmp_path, one_page(b"BT /F 1 Tf " + lines + b"ET"))
    assert time.process_time() - started < 20

import io
from pathlib import Path

from PIL import Image
from pptx import Presentation
from pptx.chart.data import XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml
from pptx.util import Inches

from tests.sources.kinds.office_samples import make_pptx, saved
from tests.sources.samples import load_bytes


def test_slides_in_order_with_tables_charts_and_notes(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "x.pptx", make_pptx())
    (document,) = loaded.documents
    assert document.text == (
        "## Ferry rules\n\n* Dogs pay half\n    * Small ones\n\n"
        "### Notes\n\nMention the muzzle.\n\n"
        "## Slide 2\n\ntop\n\nleft\n\nright\n\n"
        "| Day | Last \\| ferry |\n| --- | --- |\n| Sunday | 18:40 |\n\nin a group\n\n"
        "## Guests\n\n### Chart: By month\n\n"
        "| Category | Guests |\n| --- | --- |\n| May | 120 |\n| June | 240.5 |"
    )
    assert (document.title, document.metadata) == (
        "The ferry, in slides",
        {"author": "Ann", "slides": 4},
    )
    assert [(left.uri, left.reason) for left in loaded.dropped] == [("kb/x.pptx#slide-4", "hidden")]


def test_pictures_leave_their_words_and_no_pixels(tmp_path: Path) -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    pixels = saved(lambda out: Image.new("RGB", (4, 4)).save(out, "png"))
    for words in ("Map of\nports", ""):
        picture = slide.shapes.add_picture(io.BytesIO(pixels), 0, 0)
        picture._element._nvXxPr.cNvPr.set("descr", words)
        picture.name = "Picture 4"
    (document,) = load_bytes(tmp_path, "x.pptx", saved(show.save)).documents
    assert document.text == "## Slide 1\n\n![Map of ports](Picture4.png)"


def test_links_numbers_and_points_of_a_scatter_chart(tmp_path: Path) -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    frame = slide.shapes.add_textbox(0, 0, 1, 1).text_frame
    run = frame.paragraphs[0].add_run()
    run.text = "fares"
    run.hyperlink.address = "https://ferry.example/fares"
    other = frame.add_paragraph()
    other.text = "first"
    other._p.get_or_add_pPr().append(
        parse_xml(
            '<a:buAutoNum xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
            'type="arabicPeriod"/>'
        )
    )
    data = XyChartData()
    series = data.add_series("Wind")
    series.add_data_point(1, 2.5)
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, Inches(3), 9, 9, data)
    (document,) = load_bytes(tmp_path, "x.pptx", saved(show.save)).documents
    assert document.text == (
        "## Slide 1\n\n[fares](https://ferry.example/fares)\n\n1. first\n\n"
        "### Chart\n\n| Series | X | Y |\n| --- | --- | --- |\n| Wind | 1 | 2.5 |"
    )


def test_equations_on_slides(tmp_path: Path) -> None:
    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    frame = slide.shapes.add_textbox(0, 0, 1, 1)
    frame.text_frame.text = "So "
    frame.text_frame.paragraphs[0]._p.append(
        parse_xml(
            '<a14:m xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" '
            'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:oMath><m:r>'
            "<m:t>m=1</m:t></m:r></m:oMath></a14:m>"
        )
    )
    either = parse_xml(
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/'
        '2006"><mc:Choice Requires="a14"/><mc:Fallback/></mc:AlternateContent>'
    )
    frame._element.addprevious(either)
    either[0].append(frame._element)
    (document,) = load_bytes(tmp_path, "x.pptx", saved(show.save)).documents
    assert document.text == "## Slide 1\n\nSo $m=1$"

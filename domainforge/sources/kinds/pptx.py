"""PowerPoint slides by python-pptx: titles, lists, tables, charts, notes, words of pictures."""

import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.equations import is_math, latex_of
from domainforge.sources.kinds.office import (
    BROKEN_ZIP,
    core_properties,
    open_package,
    parse_xml,
)
from domainforge.sources.kinds.tables import markdown_table
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from pptx.chart.chart import Chart
    from pptx.shapes.base import BaseShape
    from pptx.slide import Slide
    from pptx.text.text import TextFrame, _Paragraph

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_FALSE = ("0", "false", "off")
_DEEPEST_GROUP = 30
_MAX_CHART_POINTS = 5_000
# Shapes whose tops differ by less than this stand side by side: 0.25 inch.
_SAME_LINE_EMU = 228_600
# What python-pptx raises on broken files besides its own errors.
_BROKEN = (*BROKEN_ZIP, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError)


def load_pptx(data: bytes, file: SourceFile) -> Loaded:
    """Read the slides of a presentation in order, each under its title.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    from lxml.etree import LxmlError
    from pptx import Presentation
    from pptx.exc import PythonPptxError

    package = open_package(data, ".pptx", "ppt/")
    properties = core_properties(package)
    try:
        slides = list(Presentation(io.BytesIO(data)).slides)
        shown = [(n, s) for n, s in enumerate(slides, 1) if s.element.get("show") not in _FALSE]
        parts = [(number, *_slide(slide, number)) for number, slide in shown]
    except (PythonPptxError, LxmlError, *_BROKEN) as error:
        raise UnreadableError("unreadable", f"no readable .pptx: {error}"[:300]) from error
    metadata: dict[str, Any] = {**properties.metadata, "slides": len(slides)}
    titles = [title for _, title, _ in parts if title]
    text = "\n\n".join(body for _, _, body in parts)
    document = Document(
        file.uri,
        properties.title or next(iter(titles), None) or file.stem,
        clean_text(text),
        MEDIA_TYPE,
        metadata,
        created=properties.created,
        modified=properties.modified,
        raw=text if file.config.keep_raw else None,
    )
    hidden = sorted(set(range(1, len(slides) + 1)) - {number for number, _ in shown})
    dropped = [LeftOut(f"{file.uri}#slide-{n}", "hidden", "a hidden slide") for n in hidden]
    return Loaded((document,), tuple(dropped))


def _slide(slide: "Slide", number: int) -> tuple[str, str]:
    """Return a slide's title, empty if it has none, and its Markdown."""
    _take_choices(slide)
    title_shape = slide.shapes.title
    title = " ".join(clean_text(title_shape.text_frame.text).split()) if title_shape else ""
    lines = [f"## {title or f'Slide {number}'}"]
    title_id = title_shape.shape_id if title_shape is not None else None
    others = [shape for shape in slide.shapes if shape.shape_id != title_id]
    lines += [block for shape in _in_reading_order(others) for block in _shape(shape, 0)]
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        notes = _text(frame, bulleted=False) if frame is not None else ""
        if notes:
            lines.append(f"### Notes\n\n{notes}")
    return title, "\n\n".join(line for line in lines if line)


def _take_choices(slide: "Slide") -> None:
    """Put what newer programs show (equations, diagrams) where python-pptx finds it."""
    for either in list(slide.element.iter(f"{_CHOICE}AlternateContent")):
        parent = either.getparent()
        choice = either.find(f"{_CHOICE}Choice")
        if parent is not None and choice is not None:
            for child in list(choice):
                either.addprevious(child)
            parent.remove(either)


def _in_reading_order(shapes: Iterable["BaseShape"]) -> list["BaseShape"]:
    """Sort from top to bottom, side by side from left to right; the file has the painting order."""
    placed = sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0))
    result: list[BaseShape] = []
    row: list[BaseShape] = []
    for shape in placed:
        if row and (shape.top or 0) - (row[0].top or 0) > _SAME_LINE_EMU:
            result += sorted(row, key=lambda other: other.left or 0)
            row = []
        row.append(shape)
    return result + sorted(row, key=lambda other: other.left or 0)


def _shape(shape: Any, depth: int) -> Iterator[str]:
    from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER

    if shape.element.tag.endswith("}grpSp"):
        if depth < _DEEPEST_GROUP:
            for child in _in_reading_order(shape.shapes):
                yield from _shape(child, depth + 1)
        return
    if shape.is_placeholder and shape.placeholder_format.type in (
        PP_PLACEHOLDER.SLIDE_NUMBER,
        PP_PLACEHOLDER.FOOTER,
        PP_PLACEHOLDER.DATE,
    ):
        return
    if getattr(shape, "has_table", False):
        yield markdown_table([[cell.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield _chart(shape.chart)
    elif shape.element.tag.endswith("}graphicFrame"):
        yield _diagram(shape)
    elif shape.element.tag.endswith("}pic") and shape.shape_type != MSO_SHAPE_TYPE.MEDIA:
        yield _picture(shape)
    elif shape.has_text_frame:
        bulleted = shape.is_placeholder and shape.placeholder_format.type in (
            PP_PLACEHOLDER.OBJECT,
            PP_PLACEHOLDER.BODY,
            PP_PLACEHOLDER.VERTICAL_BODY,
        )
        yield _text(shape.text_frame, bulleted)


def _text(frame: "TextFrame", bulleted: bool) -> str:
    """Write paragraphs; those with bullets become lists, as do several in a body placeholder."""
    paragraphs = [(p, _runs(p)) for p in frame.paragraphs]
    paragraphs = [(p, text) for p, text in paragraphs if text]
    lines: list[str] = []
    was_item = False
    for paragraph, text in paragraphs:
        mark = _mark(paragraph, bulleted and len(paragraphs) > 1)
        if lines and not (mark and was_item):
            lines.append("")
        lines.append(f"{'    ' * paragraph.level}{mark} {text}" if mark else text)
        was_item = bool(mark)
    return "\n".join(lines)


def _mark(paragraph: "_Paragraph", default: bool) -> str:
    properties = paragraph._p.pPr
    kinds = {child.tag for child in properties} if properties is not None else set()
    if f"{_DRAWING}buNone" in kinds:
        return ""
    if f"{_DRAWING}buAutoNum" in kinds:
        return "1."
    return "*" if default or f"{_DRAWING}buChar" in kinds or paragraph.level else ""


def _runs(paragraph: "_Paragraph") -> str:
    links = {run._r: run.hyperlink.address for run in paragraph.runs if run.hyperlink.address}
    parts = []
    for child in paragraph._p:
        if child.tag == f"{_DRAWING}br":
            parts.append(" ")
            continue
        equations = [e for e in child.iter() if is_math(e, "oMath")]
        if equations:
            parts += [f"${latex_of(equation)}$" for equation in equations]
            continue
        text = "".join(t.text or "" for t in child.iter(f"{_DRAWING}t"))
        address = links.get(child, "")
        safe = re.match(r"(?:https?://|mailto:)\S+$", address)
        parts.append(f"[{text.strip()}]({address})" if safe and text.strip() else text)
    return " ".join("".join(parts).split())


def _picture(shape: Any) -> str:
    """Stand for a picture by what is said of it; one that nothing is said of is left out."""
    words = " ".join(clean_text(shape._element._nvXxPr.cNvPr.get("descr") or "").split())
    if not words:
        return ""
    name = re.sub(r"\W", "", shape.name) or "picture"
    try:
        extension = shape.image.ext
    except _BROKEN:
        extension = "jpg"  # linked, or its file is missing
    return f"![{words.replace(']', ')').replace('[', '(')}]({name}.{extension})"


def _chart(chart: "Chart") -> str:
    """Write a chart's numbers as a table: categories down, series across."""
    title = chart.chart_title.text_frame.text if _has_title(chart) else ""
    heading = " ".join(f"### Chart: {title}".split()) if title else "### Chart"
    tables = []
    for plot in chart.plots:
        series = list(plot.series)
        names = [str(each.name or "") for each in series]
        categories = [" / ".join(map(str, labels)) for labels in plot.categories.flattened_labels]
        if categories:
            rows = [["Category", *names]]
            values = [list(each.values)[:_MAX_CHART_POINTS] for each in series]
            for index, category in enumerate(categories[:_MAX_CHART_POINTS]):
                row = [column[index] if index < len(column) else None for column in values]
                rows.append([category, *map(_number, row)])
        else:
            rows = [["Series", "X", "Y"]]
            for each in series:
                rows += [[str(each.name or ""), x, y] for x, y in _points(each._element)]
        tables.append(markdown_table(rows))
    return "\n\n".join([heading, *filter(None, tables)])


def _has_title(chart: "Chart") -> bool:
    return bool(chart.has_title and chart.chart_title.has_text_frame)


def _points(series: Any) -> list[tuple[str, str]]:
    """Read the points of a scatter or bubble chart from the values that it keeps."""
    columns = []
    for name in ("xVal", "yVal"):
        values = series.xpath(f"./c:{name}//c:pt/c:v")[:_MAX_CHART_POINTS]
        columns.append([value.text or "" for value in values])
    return list(zip(*columns, strict=False))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _diagram(shape: Any) -> str:
    """Read the words of a SmartArt diagram as a list; other embedded objects have none."""
    for relations in shape._element.iter(f"{_DIAGRAM}relIds"):
        part = shape.part.related_part(relations.get(f"{_RELATION}dm"))
        root = parse_xml(part.blob, "diagram data")
        texts = (
            " ".join(" ".join(t.text or "" for t in point.iter(f"{_DRAWING}t")).split())
            for point in root.iter(f"{_DIAGRAM}pt")
        )
        return "\n".join(f"* {clean_text(text)}" for text in texts if text)
    return ""

"""Word documents: mammoth reads them, equations, notes and comments are made readable."""

import io
import re
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from domainforge.records import Document
from domainforge.sources.cleaning import first_heading
from domainforge.sources.kinds.docx_parts import mend_docx
from domainforge.sources.kinds.html import html_to_markdown, parse_html
from domainforge.sources.kinds.office import BROKEN_ZIP, Package, core_properties, open_package
from domainforge.sources.kinds.tables import spread_merged_cells
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from lxml.etree import _Element

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_STYLES = (
    "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh\n"
    "comment-reference => sup\nu => \nstrike => "
)
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HIGHEST_HEADING = 6
# What mammoth and expat raise on broken files; neither has one error class.
_BROKEN = (*BROKEN_ZIP, ArithmeticError, AttributeError, ExpatError, LookupError, TypeError)


def load_docx(data: bytes, file: SourceFile) -> Loaded:
    """Read a Word document; headings, lists, tables, notes, equations and comments survive.

    Headers, footers, deleted text and pixels do not; tracked insertions do.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    package = open_package(data, ".docx", "word/")
    properties = core_properties(package)
    try:
        html = _html(package)
        text = _markdown(html)
    except _BROKEN as error:
        raise UnreadableError("unreadable", f"no readable .docx: {error}"[:300]) from error
    own = first_heading(text)
    # A title from a template outlives many documents; a heading on top is seen by the reader.
    title = own if text.startswith("# ") else properties.title or own
    document = Document(
        file.uri,
        title or file.stem,
        text,
        MEDIA_TYPE,
        properties.metadata,
        created=properties.created,
        modified=properties.modified,
        raw=html if file.config.keep_raw else None,
    )
    return Loaded((document,))


def _html(package: Package) -> str:
    import mammoth

    result = mammoth.convert_to_html(
        io.BytesIO(mend_docx(package)),
        style_map=_STYLES + _heading_styles(package),
        # A map inside the file could hide parts of its text.
        include_embedded_style_map=False,
        convert_image=mammoth.images.img_element(_without_pixels),
    )
    return str(result.value)


def _markdown(html: str) -> str:
    soup = parse_html(html)
    for picture in soup.find_all("img", alt=True):
        picture["alt"] = " ".join(str(picture["alt"]).split())
    _write_notes(soup)
    _write_comments(soup)
    spread_merged_cells(soup)
    return html_to_markdown(soup)


def _without_pixels(image: Any) -> dict[str, str]:
    """Stand for an image; its alternative text is kept by mammoth. Linked ones are not fetched."""
    if image.content_type is None:
        return {"src": "linked-image"}
    return {"src": f"data:{image.content_type};base64,"}


def _heading_styles(package: Package) -> str:
    """Map a template's own heading styles, which mammoth doesn't know, by their outline level."""
    if "word/styles.xml" not in package:
        return ""
    styles = {
        style.get(f"{_WORD}styleId"): style
        for style in package.xml("word/styles.xml").iter(f"{_WORD}style")
        if style.get(f"{_WORD}type") == "paragraph"
    }
    lines = []
    for style in styles.values():
        name_element = style.find(f"{_WORD}name")
        name = name_element.get(f"{_WORD}val", "") if name_element is not None else ""
        level = _outline_level(style, styles)
        if not name or level is None or re.match(r"(?i)heading \d|title$|toc", name):
            continue
        quoted = name.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ")
        lines.append(f"\np[style-name='{quoted}'] => h{level}:fresh")
    return "".join(lines)


def _outline_level(style: "_Element", styles: dict[str | None, "_Element"]) -> int | None:
    """Find a style's level, or that of the style that it is based on."""
    current: _Element | None = style
    for _ in range(10):
        if current is None:
            return None
        found = current.find(f"{_WORD}pPr/{_WORD}outlineLvl")
        value = found.get(f"{_WORD}val", "") if found is not None else ""
        if value.isdecimal():
            level = int(value) + 1
            return level if level <= _HIGHEST_HEADING else None
        parent = current.find(f"{_WORD}basedOn")
        current = styles.get(parent.get(f"{_WORD}val")) if parent is not None else None
    return None


def _write_notes(soup: "BeautifulSoup") -> None:
    """Turn footnotes and endnotes into Markdown's: `[^1]` in the text, `[^1]: ...` at the end."""
    numbers: dict[str, int] = {}
    for link in soup.select("sup > a[href^='#footnote-'], sup > a[href^='#endnote-']"):
        number = numbers.setdefault(str(link["href"])[1:], len(numbers) + 1)
        assert link.parent is not None
        link.parent.replace_with(f"[^{number}]")
    for item in soup.select("li[id^='footnote-'], li[id^='endnote-']"):
        for back in item.select("a[href^='#footnote-ref-'], a[href^='#endnote-ref-']"):
            back.decompose()
        note = soup.new_tag("p")
        text = " ".join(item.get_text(" ", strip=True).split())
        note.string = f"[^{numbers.get(str(item['id']), 0)}]: {text}"
        ordered = item.parent
        soup.append(note)
        item.decompose()
        if ordered is not None and not ordered.find("li"):
            ordered.decompose()


def _write_comments(soup: "BeautifulSoup") -> None:
    """Gather reviewers' comments in a list at the end; their marks in the text go."""
    for link in soup.select("sup > a[href^='#comment-']"):
        assert link.parent is not None
        link.parent.decompose()
    entries = soup.select("dl > dt[id^='comment-']")
    if not entries:
        return
    texts = []
    for entry in entries:
        body = entry.find_next_sibling("dd")
        if body is None:
            continue
        for back in body.select("a[href^='#comment-ref-']"):
            back.decompose()
        texts.append(" ".join(body.get_text(" ", strip=True).split()))
        body.decompose()
    lists = {id(entry.parent): entry.parent for entry in entries if entry.parent is not None}
    for each in lists.values():
        each.decompose()
    soup.append(_comment_list(soup, [text for text in texts if text]))


def _comment_list(soup: "BeautifulSoup", texts: list[str]) -> "BeautifulSoup":
    from bs4 import BeautifulSoup

    fragment = BeautifulSoup("", "html.parser")
    if texts:
        heading = soup.new_tag("p", string="Comments:")
        items = soup.new_tag("ul")
        for text in texts:
            items.append(soup.new_tag("li", string=text))
        fragment.extend([heading, items])
    return fragment

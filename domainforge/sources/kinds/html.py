"""HTML to Markdown: the page's main content, without navigation and page furniture."""

import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_FURNITURE = (
    "head, title, script, style, noscript, template, svg, canvas, iframe, object, nav, footer, "
    "aside, dialog, button, select, input, textarea, [hidden], [role=navigation], [role=search], "
    "[role=complementary], [role=dialog], "
    # These two are landmarks of the page; inside the content some sites use them for anything.
    ":is([role=banner], [role=contentinfo]):not(main *, article *)"
)
_MAIN = ("main", "[role=main]", "article", "#content", "#main-content", "#main")
# A page whose <main> holds less than this part of its text marks something else with it.
_MIN_MAIN_SHARE = 0.3


def load_html(data: bytes, file: SourceFile) -> Loaded:
    """Read an HTML page."""
    from bs4.dammit import EncodingDetector

    declared = EncodingDetector.find_declared_encoding(data[:4096], is_html=True)
    try:
        soup = parse_html(decode(data, declared))
        title = page_title(soup) or file.stem
        text = html_to_markdown(main_content(soup))
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None
    return Loaded((Document(file.uri, title, text, "text/html"),))


def parse_html(markup: str) -> "BeautifulSoup":
    """Parse a page; what looks like a URL or like XML is taken as HTML all the same."""
    from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning

    with warnings.catch_warnings():
        for spurious in (MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning):
            warnings.simplefilter("ignore", spurious)
        return BeautifulSoup(markup, "html.parser")


def main_content(soup: "BeautifulSoup") -> "Tag":
    """Drop page furniture in place and return the element that holds the content."""
    from bs4.element import Comment, Declaration, Doctype, ProcessingInstruction

    unseen = (Comment, Declaration, Doctype, ProcessingInstruction)
    for string in soup.find_all(string=lambda text: isinstance(text, unseen)):
        string.extract()
    for header in soup.find_all("header"):
        if header.decomposed:
            continue
        headings = header.find_all(["h1", "h2", "h3"])
        # Inside the content a header carries the heading (and share buttons, bylines, menus).
        if header.find_parent(["main", "article"]) and headings:
            header.replace_with(*(heading.extract() for heading in headings))
        else:
            header.decompose()
    for element in soup.select(_FURNITURE):
        if not element.decomposed:
            element.decompose()
    body: Tag = soup.body or soup
    whole = len(body.get_text())
    for selector in _MAIN:
        found = soup.select(selector)
        if len(found) == 1 and len(found[0].get_text()) >= _MIN_MAIN_SHARE * whole:
            return found[0]
    return body


def page_title(soup: "BeautifulSoup") -> str | None:
    """Return the page's own title: its only h1 where <title> adds the site's name to it."""
    headings = [" ".join(h.get_text().split()) for h in soup.find_all("h1")]
    headings = [heading for heading in headings if heading]
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    if len(headings) == 1 and (not title or headings[0] in title):
        return clean_text(headings[0])
    return clean_text(title or next(iter(headings), "")) or None


def html_to_markdown(root: "Tag") -> str:
    """Turn an element into Markdown: headings, lists, tables, code and links survive."""
    from markdownify import MarkdownConverter

    for image in root.find_all("img"):
        _shorten_image(image)
    for link in root.find_all("a"):
        if str(link.get("href", "")).lower().startswith(("javascript:", "data:")):
            link.unwrap()
    converter = MarkdownConverter(
        heading_style="ATX",
        escape_asterisks=False,
        escape_underscores=False,
        table_infer_header=True,
        code_language_callback=_code_language,
    )
    text: str = converter.convert_soup(root)
    return clean_text(re.sub(r"(?m)^[ \t]+$", "", text))


def _shorten_image(image: "Tag") -> None:
    """Cut pixels that are written into the page; an image that says nothing goes."""
    source = str(image.get("src") or image.get("data-src") or "")
    if not source.startswith("data:"):
        return
    if image.get("alt"):
        image["src"] = source.split(",")[0] + "..."
    else:
        image.decompose()


def _code_language(element: "Tag") -> str | None:
    """Find `language-x` on a <pre> or on the <code> in it."""
    for tag in (element, element.find("code")):
        classes: Iterable[str] = (tag.get("class") or ()) if tag else ()
        for name in classes:
            if name.startswith(("language-", "lang-")):
                return name.partition("-")[2]
    return None

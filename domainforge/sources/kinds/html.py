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

    from domainforge.sources.kinds.html_facts import PageFacts

_FURNITURE = frozenset(
    (
        *("head", "title", "script", "style", "noscript", "template", "svg", "canvas", "iframe"),
        *("object", "nav", "footer", "aside", "dialog", "button", "select", "input", "textarea"),
    )
)
_FURNITURE_ROLES = frozenset(("navigation", "search", "complementary", "dialog"))
# These two are landmarks of the page; inside the content some sites use them for anything.
_LANDMARK_ROLES = frozenset(("banner", "contentinfo"))
_MAIN = ("main", "[role=main]", "article", "#content", "#main-content", "#main")
# A page whose <main> holds less than this part of its text marks something else with it.
_MIN_MAIN_SHARE = 0.3


def load_html(data: bytes, file: SourceFile) -> Loaded:
    """Read an HTML page: all of its main content, as plain as it stands.

    Raises:
        UnreadableError: No text, or nested too deeply.
    """
    from domainforge.sources.kinds.html_facts import page_facts

    try:
        markup = decode_page(data)
        soup = parse_html(markup)
        facts = page_facts(soup)
        title = page_title(soup) or facts.title or file.stem
        base = page_base(soup, file)
        text = html_to_markdown(main_content(soup), base)
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None
    return Loaded((page_document(file, title, text, facts, markup),))


def page_document(
    file: SourceFile, title: str, text: str, facts: "PageFacts", markup: str
) -> Document:
    """Make the document of a page from its text and what it says of itself."""
    metadata = {
        key: value
        for key in ("author", "url", "language")
        if (value := getattr(facts, key)) is not None
    }
    return Document(
        file.uri,
        title,
        text,
        "text/html",
        metadata,
        created=facts.published,
        modified=facts.modified,
        license=facts.license,
        raw=markup if file.config.keep_raw else None,
    )


def page_base(soup: "BeautifulSoup", file: SourceFile) -> str | None:
    """Return the address that relative links start at: known to the source, or in <base>.

    A file's own word for its address (canonical) is not used: a saved page links to the files
    beside it.
    """
    from domainforge.sources.kinds.html_links import base_of

    given = file.given.get("url")
    return base_of(soup, given if isinstance(given, str) else None)


def decode_page(data: bytes) -> str:
    """Decode a page by its byte order mark, UTF-8, what it declares, or a guess."""
    from bs4.dammit import EncodingDetector

    return decode(data, EncodingDetector.find_declared_encoding(data[:4096], is_html=True))


def parse_html(markup: str) -> "BeautifulSoup":
    """Parse a page; what looks like a URL or like XML is taken as HTML all the same."""
    from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning

    with warnings.catch_warnings():
        for spurious in (MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning):
            warnings.simplefilter("ignore", spurious)
        return BeautifulSoup(markup, "lxml")


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
    # One walk: CSS selectors took half of the time of a large page.
    for element in soup.find_all(_is_furniture):
        if not element.decomposed:
            element.decompose()
    body: Tag = soup.body or soup
    whole = len(body.get_text())
    for selector in _MAIN:
        found = soup.select(selector)
        if len(found) == 1 and len(found[0].get_text()) >= _MIN_MAIN_SHARE * whole:
            return found[0]
    return body


def _is_furniture(element: "Tag") -> bool:
    if element.name in _FURNITURE or "hidden" in element.attrs:
        return True
    role = element.attrs.get("role")
    if role is None:
        return False
    return role in _FURNITURE_ROLES or (
        role in _LANDMARK_ROLES and element.find_parent(["main", "article"]) is None
    )


def page_title(soup: "BeautifulSoup") -> str | None:
    """Return the page's own title: its only h1 where <title> adds the site's name to it."""
    headings = [" ".join(h.get_text().split()) for h in soup.find_all("h1")]
    headings = [heading for heading in headings if heading]
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    if len(headings) == 1 and (not title or headings[0] in title):
        return clean_text(headings[0])
    return clean_text(title or next(iter(headings), "")) or None


def html_to_markdown(root: "Tag", base: str | None = None) -> str:
    """Turn an element into Markdown: headings, lists, tables, code and links survive.

    Args:
        root: The element; it is changed on the way.
        base: Address that relative links start at; None leaves them as they are.
    """
    from markdownify import MarkdownConverter

    from domainforge.sources.kinds.html_links import mend_links

    for image in root.find_all("img"):
        _shorten_image(image)
    mend_links(root, base)
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

"""E-books: the chapters of an EPUB in reading order, each under its heading."""

import posixpath
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.html import decode_page, html_to_markdown, parse_html
from domainforge.sources.kinds.office import (
    Package,
    Properties,
    iso_date,
    open_package,
    properties_of,
)
from domainforge.sources.kinds.tables import spread_merged_cells
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from lxml.etree import _Element

MEDIA_TYPE = "application/epub+zip"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTERS = (
    "application/xhtml+xml",
    "text/html",
    "application/x-dtbook+xml",
    "text/x-oeb1-document",
)
_NOT_READ = "head, script, style, svg, iframe, object, audio, video, nav, [hidden]"
_MAX_CHAPTERS = 10_000


def load_epub(data: bytes, file: SourceFile) -> Loaded:
    """Read a book without copy protection as one document; pixels are left out.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    package = open_package(data, ".epub", _CONTAINER)
    opf_name = _opf_name(package)
    opf = package.xml(opf_name)
    folder = posixpath.dirname(opf_name)
    properties = _properties(opf)
    names = _spine(opf, folder)
    _refuse_locked(package, names)
    titles = _chapter_titles(package, opf, folder)
    parts: list[str] = []
    raw: list[str] = []
    faults: list[LeftOut] = []
    for name in names:
        try:
            markup = decode_page(package.read(name))
            parts.append(_chapter(markup, titles.get(name)))
            raw.append(markup if file.config.keep_raw else "")
        except UnreadableError as error:
            faults.append(LeftOut(f"{file.uri}#{name}", error.reason, error.detail))
    if not names:
        raise UnreadableError("unreadable", "no readable .epub: it lists no chapters")
    if faults and not any(parts):
        raise UnreadableError(faults[0].reason, faults[0].detail)
    text = "\n\n".join([*_front(properties), *filter(None, parts)]) if any(parts) else ""
    document = Document(
        file.uri,
        properties.title or file.stem,
        clean_text(text),
        MEDIA_TYPE,
        properties.metadata,
        created=properties.created,
        modified=properties.modified,
        license=properties.license,
        raw="\n".join(raw) if file.config.keep_raw else None,
    )
    return Loaded((document,), faults=tuple(faults))


def _opf_name(package: Package) -> str:
    """Find the file that lists the book's parts."""
    for rootfile in package.xml(_CONTAINER).iter("{*}rootfile"):
        name = posixpath.normpath(unquote(rootfile.get("full-path", "")))
        if name in package:
            return name
    raise UnreadableError("unreadable", f"no readable .epub: {_CONTAINER} names no package file")


def _properties(opf: "_Element") -> Properties:
    metadata = next(opf.iter("{*}metadata"), None)
    if metadata is None:
        return Properties()
    found = properties_of(metadata)
    extra: dict[str, Any] = dict(found.metadata)
    language = next(metadata.iter("{*}language"), None)
    if language is not None and language.text:
        extra["language"] = language.text.strip()[:35]
    changed = (m.text for m in metadata.iter("{*}meta") if m.get("property") == "dcterms:modified")
    # EPUB's dc:date is the day of publication.
    return Properties(
        found.title, found.modified, iso_date(next(changed, None)), found.license, extra
    )


def _front(properties: Properties) -> list[str]:
    """Write what a reader finds on the cover: authors and description."""
    lines = []
    if properties.metadata.get("author"):
        lines.append(f"**Authors:** {properties.metadata['author']}")
    description = properties.metadata.get("description")
    if description:
        plain = " ".join(parse_html(str(description)).get_text(" ").split())
        lines.append(f"**Description:** {plain}")
    return lines


def _manifest(opf: "_Element", folder: str) -> dict[str, tuple[str, "_Element"]]:
    """Map ids to the names of entries; names are normalised and never leave the archive."""
    return {
        item.get("id", ""): (_entry(folder, item.get("href", "")), item)
        for item in opf.iter("{*}item")
    }


def _entry(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _spine(opf: "_Element", folder: str) -> list[str]:
    """Return the chapters in reading order, without the book's own list of contents."""
    manifest = _manifest(opf, folder)
    names: dict[str, None] = {}
    for reference in opf.iter("{*}itemref"):
        name, item = manifest.get(reference.get("idref", ""), ("", None))
        if item is None or item.get("media-type") not in _CHAPTERS:
            continue
        if "nav" not in (item.get("properties") or "").split():
            names[name] = None
    return list(names)[:_MAX_CHAPTERS]


def _refuse_locked(package: Package, names: list[str]) -> None:
    """Say that a book is copy-protected; fonts alone may be obscured."""
    if _ENCRYPTION not in package:
        return
    locked = {
        posixpath.normpath(unquote(reference.get("URI", "")))
        for reference in package.xml(_ENCRYPTION).iter("{*}CipherReference")
    }
    if locked & set(names):
        raise UnreadableError("encrypted", "copy-protected (DRM); its text can't be read")


def _chapter_titles(package: Package, opf: "_Element", folder: str) -> dict[str, str]:
    """Read the list of contents: names for chapters that have no heading of their own."""
    titles: dict[str, str] = {}
    for name, item in _manifest(opf, folder).values():
        base = posixpath.dirname(name)
        is_nav = "nav" in (item.get("properties") or "").split()
        if name not in package or not (is_nav or name.endswith(".ncx")):
            continue
        try:
            if is_nav:
                for link in parse_html(decode_page(package.read(name))).select("nav a[href]"):
                    _add_title(titles, base, str(link["href"]), link.get_text(" "))
            else:
                for point in package.xml(name).iter("{*}navPoint"):
                    label = "".join(str(t) for e in point.iter("{*}text") for t in e.itertext())
                    source = next((e.get("src", "") for e in point.iter("{*}content")), "")
                    first = next((e.text or "" for e in point.iter("{*}text")), label)
                    _add_title(titles, base, source, first)
        except (UnreadableError, RecursionError):
            continue  # chapters go without names then
    return titles


def _add_title(titles: dict[str, str], base: str, href: str, text: str) -> None:
    title = " ".join(clean_text(text).split())
    if title and href:
        titles.setdefault(_entry(base, href), title)


def _chapter(markup: str, title: str | None) -> str:
    try:
        soup = parse_html(markup)
        for element in soup.select(_NOT_READ):
            if not element.decomposed:
                element.decompose()
        _keep_words_of_pictures(soup)
        # A link inside the book leads nowhere once its parts are one text.
        for link in soup.find_all("a"):
            if not re.match(r"https?://|mailto:", str(link.get("href", ""))):
                link.unwrap()
        spread_merged_cells(soup)
        has_heading = soup.find(re.compile(r"h[1-6]$")) is not None
        text = html_to_markdown(soup.body or soup)
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None
    return f"# {title}\n\n{text}" if title and text and not has_heading else text


def _keep_words_of_pictures(soup: "BeautifulSoup") -> None:
    for image in soup.find_all("img"):
        words = " ".join(str(image.get("alt") or "").split())
        if words:
            image["alt"] = words
            image["src"] = posixpath.basename(str(image.get("src") or "")) or "picture"
        else:
            image.decompose()

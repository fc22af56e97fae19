"""A Confluence space from its HTML export: pages with their place in the tree, and attachments."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from domainforge.errors import SourceError
from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import (
    Export,
    choose,
    open_export,
    place_of,
    state_of,
    work_of,
)

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_FURNITURE = ".toc-macro, .plugin_pagetree, .hidden, script, style, img.emoticon-blank"
_AUTHORS = re.compile(r"Created by\s+(.+?)(?:,\s+last modified|\s+on\s+\w|$)")
_DATE = re.compile(r"\bon\s+([A-Z][a-z]{2})[a-z]*\.?\s+(\d{1,2}),\s+(\d{4})")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_BRUSH = re.compile(r"brush:\s*([\w+#-]{1,20})")
_ATTACHMENT = re.compile(r'<a href="(attachments/[^"<>]{1,200})"[^<>]{0,200}>([^<>]{1,300})</a>')
_MAX_SCANNED_BYTES = 20_000_000


class ConfluenceSource:
    """Reads the HTML export of a space."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.confluence is not None
        self._config = config
        self._path = config.confluence.path
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the hash of the export."""
        return {"export": state_of(place_of(self._path, self._project))}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read pages and attachments, in the order of their names.

        Raises:
            SourceError: No export, or the XML one.
        """
        with open_export(place_of(self._path, self._project), reader.folder) as export:
            names = {item.name.rpartition("/")[2] for item in export.items}
            if "entities.xml" in names:
                raise SourceError(
                    f"sources: {self._path} is Confluence's XML export, which only Confluence can "
                    "read; export the space as HTML (Space settings > Export space > HTML)"
                )
            if names and not any(name.endswith(".html") for name in names):
                raise SourceError(
                    f"sources: {self._path} has no .html page, so it is no HTML export of a "
                    "Confluence space; plain files are read by `files:`"
                )
            yield from read_unless_known(self._works(export), reader)

    def _works(self, export: Export) -> Iterator[FileWork | LeftOut]:
        yield from export.left_out
        titles: dict[str, str] = {}
        for item in export.items:
            folder, _, name = item.name.rpartition("/")
            is_page = name.endswith(".html") and "attachments" not in folder.split("/")
            if is_page and item.path.stat().st_size <= _MAX_SCANNED_BYTES:
                titles.update(_attachment_titles(item.path.read_bytes(), folder))
        for item in export.items:
            folder, _, name = item.name.rpartition("/")
            parts = folder.split("/")
            if "attachments" not in parts and ("styles" in parts or "images" in parts):
                continue  # of the exporter, not of the space
            if "attachments" not in parts and name == "index.html":
                yield LeftOut(export.uri(item.name), "navigation", "the list of all pages")
                continue
            left_out = choose(item, export, self._config)
            if left_out is not None:
                yield left_out
            elif "attachments" in parts:
                title = titles.get(item.name)
                yield work_of(item, export, self._config, given={"title": title} if title else {})
            else:
                kind = "confluence page" if name.endswith(".html") else None
                yield work_of(item, export, self._config, kind)


def load_confluence_page(data: bytes, file: SourceFile) -> Loaded:
    """Read a page of the export; its parents stand in the first heading and in `parents`."""
    from domainforge.sources.kinds.html import html_to_markdown, load_html, parse_html

    try:
        soup = parse_html(decode(data, "utf-8"))
        heading, content = soup.select_one("#title-text"), soup.select_one("#main-content")
        if heading is None or content is None:
            return load_html(data, file)
        parents = [_line(link) for link in soup.select("#breadcrumbs a, #breadcrumb-section li a")]
        parents = list(dict.fromkeys(parent for parent in parents if parent))
        title = _page_title(_line(heading), parents)
        _prepare(content)
        body = html_to_markdown(content)
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None
    metadata: dict[str, Any] = {"parents": parents} if parents else {}
    author, created, modified = _dates(soup)
    if author:
        metadata["author"] = author
    names = [_line(a) for a in soup.select('.pageSection a[href^="attachments/"]')]
    if names:
        metadata["attachments"] = names
    text = f"# {' > '.join([*parents, title])}\n\n{_demote(body)}" if body else ""
    document = Document(
        file.uri, title, text, "text/html", metadata, created=created, modified=modified
    )
    return Loaded((document,))


def _attachment_titles(data: bytes, folder: str) -> Iterator[tuple[str, str]]:
    for href, name in _ATTACHMENT.findall(data.decode("utf-8", "replace")):
        path = unquote(unescape(href)).partition("?")[0]
        title = " ".join(clean_text(unescape(name)).split())
        yield (f"{folder}/{path}" if folder else path), title


def _line(element: "Tag") -> str:
    return " ".join(clean_text(element.get_text()).split())


def _page_title(heading: str, parents: list[str]) -> str:
    """Take the space's name off: `Space : Page`."""
    space = parents[0] if parents else None
    if space and heading.startswith(f"{space} : "):
        return heading.removeprefix(f"{space} : ")
    return heading


def _dates(soup: "BeautifulSoup") -> tuple[str | None, str | None, str | None]:
    element = soup.select_one(".page-metadata")
    if element is None:
        return None, None, None
    text = _line(element)
    author = _AUTHORS.search(text)
    match = _DATE.search(text)
    date = None
    if match is not None and match[1] in _MONTHS and 1 <= int(match[2]) <= 31:
        date = f"{match[3]}-{_MONTHS.index(match[1]) + 1:02}-{int(match[2]):02}"
    name = author[1].strip() if author else None
    return (name, None, date) if "last modified" in text else (name, date, date)


def _prepare(content: "Tag") -> None:
    for element in content.select(_FURNITURE):
        if not element.decomposed:
            element.decompose()
    for pre in content.select("pre[data-syntaxhighlighter-params]"):
        brush = _BRUSH.search(str(pre["data-syntaxhighlighter-params"]))
        if brush is not None and brush[1] not in ("text", "none", "plain"):
            language: Any = [f"language-{brush[1]}"]
            pre["class"] = language


def _demote(text: str) -> str:
    """Put the page's own headings below the one with its title."""
    lines = text.split("\n")
    fenced = False
    for number, line in enumerate(lines):
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and re.match(r"#{1,5} ", line):
            lines[number] = f"#{line}"
    return "\n".join(lines)

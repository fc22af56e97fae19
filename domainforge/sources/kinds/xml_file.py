"""XML: feeds as feeds, prose as Markdown, any other as a nested list of names and values."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode
from domainforge.sources.kinds.feed import load_feed
from domainforge.sources.kinds.notebook import fenced
from domainforge.sources.kinds.tables import markdown_table
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA_TYPE = "application/xml"
_FEED = re.compile(rb"<(?:\w+:)?(?:rss|RDF|feed)[\s>]")
_HEAD_BYTES = 4096
_TITLES = frozenset({"title", "head", "heading", "subtitle", "bridgehead"})
_PARAGRAPHS = frozenset({"p", "para", "simpara", "paragraph"})
_ITEMS = frozenset({"li", "item", "listitem"})
_CODE = frozenset({"pre", "programlisting", "screen", "codeblock", "listing", "eg"})
_TABLES = frozenset({"table", "informaltable", "simpletable"})
_ROWS = frozenset({"tr", "row", "strow", "sthead"})
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


def load_xml(data: bytes, file: SourceFile) -> Loaded:
    """Read an .xml file; entities are never resolved, nothing outside the file is read.

    Raises:
        UnreadableError: Not well-formed, or nested absurdly deep.
    """
    if _FEED.search(data[:_HEAD_BYTES]):
        # Feeds are often broken XML, and RDF is often no feed.
        with suppress(UnreadableError):
            return load_feed(data, file)
    root = parse_xml(data)
    prose = any(_name(element) in _PARAGRAPHS for element in root.iter())
    lines = list(_prose(root, 0) if prose else _listed(root, 0))
    text = ("\n\n" if prose else "\n").join(lines)
    raw = text if file.config.keep_raw else None
    title = next((_text(e) for e in root.iter() if _name(e) in ("title", "name") and _text(e)), "")
    title = title if 0 < len(title) <= 200 else file.stem
    title = clean_text(title)
    return Loaded((Document(file.uri, title, clean_text(text), _MEDIA_TYPE, raw=raw),))


def parse_xml(data: bytes) -> "_Element":
    """Parse XML as untrusted input.

    Raises:
        UnreadableError: Not well-formed, or nested absurdly deep.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        first = error
    # Many lie about their encoding.
    plain = _DECLARATION.sub("", decode(data)).encode("utf-8", "replace")
    try:
        return etree.fromstring(plain, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise UnreadableError("unreadable", f"no readable XML: {first}"[:300]) from first


def _prose(element: "_Element", level: int) -> Iterator[str]:
    """Write what has paragraphs as Markdown; the depth of titled elements is that of headings."""
    name, text = _name(element), _text(element)
    if name in _TITLES:
        if text:
            yield f"{'#' * min(max(level, 1), 6)} {text}"
    elif name in _CODE:
        yield fenced("".join(_strings(element)).strip("\n"))
    elif name in _TABLES:
        rows = [row for row in element.iter() if _name(row) in _ROWS]
        yield markdown_table([[_text(cell) for cell in row if _name(cell)] for row in rows])
    elif name in _PARAGRAPHS or not len(element) or _is_mixed(element):
        if text:
            yield text
    elif name in _ITEMS:
        yield f"- {text}"
    else:
        inner = level + any(_name(child) in _TITLES for child in element)
        for child in element:
            if _name(child):
                yield from _prose(child, inner)


def _listed(element: "_Element", depth: int) -> Iterator[str]:
    """Write an element as an item that names it, its attributes and what is in it."""
    start = f"{'  ' * depth}- {_name(element)}"
    attributes = [f"{_local(key)}: {' '.join(value.split())}" for key, value in element.items()]
    if attributes:
        start += f" ({', '.join(attributes)})"
    children = [child for child in element if _name(child)]
    if not children or _is_mixed(element):
        text = _text(element)
        yield f"{start}: {text}" if text else start
        return
    yield f"{start}:"
    for child in children:
        yield from _listed(child, depth + 1)


def _is_mixed(element: "_Element") -> bool:
    """Tell whether text stands beside the elements in this one."""
    beside = [element.text, *(child.tail for child in element)]
    return any(text and text.strip() for text in beside)


def _text(element: "_Element") -> str:
    return " ".join("".join(_strings(element)).split())


def _strings(element: "_Element") -> Iterator[str]:
    """Yield the text of an element without comments, instructions and entities."""
    if not _name(element):
        return
    yield element.text or ""
    for child in element:
        yield from _strings(child)
        yield child.tail or ""


def _name(element: "_Element") -> str:
    """Return an element's name without its namespace; empty for comments and the like."""
    return _local(element.tag) if isinstance(element.tag, str) else ""


def _local(name: str | bytes) -> str:
    text = name if isinstance(name, str) else name.decode("utf-8", "replace")
    return text.rpartition("}")[2]

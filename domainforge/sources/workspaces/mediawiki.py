"""A MediaWiki XML dump, streamed page by page; Wikipedia's dumps and a private wiki's alike."""

import gzip
from bz2 import BZ2File
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import quote

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, Starting, UnreadableError

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

    from domainforge.sources.workspaces.wikitext import LinkNames

_BLOCK_BYTES = 1 << 18
# MediaWiki itself allows 2 MB a page; what is far larger is cut off, not held.
_MAX_PAGE_CHARS = 8_000_000
_MAX_FIELD_CHARS = 10_000
# A part is what one killed page can cost, and what is read again after an interruption.
_PART_PAGES = 50
_PART_CHARS = 500_000
_WIKITEXT_MODELS = frozenset({"", "wikitext"})
_FIELDS = {
    ("page", "title"): "title",
    ("page", "id"): "id",
    ("page", "ns"): "namespace",
    ("revision", "id"): "revision",
    ("revision", "timestamp"): "timestamp",
    ("revision", "model"): "model",
    ("revision", "text"): "text",
    ("siteinfo", "sitename"): "sitename",
    ("siteinfo", "base"): "base",
    ("siteinfo", "dbname"): "dbname",
    ("namespaces", "namespace"): "name",
}


@dataclass(frozen=True)
class Site:
    """What a dump says of its wiki.

    Attributes:
        base: Address of its main page.
        language: As its pages declare it, for example `de`.
        namespaces: Number to name; 0 is the articles, without a name.
    """

    name: str = ""
    base: str = ""
    language: str = ""
    namespaces: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """One page of a dump, as of its newest revision.

    Attributes:
        namespace: 0 for articles, 14 for categories, 10 for templates...
        text: Wikitext, uncleaned.
        modified: Time of that revision, ISO 8601.
        redirect: Title of the page that this one only points to, or None.
        model: What the text is; anything but `wikitext` is a script, a form or data.
        too_large: The text was longer than any wiki allows and is not here.
    """

    title: str
    id: int
    namespace: int
    text: str
    revision: int
    modified: str | None
    redirect: str | None
    model: str
    site: Site
    too_large: bool = False

    @property
    def url(self) -> str | None:
        """Where the page stands, after the address of the wiki's main page."""
        if not self.site.base.startswith(("http://", "https://")) or "/" not in self.site.base[8:]:
            return None
        folder = self.site.base.rpartition("/")[0]
        return f"{folder}/{quote(self.title.replace(' ', '_'), safe='/:(),')}"


def stream_pages(handle: BinaryIO) -> Iterator[Page]:
    """Read a dump of any size, plain or compressed with bzip2, gzip or Zstandard, flat in memory.

    Of a page with its whole history only the newest revision is kept. Document types, and with
    them all entities, are refused: no dump has one.

    Raises:
        UnreadableError: No MediaWiki dump, or broken; the pages before the break are out already.
    """
    from xml.parsers.expat import ExpatError

    parser = _DumpParser()
    stream = open_compressed(handle)
    try:
        while True:
            block = stream.read(_BLOCK_BYTES)
            parser.feed(block)
            yield from parser.take()
            if not block:
                return
    except ExpatError as error:
        raise UnreadableError("unreadable", f"no whole XML dump: {error}") from None
    except (OSError, EOFError) as error:
        raise UnreadableError("unreadable", f"the compressed data are broken: {error}") from None


def open_compressed(handle: BinaryIO) -> BinaryIO:
    """Return a reader of what is in a file, by its first bytes: bzip2, gzip, Zstandard or plain."""
    start = handle.tell()
    head = handle.read(4)
    handle.seek(start)
    if head.startswith(b"BZh"):
        return cast(BinaryIO, BZ2File(handle))
    if head.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=handle))
    if head == b"\x28\xb5\x2f\xfd":
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(handle, "r"), "zstd"))
    return handle


def stream_mediawiki(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded | Starting]:
    """Read a dump in parts of some pages each: one document per page of the wanted namespaces."""
    place = file.config.mediawiki or file.config.wikipedia
    wanted = place.namespaces if place else (0,)
    part: list[Page] = []
    number = chars = 0
    for page in stream_pages(handle):
        part.append(page)
        chars += len(page.text)
        if len(part) < _PART_PAGES and chars < _PART_CHARS:
            continue
        if number >= skip:
            yield Starting(page_uri(part[0], file.uri))
            yield _load_pages(part, file, wanted)
        number += 1
        part, chars = [], 0
    if part and number >= skip:
        yield Starting(page_uri(part[0], file.uri))
        yield _load_pages(part, file, wanted)


def page_uri(page: Page, uri: str) -> str:
    """Name a page within the dump that it came from."""
    return f"{uri}#{page.title.replace(' ', '_')}"


def page_document(page: Page, uri: str) -> Document:
    """Turn a page of wikitext into a document.

    Raises:
        UnreadableError: Markup that can't be parsed.
    """
    from domainforge.sources.workspaces.wikitext import clean_wikitext

    cleaned = clean_wikitext(page.text, link_names(page.site))
    metadata: dict[str, object] = {"page_id": page.id, "revision": page.revision}
    if cleaned.categories:
        metadata["categories"] = list(cleaned.categories)
    if page.url:
        metadata["url"] = page.url
    if page.site.name:
        metadata["wiki"] = page.site.name
    title = " ".join(clean_text(page.title).split())
    return Document(uri, title, cleaned.markdown, "text/x-wiki", metadata, modified=page.modified)


def link_names(site: Site) -> "LinkNames":
    """Return what files and categories are called in the links of a wiki."""
    from domainforge.sources.workspaces.wikitext import LinkNames

    return LinkNames.of(
        files=(site.namespaces.get(6, ""), site.namespaces.get(-2, "")),
        categories=(site.namespaces.get(14, ""),),
    )


def reason_to_leave_out(page: Page, wanted: tuple[int, ...]) -> tuple[str, str] | None:
    """Tell why a page gives no document, or None where it should."""
    if page.namespace not in wanted:
        name = page.site.namespaces.get(page.namespace) or "articles"
        return "namespace", f"in namespace {page.namespace} ({name}), which is not asked for"
    if page.redirect is not None:
        return "redirect", f"only points to {page.redirect}"
    if page.model not in _WIKITEXT_MODELS:
        return "not_wikitext", f"its content is {page.model}"
    return None


def _load_pages(pages: list[Page], file: SourceFile, wanted: tuple[int, ...]) -> Loaded:
    documents: list[Document] = []
    dropped: list[LeftOut] = []
    faults: list[LeftOut] = []
    for page in pages:
        uri = page_uri(page, file.uri)
        reason = reason_to_leave_out(page, wanted)
        if reason is not None:
            dropped.append(LeftOut(uri, *reason))
            continue
        if page.too_large:
            detail = f"more than {_MAX_PAGE_CHARS:,} characters in one page"
            faults.append(LeftOut(uri, "too_large", detail))
            continue
        try:
            document = page_document(page, uri)
        except UnreadableError as error:
            faults.append(LeftOut(uri, error.reason, error.detail))
            continue
        if document.text:
            documents.append(document)
        else:
            dropped.append(LeftOut(uri, "empty", "no text but templates and links"))
    return Loaded(tuple(documents), tuple(dropped), tuple(faults))


class _DumpParser:
    """Collects pages from the events of an XML parser; holds one page at a time."""

    def __init__(self) -> None:
        from xml.parsers.expat import ParserCreate

        self._pages: list[Page] = []
        self._path: list[str] = []
        self._depth = 0
        self._chunks: list[str] | None = None
        self._chars = 0
        self._values: dict[str, str] = {}
        self._newest: dict[str, str] = {}
        self._redirect: str | None = None
        self._namespace_key = 0
        self._site = Site()
        self._parser: XMLParserType = ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def feed(self, block: bytes) -> None:
        self._parser.Parse(block, not block)

    def take(self) -> list[Page]:
        pages, self._pages = self._pages, []
        return pages

    def _refuse(self, *_: object) -> None:
        raise UnreadableError("unsafe_xml", "it declares a document type; no dump does")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0:
            if tag != "mediawiki":
                raise UnreadableError("unreadable", f"an XML file of <{tag}>, no MediaWiki dump")
            self._site = Site(language=attributes.get("xml:lang", ""))
        self._depth += 1
        parent = self._path[-1] if self._path else ""
        if self._depth <= 5:
            self._path.append(tag)
        if tag == "page":
            self._values, self._newest, self._redirect = {}, {}, None
        elif tag == "revision":
            self._values.update(revision="", timestamp="", model="", text="", too_large="")
        elif tag == "redirect" and parent == "page":
            self._redirect = attributes.get("title", "")
        elif tag == "namespace":
            key = attributes.get("key", "")
            self._namespace_key = int(key) if key.lstrip("-").isdecimal() and len(key) < 9 else 0
        if (parent, tag) in _FIELDS:
            self._chunks, self._chars = [], 0

    def _text(self, data: str) -> None:
        if self._chunks is None:
            return
        self._chars += len(data)
        limit = _MAX_PAGE_CHARS if self._path[-1] == "text" else _MAX_FIELD_CHARS
        if self._chars <= limit:
            self._chunks.append(data)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth >= 5:
            return
        self._path.pop()
        parent = self._path[-1] if self._path else ""
        name = _FIELDS.get((parent, tag))
        if name is not None and self._chunks is not None:
            self._keep(name)
        elif tag == "revision":
            if self._values["timestamp"] >= self._newest.get("timestamp", ""):
                self._newest = dict(self._values)
        elif tag == "page":
            self._pages.append(self._page())

    def _keep(self, name: str) -> None:
        value = "".join(self._chunks or ())
        self._chunks = None
        if name == "text" and self._chars > _MAX_PAGE_CHARS:
            self._values.update(text="", too_large="yes")
        elif name == "name":
            self._site.namespaces[self._namespace_key] = value
        elif name in ("sitename", "base"):
            old = self._site
            sitename = value if name == "sitename" else old.name
            base = value if name == "base" else old.base
            self._site = Site(sitename, base, old.language, old.namespaces)
        else:
            self._values[name] = value

    def _page(self) -> Page:
        newest = self._newest
        return Page(
            title=self._values.get("title", ""),
            id=_number(self._values.get("id", "")),
            namespace=_number(self._values.get("namespace", "")),
            text=newest.get("text", ""),
            revision=_number(newest.get("revision", "")),
            modified=newest.get("timestamp") or None,
            redirect=self._redirect,
            model=newest.get("model", ""),
            site=self._site,
            too_large=bool(newest.get("too_large")),
        )


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 19 else 0

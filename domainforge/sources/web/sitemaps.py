"""Sitemaps: which pages a site lists, and when each changed last."""

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.fetch import Reply
from domainforge.sources.web.robots import listed_sitemaps
from domainforge.sources.web.urls import normalise

# The protocol's own bounds for one sitemap (sitemaps.org/protocol.html).
MAX_SITEMAP_BYTES = 52_428_800
MAX_ENTRIES = 50_000
_MAX_SITEMAPS = 1_000
_MAX_DEPTH = 3


@dataclass(frozen=True)
class Entry:
    """A page of a sitemap; `modified` as the site writes it."""

    url: str
    modified: str | None = None


def read_sitemaps(
    url: str, get: Callable[[str], Reply]
) -> Iterator[Entry | tuple[str, UnreadableError]]:
    """Yield the entries of a sitemap and of all that it leads to, in order.

    A sitemap that can't be read gives its address and the reason, and the rest goes on.

    Args:
        url: A sitemap, a sitemap index, a text file of URLs, or a robots.txt.
        get: Fetches a URL.
    """
    waiting = [(url, 0)]
    seen = {url}
    while waiting:
        address, depth = waiting.pop(0)
        entries: list[Entry] = []
        try:
            body = unpack(get(address).body)
            if address.partition("?")[0].endswith("/robots.txt"):
                inner = listed_sitemaps(body)
            else:
                entries, inner = parse_sitemap(body)
        except UnreadableError as error:
            yield address, error
            continue
        yield from entries
        for found in filter(None, (normalise(each, address) for each in inner)):
            if found not in seen and len(seen) < _MAX_SITEMAPS and depth < _MAX_DEPTH:
                seen.add(found)
                waiting.append((found, depth + 1))


def unpack(body: bytes) -> bytes:
    """Decompress a gzip file that came as such.

    Raises:
        UnreadableError: Broken, or too large when unpacked.
    """
    if not body.startswith(b"\x1f\x8b"):
        return body
    unpacker = zlib.decompressobj(31)
    try:
        found = unpacker.decompress(body, MAX_SITEMAP_BYTES)
    except zlib.error:
        raise UnreadableError("sitemap", "its gzip is broken") from None
    if unpacker.unconsumed_tail:
        raise UnreadableError("too_large", f"over {MAX_SITEMAP_BYTES:,} bytes when unpacked")
    return found


def parse_sitemap(body: bytes) -> tuple[list[Entry], list[str]]:
    """Return the pages and the further sitemaps of one sitemap.

    Raises:
        UnreadableError: Neither XML nor a list of URLs.
    """
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = body.decode("utf-8-sig", "replace").split()[:MAX_ENTRIES]
        urls = [found for found in map(normalise, lines) if found]
        if not urls:
            raise UnreadableError("sitemap", "neither XML nor a list of URLs")
        return [Entry(found) for found in urls], []
    return _parse_xml(body)


def _parse_xml(body: bytes) -> tuple[list[Entry], list[str]]:
    from lxml import etree

    entries: list[Entry] = []
    inner: list[str] = []
    known = False
    try:
        events = etree.iterparse(
            io.BytesIO(body),
            events=("end",),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            recover=True,
        )
        for _, element in events:
            name = etree.QName(element).localname if isinstance(element.tag, str) else ""
            known = known or name in ("urlset", "sitemapindex")
            if name in ("url", "sitemap"):
                known = True
                fields = {
                    etree.QName(child).localname: (child.text or "").strip()
                    for child in element
                    if isinstance(child.tag, str)
                }
                url = normalise(fields.get("loc", ""))
                element.clear()
                if url and name == "url" and len(entries) < MAX_ENTRIES:
                    entries.append(Entry(url, fields.get("lastmod") or None))
                elif url and name == "sitemap" and len(inner) < MAX_ENTRIES:
                    inner.append(url)
    except etree.XMLSyntaxError:
        pass
    if not known:
        raise UnreadableError("sitemap", "XML, but no sitemap")
    return entries, inner

"""What a crawl needs to know of a page: its links, its canonical address, what robots may do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from domainforge.sources.web.urls import first_of, normalise

_MAX_LINKS = 5_000
_AGENTS = ("robots", "domainforge")


@dataclass(frozen=True)
class PageFacts:
    """What a page says besides its text; URLs are normalised.

    Attributes:
        canonical: The page's own address, where it names one.
        noindex: It asks not to be kept.
        nofollow: It asks that its links be left alone.
    """

    links: tuple[str, ...] = ()
    canonical: str | None = None
    noindex: bool = False
    nofollow: bool = False


def read_facts(
    body: bytes, url: str, headers: Mapping[str, str], charset: str | None = None
) -> PageFacts:
    """Read the facts of an HTML page and of its headers."""
    directives = _directives(headers.get("x-robots-tag", ""))
    base = url
    hrefs: list[str] = []
    canonical = _canonical_header(headers.get("link", ""))
    for name, attributes in _elements(body, charset):
        href = attributes.get("href") or attributes.get("src") or ""
        relation = attributes.get("rel", "").lower().split()
        if name == "base" and href and base == url:
            base = normalise(href, url) or url
        elif name == "meta" and attributes.get("name", "").lower() in _AGENTS:
            directives |= _directives(attributes.get("content", ""))
        elif name == "link" and "canonical" in relation:
            canonical = canonical or href
        elif name == "link" and "next" not in relation:
            continue
        elif href and name != "base" and "nofollow" not in relation and len(hrefs) < _MAX_LINKS:
            hrefs.append(href)
    nofollow = bool(directives & {"nofollow", "none"})
    return PageFacts(
        () if nofollow else tuple(first_of([normalise(href, base) for href in hrefs])),
        normalise(canonical, base) if canonical else None,
        bool(directives & {"noindex", "none"}),
        nofollow,
    )


def header_facts(url: str, headers: Mapping[str, str]) -> PageFacts:
    """Read what the headers alone say, for a file that is no page."""
    directives = _directives(headers.get("x-robots-tag", ""))
    canonical = _canonical_header(headers.get("link", ""))
    return PageFacts(
        canonical=normalise(canonical, url) if canonical else None,
        noindex=bool(directives & {"noindex", "none"}),
    )


def _elements(body: bytes, charset: str | None) -> list[tuple[str, dict[str, str]]]:
    from lxml import etree

    # libxml2's own limits on depth and size stay on; nothing is fetched.
    try:
        parser = etree.HTMLParser(encoding=charset, no_network=True, recover=True)
    except LookupError:
        parser = etree.HTMLParser(no_network=True, recover=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return []
    if root is None:
        return []
    tags = ("a", "area", "frame", "iframe", "link", "base", "meta")
    return [
        (element.tag, {str(key).lower(): str(value) for key, value in element.attrib.items()})
        for element in root.iter(*tags)
    ]


def _directives(text: str) -> set[str]:
    """Split `noindex, nofollow`; a directive for another robot (`otherbot: noindex`) is not ours.

    An agent's name holds for what follows it up to the next name.
    """
    found: set[str] = set()
    ours = True
    for part in text.lower().split(","):
        name, colon, rest = part.partition(":")
        if colon and name.strip() not in ("unavailable_after", "max-snippet", "max-image-preview"):
            ours = name.strip() in _AGENTS
            part = rest
        if ours:
            found.add(part.strip())
    return found


def _canonical_header(text: str) -> str | None:
    match = re.search(r'<([^<>]{1,2000})>\s*;\s*rel\s*=\s*"?canonical"?', text, re.IGNORECASE)
    return match[1] if match else None

"""What an HTML page says of itself: title, dates, author, licence, canonical address."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from domainforge.sources.cleaning import clean_text

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

_MAX_JSON_CHARS = 500_000
_MAX_OBJECTS = 500
_MAX_CHARS = 500
_ARTICLE = re.compile(
    r"article|posting|webpage|newsarticle|report|recipe|book|question|discussion|creativework",
    re.IGNORECASE,
)
_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_PUBLISHED = ("article:published_time", "og:published_time", "datepublished", "dc.date.issued",
              "dcterms.created", "dc.date", "date", "pubdate", "publishdate", "sailthru.date",
              "citation_publication_date")  # fmt: skip
_MODIFIED = ("article:modified_time", "og:updated_time", "datemodified", "dcterms.modified",
             "last-modified", "lastmod")  # fmt: skip
_AUTHOR = ("author", "article:author", "dc.creator", "dcterms.creator", "citation_author",
           "parsely-author", "sailthru.author")  # fmt: skip
_LICENSE = ("license", "dc.rights.license", "dcterms.license", "og:license")


@dataclass(frozen=True)
class PageFacts:
    """Facts of a page; dates as ISO 8601, a licence of Creative Commons as its SPDX identifier.

    Attributes:
        url: The address that the page calls its own.
    """

    title: str | None = None
    published: str | None = None
    modified: str | None = None
    author: str | None = None
    language: str | None = None
    license: str | None = None
    url: str | None = None


def page_facts(soup: "BeautifulSoup") -> PageFacts:
    """Read OpenGraph, JSON-LD, meta tags, <time> and rel links, before the page is cleaned."""
    meta = _meta(soup)
    data = _json_ld(soup)
    return PageFacts(
        title=_text(meta.get("og:title") or data.get("headline") or meta.get("dc.title")),
        published=_first_date([data.get("datePublished"), *_of(meta, _PUBLISHED), _time(soup)]),
        modified=_first_date([data.get("dateModified"), *_of(meta, _MODIFIED)]),
        author=_names(data.get("author")) or _text(next(_names_in(meta), None)),
        language=_language(soup, meta, data),
        license=_license(soup, meta, data),
        url=_address(soup, meta),
    )


def iso_date(value: Any) -> str | None:
    """Return a date as ISO 8601, from that or from the form of e-mails; None for anything else."""
    if not isinstance(value, str) or len(value) > 100:
        return None
    text = value.strip()
    try:
        if not _ISO.match(text):
            return parsedate_to_datetime(text).isoformat()
        if len(text) == 10:
            return datetime.fromisoformat(text).date().isoformat()
        return datetime.fromisoformat(text).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _meta(soup: "BeautifulSoup") -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in soup.find_all("meta", limit=_MAX_OBJECTS):
        name = tag.get("property") or tag.get("name") or tag.get("itemprop") or ""
        content = str(tag.get("content") or "").strip()
        if name and content:
            found.setdefault(str(name).lower(), content)
    return found


def _of(meta: dict[str, str], names: tuple[str, ...]) -> list[str]:
    return [meta[name] for name in names if name in meta]


def _json_ld(soup: "BeautifulSoup") -> dict[str, Any]:
    """Merge the objects about an article; the first that has a field wins."""
    merged: dict[str, Any] = {}
    for script in soup.find_all("script", type="application/ld+json", limit=20):
        text = script.string or ""
        if len(text) > _MAX_JSON_CHARS:
            continue
        try:
            parsed = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        for item in _objects(parsed):
            kinds = item.get("@type")
            if _ARTICLE.search(
                " ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)
            ):
                merged = {**item, **merged}
    return merged


def _objects(parsed: Any) -> Iterator[dict[str, Any]]:
    queue = [parsed]
    for _ in range(_MAX_OBJECTS):
        if not queue:
            return
        item = queue.pop(0)
        if isinstance(item, list):
            queue += item
        elif isinstance(item, dict):
            yield item
            queue += [item[key] for key in ("@graph", "mainEntity") if key in item]


def _first_date(values: list[Any]) -> str | None:
    return next((date for value in values if (date := iso_date(value))), None)


def _time(soup: "BeautifulSoup") -> str | None:
    """Return the date of a <time> that is marked as the page's own, or of the only one."""
    times = soup.find_all("time", datetime=True, limit=50)
    marked = [t for t in times if t.get("itemprop") == "datePublished" or t.has_attr("pubdate")]
    found = marked or (times if len(times) == 1 else [])
    return str(found[0]["datetime"]) if found else None


def _names(value: Any) -> str | None:
    items = value if isinstance(value, list) else [value]
    names = [item.get("name") if isinstance(item, dict) else item for item in items[:20]]
    return _text(", ".join(name for name in names if isinstance(name, str) and name))


def _names_in(meta: dict[str, str]) -> Iterator[str]:
    return (name for name in _of(meta, _AUTHOR) if not name.startswith(("http://", "https://")))


def _language(soup: "BeautifulSoup", meta: dict[str, str], data: dict[str, Any]) -> str | None:
    root = soup.find("html")
    found = (root.get("lang") or root.get("xml:lang")) if root else None
    value = str(found or data.get("inLanguage") or meta.get("og:locale") or "")
    match = re.match(r"([A-Za-z]{2,3})(?:[-_]|$)", value)
    return match[1].lower() if match else None


def _license(soup: "BeautifulSoup", meta: dict[str, str], data: dict[str, Any]) -> str | None:
    link = soup.find(["link", "a"], rel="license", href=True)
    value = (
        str(link["href"]) if link else data.get("license") or next(iter(_of(meta, _LICENSE)), "")
    )
    if not isinstance(value, str) or not value:
        return None
    match = _CREATIVE_COMMONS.search(value.lower())
    if match is None:
        return _text(value)
    if match[1] == "publicdomain":
        return "CC0-1.0" if match[2] == "zero" else "CC-PDDC"
    return f"CC-{match[2].upper()}-{match[3]}"


def _address(soup: "BeautifulSoup", meta: dict[str, str]) -> str | None:
    link = soup.find("link", rel="canonical", href=True)
    value = str(link["href"]) if link else meta.get("og:url", "")
    return value if value.startswith(("http://", "https://")) else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return " ".join(clean_text(value).split())[:_MAX_CHARS] or None

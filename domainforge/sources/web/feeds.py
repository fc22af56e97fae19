"""RSS and Atom feeds: their entries, each with its page, dates and the text that it carries."""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from time import struct_time
from typing import Any

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.urls import normalise

MAX_FEED_BYTES = 5_000_000
MAX_ENTRIES = 2_000
_ENTRY = re.compile(rb"<(?:\w{1,20}:)?(?:item|entry)[\s>]", re.IGNORECASE)


@dataclass(frozen=True)
class FeedEntry:
    """One entry of a feed.

    Attributes:
        url: Its page; None where it has none.
        name: What it is known by when it has no page.
        given: Title and dates, as far as the feed knows them.
        content: HTML of the entry itself, empty where the feed has only links.
    """

    url: str | None
    name: str
    given: Mapping[str, Any]
    content: str


def parse_feed(body: bytes, url: str, content_type: str) -> list[FeedEntry]:
    """Return the entries of a feed, newest as the feed has them.

    Raises:
        UnreadableError: No feed.
    """
    import feedparser

    # An entry costs feedparser 0.4 ms, nested ones more: those over the limit are cut off unparsed.
    over = next(islice(_ENTRY.finditer(body), MAX_ENTRIES, None), None)
    body = body if over is None else body[: over.start()]
    # Sanitizing is left to the loader of HTML, which keeps text alone.
    found = feedparser.parse(
        body,
        response_headers={"content-type": content_type, "content-location": url},
        sanitize_html=False,
        resolve_relative_uris=False,
    )
    if not found.get("version") and not found.get("entries"):
        raise UnreadableError("feed", "neither RSS nor Atom")
    # As plain dictionaries: feedparser's own take the one date for the other, with a warning.
    return [_entry(dict(entry), url) for entry in found["entries"][:MAX_ENTRIES]]


def _entry(entry: Mapping[str, Any], base: str) -> FeedEntry:
    link = normalise(str(entry.get("link") or ""), base) if entry.get("link") else None
    contents = [str(part.get("value") or "") for part in entry.get("content") or ()]
    content = max([*contents, str(entry.get("summary") or "")], key=len)
    name = str(entry.get("id") or link or entry.get("title") or "")
    given = {
        "title": " ".join(str(entry.get("title") or "").split()),
        "created": _iso(entry.get("published_parsed")),
        "modified": _iso(entry.get("updated_parsed")),
        "author": str(entry.get("author") or ""),
    }
    return FeedEntry(link, name, {key: value for key, value in given.items() if value}, content)


def _iso(moment: struct_time | None) -> str | None:
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(moment), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None

"""Which loader reads what a server sent: by media type, else by the ending of the URL."""

import mimetypes
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from domainforge.sources.cleaning import decode
from domainforge.sources.kinds.known import BY_NAME, Kind, kind_of
from domainforge.sources.loaded import UnreadableError

WEB_PAGE = "web page"
_PAGES = ("text/html", "application/xhtml+xml")
# Types that servers give to anything.
_VAGUE = ("", "text/plain", "application/octet-stream", "binary/octet-stream", "application/binary")
# Lists of pages, which `web.feed` reads; as documents they would repeat what the pages say.
_FEEDS = ("application/rss+xml", "application/atom+xml", "application/rdf+xml")
_ENDINGS = {
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".ndjson",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/epub+zip": ".epub",
    "application/x-ipynb+json": ".ipynb",
}
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def is_page(media_type: str) -> bool:
    """Tell whether it is a page with links, by its media type."""
    return media_type in _PAGES


def kind_of_reply(url: str, content_type: str) -> Kind | None:
    """Return the kind that a reply is read as; None where no loader fits."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _PAGES:
        return BY_NAME.get(WEB_PAGE) or BY_NAME["html"]
    if media_type in _FEEDS:
        return None
    name = urlsplit(url).path.rpartition("/")[2]
    if media_type in _VAGUE:
        found = kind_of(name)
        return found or (BY_NAME["text"] if media_type == "text/plain" else None)
    ending = _ENDINGS.get(media_type) or mimetypes.guess_extension(media_type)
    return kind_of(f"file{ending}") if ending else None


def charset_of(headers: Mapping[str, str]) -> str | None:
    """Return the encoding that the headers declare."""
    match = _CHARSET.search(headers.get("content-type", ""))
    return match[1].lower() if match else None


def with_declared_charset(body: bytes, charset: str | None) -> bytes:
    """Turn a text whose encoding only the headers tell into UTF-8 with a mark.

    A loader sees the file alone. What is UTF-8 stays as it is, whatever the headers say; so does
    what doesn't fit the declaration.
    """
    if charset is None or charset.replace("_", "-") in ("utf-8", "utf8"):
        return body
    if not charset.startswith("iso-2022") and _fits(body, "utf-8"):
        return body
    try:
        return b"\xef\xbb\xbf" + decode(body, charset).encode()
    except UnreadableError:
        return body


def _fits(body: bytes, encoding: str) -> bool:
    try:
        body.decode(encoding)
    except UnicodeError:
        return False
    return True

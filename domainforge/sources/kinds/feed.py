"""RSS and Atom feeds on disk: one document, an entry under each second-level heading."""

from calendar import timegm
from datetime import UTC, datetime
from typing import Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.html import html_to_markdown, main_content, parse_html
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError


def load_feed(data: bytes, file: SourceFile) -> Loaded:
    """Read a feed: its title, then each entry with date, link and text.

    Raises:
        UnreadableError: Neither RSS nor Atom.
    """
    import feedparser

    # Safe without the sanitizer: of HTML only the text is kept.
    found = feedparser.parse(data, sanitize_html=False, resolve_relative_uris=False)
    if not found.get("version"):
        raise UnreadableError("unreadable", "neither RSS nor Atom")
    feed = found["feed"]
    title = _line(feed.get("title")) or file.stem
    blocks = [f"# {title}", _markdown(feed.get("subtitle"))]
    blocks += [block for entry in found["entries"] for block in _blocks(entry)]
    text = "\n\n".join(block for block in blocks if block)
    metadata = {"link": _line(feed.get("link")), "entries": len(found["entries"])}
    document = Document(
        file.uri,
        title,
        clean_text(text),
        f"application/{'atom' if found['version'].startswith('atom') else 'rss'}+xml",
        {key: value for key, value in metadata.items() if value},
        modified=_date(feed.get("updated_parsed") or feed.get("published_parsed")),
        license=_line(feed.get("license")) or None,
        raw=text if file.config.keep_raw else None,
    )
    return Loaded((document,))


def _blocks(entry: Any) -> list[str]:
    date = _date(entry.get("published_parsed") or entry.get("updated_parsed"))
    facts = [
        f"Published: {date}" if date else "",
        f"Author: {_line(entry.get('author'))}" if entry.get("author") else "",
        f"Link: {_line(entry.get('link'))}" if entry.get("link") else "",
    ]
    contents = [str(part.get("value") or "") for part in entry.get("content") or ()]
    body = max([*contents, str(entry.get("summary") or "")], key=len)
    title = _line(entry.get("title")) or date or "Untitled"
    return [f"## {title}", "\n".join(fact for fact in facts if fact), _markdown(body)]


def _markdown(markup: Any) -> str:
    """Turn an entry's HTML into Markdown that stays below the entry's heading."""
    soup = parse_html(str(markup or ""))
    for level in (4, 3, 2, 1):
        for heading in soup.find_all(f"h{level}"):
            heading.name = f"h{level + 2}"
    try:
        return html_to_markdown(main_content(soup))
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None


def _line(value: Any) -> str:
    text = parse_html(str(value or "")).get_text() if "<" in str(value or "") else str(value or "")
    return " ".join(clean_text(text).split())


def _date(parsed: Any) -> str | None:
    if parsed is None:
        return None
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError, TypeError):
        return None

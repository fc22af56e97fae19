"""Links of a page: absolute where its address is known, and led past counting redirects."""

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

if TYPE_CHECKING:
    from bs4 import Tag

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_NEVER = ("javascript:", "data:", "vbscript:")
# Host, path and parameter of pages that do nothing but count a click and send on.
_REDIRECTS = (
    (re.compile(r"(?:^|\.)bing\.com$"), "/ck/a", "u"),
    (re.compile(r"(?:^|\.)google\.[a-z.]{2,6}$"), "/url", "q"),
    (re.compile(r"(?:^|\.)google\.[a-z.]{2,6}$"), "/url", "url"),
    (re.compile(r"(?:^|\.)duckduckgo\.com$"), "/l/", "uddg"),
    (re.compile(r"(?:^|\.)facebook\.com$"), "/l.php", "u"),
    (re.compile(r"(?:^|\.)youtube\.com$"), "/redirect", "q"),
    (re.compile(r"(?:^|\.)safelinks\.protection\.outlook\.com$"), "/", "url"),
)


def mend_links(root: "Tag", base: str | None) -> None:
    """Rewrite the links and pictures below an element in place.

    Args:
        root: The element.
        base: Address of the page; None leaves relative links as they are.
    """
    for link in root.find_all("a"):
        target = _target(str(link.get("href") or ""), base)
        if target is None:
            link.unwrap()
        elif target:
            link["href"] = target
    if base:
        for image in root.find_all("img", src=True):
            image["src"] = _absolute(str(image["src"]), base)


def base_of(root: "Tag", url: str | None) -> str | None:
    """Return what relative links of a page start at: its <base>, else its own address."""
    tag = root.find("base", href=True)
    href = str(tag["href"]) if tag else ""
    joined = _absolute(href, url) if url and href else href or url
    return joined if joined and joined.startswith(("http://", "https://")) else None


def past_redirect(url: str) -> str | None:
    """Return where a counting redirect leads; the url itself if it is none, None if unreadable."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return url
    for pattern, path, parameter in _REDIRECTS:
        if not pattern.search(host) or parts.path != path:
            continue
        values = parse_qs(parts.query.lstrip("!&")).get(parameter)
        if not values:
            continue
        value = _decoded(values[0]) if path == "/ck/a" else values[0]
        if value and value.startswith("/"):
            value = urljoin(f"{parts.scheme}://{host}", value)
        return value if value and value.startswith(("http://", "https://")) else None
    # Without its target this one is nothing but a trace of who clicked.
    return None if parts.path == "/ck/a" and _REDIRECTS[0][0].search(host) else url


def _target(href: str, base: str | None) -> str | None:
    """Return a link's target, empty for none; None where only its text is worth keeping."""
    href = href.strip()
    if href.lower().startswith(_NEVER):
        return None
    if base and href and not href.startswith("#"):
        href = _absolute(href, base)
    return past_redirect(href) if href.startswith(("http://", "https://")) else href


def _absolute(href: str, base: str) -> str:
    if _SCHEME.match(href):
        return href
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def _decoded(value: str) -> str | None:
    """Decode `a1` and base64 without padding, as one search engine writes its targets."""
    if not value.startswith("a1"):
        return None
    packed = value[2:]
    try:
        return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
    except (binascii.Error, ValueError):
        return None

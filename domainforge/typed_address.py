"""What an address that somebody typed tells by its form; nothing is asked or looked up."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from domainforge.errors import ConfigError
from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.addresses import PORTS, check_address, check_url

_DATABASE = re.compile(r"(?:postgres(?:ql)?|mysql|mariadb)(?:\+\w+)?:/*", re.IGNORECASE)
_PASSWORD_KEY = re.compile(r"\b(?:password|passwd|pwd)\s*=", re.IGNORECASE)


def carries_password(text: str) -> bool:
    """Tell whether what was typed holds a password, as far as its form tells.

    Looser than a parser of addresses: a slip (a slash too few, a `?` in the password)
    must not turn the rest of it into something that messages repeat.
    """
    if _PASSWORD_KEY.search(text):
        return True
    scheme, sign, rest = text.partition("://")
    if sign and scheme.lower() in ("http", "https"):
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        odd_port = re.search(r":(?!\d*$)[^\]]*$", authority) is not None
        return re.search(r":.*@", authority) is not None or (odd_port and "@" in rest)
    if not sign:
        rest = _DATABASE.sub("", text, count=1)
    user, at, _ = rest.partition("@")
    return bool(at) and ":" in user


def guess_web_kind(url: str) -> str:
    """Tell `page`, `site`, `sitemap` or `feed` by the look of an address alone."""
    path = urlsplit(url).path.lower()
    last = path.rpartition("/")[2]
    if last == "robots.txt" or "sitemap" in last:
        return "sitemap"
    if re.search(r"\b(feed|rss|atom)\b", last) or path.rstrip("/").endswith(("/feed", "/rss")):
        return "feed"
    return "page" if path.strip("/") else "site"


def host_to_allow(url: str) -> str | None:
    """Return what `allow_hosts` must hold for a URL to be asked; None where nothing must.

    No name is looked up: one that leads to a private address is refused when it is read.

    Raises:
        ConfigError: It may not be asked whatever is allowed.
    """
    try:
        _check_page(url)
        return None
    except UnreadableError as error:
        if error.reason not in ("blocked_port", "blocked_address"):
            raise ConfigError(error.detail) from None
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    usual = parts.port is None or parts.port in PORTS.values()
    named = f"{host}" if usual else f"{host}:{parts.port}"
    try:
        _check_page(url, named)
    except UnreadableError as error:
        raise ConfigError(error.detail) from None
    return named


def _check_page(url: str, *allow_hosts: str) -> None:
    target = check_url(url, allow_hosts)
    literal = "127.0.0.1" if target.host == "localhost" else target.host
    try:
        ip_address(literal)
    except ValueError:
        return
    check_address(literal, target)

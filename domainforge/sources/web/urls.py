"""One spelling for each page: URLs normalised, compared, and told apart from traps."""

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal
from urllib.parse import parse_qsl, quote, urljoin, urlsplit, urlunsplit

from domainforge.sources.web.addresses import MAX_URL_CHARS, PORTS

# Parameters that say where a reader came from or who they are, never which page it is.
_TRACKING = re.compile(
    r"utm_\w+|(g|fb|ms|y|d|tt|tw)clid|gclsrc|wbraid|gbraid|mc_[ce]id|igshid|_ga|_gl|_hsenc|_hsmi|"
    r"mkt_tok|vero_id|phpsessid|jsessionid|aspsessionid\w*|cfid|cftoken|zenid|oscsid"
)
# Short names that hold a session only where the value looks like one (a forum may have `s=news`).
_SESSION = re.compile(r"s|sid|session|sessionid|session_id")
_SESSION_VALUE = re.compile(r"(?=.*\d)[0-9a-zA-Z]{16,}")
_PATH_SESSION = re.compile(r";(jsessionid|phpsessid|sid)=[^/;?]*", re.IGNORECASE)
_INDEX = re.compile(r"/(index|default)\.(html?|php|aspx?|jsp)$", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_SAFE = "/%:@!$&'()*+,;=~-._[]|"
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_MAX_TRAP_CHARS = 500
_MAX_SEGMENTS = 15
_MAX_PARAMETERS = 8
_MAX_REPEATS = 2

SameSite = Literal["host", "domain", "prefix"]


def normalise(url: str, base: str | None = None) -> str | None:
    """Return the one spelling of a URL that is asked for; None where it leads to no page.

    Fragments, usual ports, tracking and session parameters go, letters of scheme and host
    become small, dots in the path are resolved, and escapes are written in one way.
    """
    try:
        text = re.sub(r"[\t\r\n]", "", url.strip())
        parts = urlsplit(urljoin(base, text) if base else text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not host or "@" in parts.netloc:
        return None
    authority = f"[{host}]" if ":" in host else host.rstrip(".")
    if port is not None and port != PORTS[parts.scheme]:
        authority += f":{port}"
    path = _escape(_PATH_SESSION.sub("", _without_dots(parts.path)))
    kept = [part for part in parts.query.split("&") if part and not _is_noise(part)]
    found = urlunsplit((parts.scheme, authority, path, _escape("&".join(kept), "?"), ""))
    return found if len(found) <= MAX_URL_CHARS else None


def page_key(url: str) -> str:
    """Return what two spellings of one page share: no scheme, no index file, sorted query."""
    parts = urlsplit(url)
    path = _INDEX.sub("/", parts.path)
    query = "&".join(sorted(parts.query.split("&")))
    return f"{parts.netloc}{path}?{query}" if query else f"{parts.netloc}{path}"


def same_site(url: str, start: str, scope: SameSite) -> bool:
    """Tell whether a link stays on the site of a start."""
    found, first = urlsplit(url), urlsplit(start)
    if scope == "domain":
        return _domain(found.hostname or "") == _domain(first.hostname or "")
    if found.netloc.removeprefix("www.") != first.netloc.removeprefix("www."):
        return False
    folder = first.path.rpartition("/")[0] + "/"
    return scope == "host" or found.path.startswith(folder) or found.path + "/" == folder


def fits(url: str, globs: Iterable[str]) -> bool:
    """Tell whether the path of a URL, or its last part, fits one of the globs."""
    path = urlsplit(url).path or "/"
    names = (path, path[1:], path.rpartition("/")[2])
    return any(fnmatchcase(name, glob) for glob in globs for name in names)


def is_trap(url: str) -> bool:
    """Tell whether a URL looks made by a site that makes them without end."""
    parts = urlsplit(url)
    segments = [segment for segment in parts.path.split("/") if segment]
    words = [segment for segment in segments if not segment.isdecimal()]
    return (
        len(url) > _MAX_TRAP_CHARS
        or len(segments) > _MAX_SEGMENTS
        or any(words.count(word) > _MAX_REPEATS for word in set(words))
        or len(parse_qsl(parts.query, keep_blank_values=True)) > _MAX_PARAMETERS
    )


def url_shape(url: str) -> str | None:
    """Return what pages of one machine-made family share; None for a page with a name or number.

    Calendars, sorted tables and searches differ in several numbers or in the query alone. One
    number (`/threads/123`, `?t=123`) is how forums name their pages.
    """
    parts = urlsplit(url)
    queries = [part.partition("=") for part in parts.query.split("&") if part]
    numbers = len(re.findall(r"\d+", parts.path)) + len(queries)
    if numbers <= 1 and all(value.isdecimal() for _, _, value in queries):
        return None
    path = re.sub(r"\d+", "0", parts.path)
    return f"{parts.netloc}{path}?{','.join(sorted(name for name, _, _ in queries))}"


def host_of(url: str) -> str:
    """Return the host of a URL, without its port."""
    return urlsplit(url).hostname or ""


def first_of(urls: Collection[str | None]) -> list[str]:
    """Drop what is no URL and what comes twice."""
    return list(dict.fromkeys(url for url in urls if url))


@cache
def _domain(host: str) -> str:
    from tldextract import TLDExtract

    # The list that comes with the package: nothing is fetched, nothing cached on disk.
    extract = TLDExtract(cache_dir=None, suffix_list_urls=())
    return extract(host).top_domain_under_public_suffix or host


def _is_noise(part: str) -> bool:
    name, _, value = part.partition("=")
    name = name.lower()
    if _TRACKING.fullmatch(name):
        return True
    return bool(_SESSION.fullmatch(name) and _SESSION_VALUE.fullmatch(value))


def _without_dots(path: str) -> str:
    found: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if found:
                found.pop()
        elif segment != ".":
            found.append(segment)
    if segments and segments[-1] in (".", ".."):
        found.append("")
    return "/" + "/".join(found)


def _escape(text: str, more: str = "") -> str:
    def plain(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if _UNRESERVED.fullmatch(char) else match[0].upper()

    quoted = quote(text, safe=_SAFE + more)
    return _ESCAPE.sub(plain, re.sub(r"%(?![0-9a-fA-F]{2})", "%25", quoted))

"""Send one request to a checked address; whatever breaks on the way gets a name."""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import DecodeError, HTTPError

from domainforge import __version__
from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.addresses import Resolve, check_url, find_addresses, resolve_host
from domainforge.sources.web.connection import Line, Switch, open_connection

USER_AGENT = f"DomainForge/{__version__} (+https://github.com/domainforge/domainforge)"
# What a connection raises while it is used, besides errors of our own.
BREAKS = (HTTPError, http.client.HTTPException, OSError)


class FetchError(UnreadableError):
    """A URL that gave nothing.

    Attributes:
        temporary: Whether a later try may succeed.
    """

    def __init__(self, reason: str, detail: str, *, temporary: bool = False) -> None:
        super().__init__(reason, detail)
        self.temporary = temporary


@dataclass(frozen=True)
class Access:
    """Who may be asked, and how; one for all requests of a source.

    Attributes:
        allow_hosts: `host` or `host:port` that may have a private address or another port.
        timeout_seconds: For one whole request, from the connection to the last byte.
        wait_seconds: Before a broken stream is taken up again; four times longer with each try.
        resolve: From a host name to its addresses.
        tls: Whom to trust instead of the system's authorities.
        switch: Cuts its requests.
    """

    allow_hosts: frozenset[str] = frozenset()
    user_agent: str = USER_AGENT
    timeout_seconds: float = 30.0
    wait_seconds: float = 1.0
    resolve: Resolve = resolve_host
    tls: ssl.SSLContext | None = None
    switch: Switch = field(default_factory=Switch, compare=False)


@contextmanager
def asking(
    url: str, access: Access, headers: Mapping[str, str], limit_seconds: float | None
) -> Iterator[BaseHTTPResponse]:
    """Send a request and hand out the answer with its body unread.

    Args:
        url: An http or https URL.
        access: Who may be asked.
        headers: Sent besides the usual ones.
        limit_seconds: For everything until the `with` ends; None: only silence ends it.

    Raises:
        FetchError: The connection broke, or the time is over.
        UnreadableError: The URL or its address may not be asked.
    """
    target = check_url(url, access.allow_hosts)
    with access.switch.watching(limit_seconds) as watch:
        addresses = find_addresses(target, access.resolve)
        connection = open_connection(
            Line(target, addresses, access.timeout_seconds, watch), access.tls
        )
        sent = {"User-Agent": access.user_agent, "Accept": "*/*", "Connection": "close", **headers}
        reply: BaseHTTPResponse | None = None
        try:
            connection.request("GET", target.path, headers=sent, preload_content=False)
            reply = connection.getresponse()
            yield reply
            # A body without a length just ends when it is cut.
            if watch.cut and limit_seconds is not None:
                raise _too_slow(access.timeout_seconds)
        except BREAKS as error:
            raise _too_slow(access.timeout_seconds) if watch.cut else name_break(error) from None
        finally:
            if reply is not None:
                reply.close()
            connection.close()


def _too_slow(seconds: float) -> FetchError:
    return FetchError("too_slow", f"not whole within {seconds:g} seconds", temporary=True)


def name_break(error: Exception) -> FetchError:
    """Say in one word what ended a connection."""
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    if isinstance(root, ssl.SSLCertVerificationError):
        return FetchError("tls", root.verify_message)
    if isinstance(error, DecodeError):
        return FetchError("content_encoding", "its compression is broken")
    if isinstance(root, TimeoutError):
        return FetchError("too_slow", "no answer in time", temporary=True)
    detail = getattr(root, "strerror", None) or type(root).__name__
    return FetchError("connection", str(detail), temporary=True)


def follow_location(url: str, location: str) -> str:
    """Return where a redirect from `url` leads.

    Raises:
        FetchError: Nowhere.
    """
    # Header bytes arrive as Latin-1; servers send UTF-8.
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(url, location.strip())
    except ValueError:
        raise FetchError("bad_url", "a redirect to something that is no URL") from None


def usable_validator(text: str | None) -> str | None:
    """Return an ETag or a date that can be sent back; a hostile one could break the request."""
    usable = text is not None and len(text) <= 500 and text.isascii() and text.isprintable()
    return text if usable else None

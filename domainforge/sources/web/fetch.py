"""Ask a server for a URL: bounded in time and bytes, public addresses only, redirects by hand."""

import hashlib
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from urllib3 import BaseHTTPResponse, HTTPHeaderDict

from domainforge.sources.web.request import Access, FetchError, asking, follow_location
from domainforge.sources.web.stream import RemoteFile

MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
_CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class Reply:
    """What a server said to one request.

    Attributes:
        url: That was asked; after redirects the last one.
        location: Where a redirect leads, as an absolute URL.
        body: Decompressed; empty where it was not wanted.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    location: str | None = None

    @property
    def sha256(self) -> str:
        """Hash of the body."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def media_type(self) -> str:
        """Content type without parameters, lower case; empty where none is given."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def fetch_once(
    url: str,
    access: Access,
    *,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    wanted: Callable[[HTTPHeaderDict], bool] | None = None,
) -> Reply:
    """Ask for one URL, without following redirects.

    Args:
        url: An http or https URL.
        access: Who may be asked.
        max_bytes: Most bytes of the body, after decompression.
        headers: Sent besides the usual ones.
        wanted: Told the headers of a 200; where it says no, the body is not read.

    Raises:
        FetchError: Nothing came, or not in time, or too much.
        UnreadableError: The URL or its address may not be asked.
    """
    sent = {"Accept-Encoding": "gzip, deflate", **(headers or {})}
    with asking(url, access, sent, access.timeout_seconds) as reply:
        location = reply.headers.get("location")
        if reply.status in _REDIRECTS and location:
            return Reply(url, reply.status, reply.headers, location=follow_location(url, location))
        if reply.status == 200 and wanted is not None and not wanted(reply.headers):
            return Reply(url, reply.status, reply.headers)
        body = _read_body(reply, max_bytes) if reply.status == 200 else b""
        return Reply(url, reply.status, reply.headers, body)


def fetch(url: str, access: Access, *, max_bytes: int) -> Reply:
    """Ask for a URL and follow its redirects, each checked as the first.

    Raises:
        FetchError: As for `fetch_once`, or redirects without end.
        UnreadableError: A URL or an address on the way may not be asked.
    """
    for _ in range(MAX_REDIRECTS + 1):
        reply = fetch_once(url, access, max_bytes=max_bytes)
        if reply.location is None:
            return reply
        url = reply.location
    raise FetchError("redirects", f"more than {MAX_REDIRECTS} redirects")


def open_stream(
    url: str, access: Access, *, offset: int = 0, revision: str | None = None
) -> RemoteFile:
    """Open a file of any size at a URL, from an offset on.

    Nothing is decompressed. A broken connection is taken up again where it broke. Wrap it in
    `io.BufferedReader` for small reads.

    Args:
        url: An http or https URL; redirects are followed, each checked as the first.
        access: Who may be asked.
        offset: Bytes that the caller has already.
        revision: `RemoteFile.revision` of the file that those bytes came from.

    Raises:
        FetchError: It can't be had, or is not the file any more that it was.
        UnreadableError: A URL or an address on the way may not be asked.
    """
    return RemoteFile(url, access, offset, revision)


def status_error(reply: Reply) -> FetchError:
    """Describe a status that gives no page."""
    temporary = reply.status in (408, 425, 429) or reply.status >= 500
    return FetchError(f"http_{reply.status}", _phrase(reply.status), temporary=temporary)


def _read_body(reply: BaseHTTPResponse, max_bytes: int) -> bytes:
    encoding = reply.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise FetchError("content_encoding", f"{encoding[:40]}, which was not asked for")
    announced = reply.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    # read1 gives what is there, decompressed no further than asked for: a bomb ends at the limit.
    while data := reply.read1(_CHUNK_BYTES, decode_content=True):
        body += data
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> FetchError:
    return FetchError("too_large", f"more than {max_bytes:,} bytes; web.max_page_mb is the limit")


def _phrase(status: int) -> str:
    return http.client.responses.get(status, "an unknown status")

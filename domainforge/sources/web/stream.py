"""Read a file of any size from a URL as it comes, going on after a broken connection."""

import io
import re
import time
from contextlib import ExitStack
from typing import Any

from urllib3 import BaseHTTPResponse

from domainforge.sources.web.request import (
    BREAKS,
    Access,
    FetchError,
    asking,
    follow_location,
    name_break,
    usable_validator,
)

_MAX_REDIRECTS = 10
_MAX_TRIES = 5
# A server that sends less than this is dripping: a file of a gigabyte would take two weeks.
_MIN_BYTES_PER_SECOND = 1_000
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class RemoteFile(io.RawIOBase):
    """The bytes of a URL from an offset on, as a raw binary file that can't seek.

    Attributes:
        url: Where it was found, redirects followed.
        size_bytes: Of the whole file, as far as the server says.
        revision: Changes when the file does; None where the server gives nothing to go by.
    """

    def __init__(self, url: str, access: Access, offset: int, revision: str | None) -> None:
        """Send the first request."""
        super().__init__()
        self.url = url
        self.size_bytes: int | None = None
        self.revision = revision
        self._asked = url
        self._access = access
        self._at = offset
        self._stack = ExitStack()
        self._reply: BaseHTTPResponse | None = None
        self._since = 0.0
        self._since_bytes = 0
        self._go_on()

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def tell(self) -> int:
        """Return how many bytes of the file were given out or skipped."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a part of the buffer; 0 at the end of the file.

        Raises:
            FetchError: The connection broke again and again, or the file changed.
        """
        view = memoryview(buffer).cast("B")
        tries = 0
        while self._reply is not None and len(view):
            try:
                data = self._reply.read1(len(view), decode_content=False)
                self._check_pace()
                if not data and self.size_bytes is not None and self._at < self.size_bytes:
                    raise FetchError("connection", "the file broke off", temporary=True)
            except BREAKS as error:
                tries = self._wait(tries, name_break(error))
            except FetchError as error:
                tries = self._wait(tries, error)
            else:
                view[: len(data)] = data
                self._at += len(data)
                self._since_bytes += len(data)
                return len(data)
            try:
                self._ask()
            except FetchError as error:
                if not error.temporary:
                    raise
        return 0

    def close(self) -> None:
        """Close the connection."""
        self._stack.close()
        self._reply = None
        super().close()

    def _go_on(self) -> None:
        tries = 0
        while True:
            try:
                return self._ask()
            except FetchError as error:
                tries = self._wait(tries, error)

    def _wait(self, tries: int, error: FetchError) -> int:
        if not error.temporary or tries + 1 >= _MAX_TRIES:
            raise error
        time.sleep(min(self._access.wait_seconds * 4**tries, 60.0))
        return tries + 1

    def _check_pace(self) -> None:
        elapsed = time.monotonic() - self._since
        if elapsed < self._access.timeout_seconds:
            return
        if self._since_bytes < _MIN_BYTES_PER_SECOND * elapsed:
            raise FetchError("too_slow", f"under {_MIN_BYTES_PER_SECOND} B/s", temporary=True)
        self._since, self._since_bytes = time.monotonic(), 0

    def _ask(self) -> None:
        """Ask for the rest of the file, and skip what a server without ranges sends again."""
        self._stack.close()
        self._reply = None
        reply = self._follow()
        if reply.status == 416 and self._at:
            return  # it ends exactly here
        if reply.status not in (200, 206):
            temporary = reply.status in (408, 429) or reply.status >= 500
            raise FetchError(f"http_{reply.status}", "instead of the file", temporary=temporary)
        revision = _revision(reply)
        if self.revision is not None and self._at and revision != self.revision:
            raise FetchError("changed", "not the file any more that was read so far; start anew")
        self.revision = revision
        skip = self._place(reply)
        self._since, self._since_bytes = time.monotonic(), 0
        while skip:
            try:
                data = reply.read1(min(skip, 65_536), decode_content=False)
            except BREAKS as error:
                raise name_break(error) from None
            if not data:
                raise FetchError("changed", "shorter than what was read of it; start anew")
            skip -= len(data)
        self._reply = reply

    def _follow(self) -> BaseHTTPResponse:
        url = self._asked
        for _ in range(_MAX_REDIRECTS + 1):
            self._stack.close()
            headers = {"Accept-Encoding": "identity"}
            if self._at:
                headers["Range"] = f"bytes={self._at}-"
                if self.revision is not None and not self.revision.startswith("W/"):
                    headers["If-Range"] = self.revision
            reply = self._stack.enter_context(asking(url, self._access, headers, None))
            location = reply.headers.get("location")
            if reply.status not in (301, 302, 303, 307, 308) or not location:
                self.url = url
                return reply
            url = follow_location(url, location)
        raise FetchError("redirects", f"more than {_MAX_REDIRECTS} redirects")

    def _place(self, reply: BaseHTTPResponse) -> int:
        """Note the size; return how many bytes come that the caller has already."""
        if reply.status == 200:
            length = reply.headers.get("content-length", "")
            self.size_bytes = int(length) if re.fullmatch(r"\d{1,18}", length) else None
            return self._at
        match = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", "").strip())
        if match is None or int(match[1]) > self._at:
            raise FetchError("bad_range", "the server sent another part than was asked for")
        self.size_bytes = None if match[3] == "*" else int(match[3])
        return self._at - int(match[1])


def _revision(reply: BaseHTTPResponse) -> str | None:
    return usable_validator(reply.headers.get("etag")) or usable_validator(
        reply.headers.get("last-modified")
    )

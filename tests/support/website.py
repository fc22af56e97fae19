"""A real website on loopback that fails on cue and keeps a log of every request.

In a test: `with Website({"/": page("<p>Hello")}) as site: ... site.url("/")`.
In its own process: `python -m tests.support.website SITE.json LOG`.
"""

import gzip
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

Deed = Literal["send", "drip", "drip_headers", "truncate", "drop", "hang", "endless_headers"]


@dataclass(frozen=True)
class Answer:
    """What goes back for one request; an `etag` or `modified` makes it answer 304 by itself."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    modified: str | None = None
    deed: Deed = "send"
    delay_seconds: float = 0.0
    ranges: bool = False
    framed: bool = True


class Visit(NamedTuple):
    """One request: when it came, when its answer was out, and what it asked."""

    begun: float
    ended: float
    host: str
    path: str
    status: int
    headers: dict[str, str]


# By path: an answer, a list by number of the request (the last one stays), or a function of that
# number.
Site = Mapping[str, Answer | list[Answer] | Callable[[int], Answer]]


def page(*parts: str, title: str = "Page", head: str = "", **options: Any) -> Answer:
    """Make an HTML page; a part that starts with a slash or `http` becomes a link."""
    body = "".join(
        f'<p><a href="{part}">{part}</a></p>' if part.startswith(("/", "http")) else part
        for part in parts
    )
    html = f"<!doctype html><html><head><title>{title}</title>{head}</head><body>{body}</body>"
    return Answer(html.encode(), **options)


def redirect(location: str, status: int = 302) -> Answer:
    """Send the visitor elsewhere."""
    return Answer(status=status, headers={"Location": location})


def bomb(megabytes: int) -> bytes:
    """Compress zeros."""
    return gzip.compress(b"\0" * (megabytes * 1_000_000))


class Website:
    """A website on a free loopback port, for the length of a `with`."""

    def __init__(
        self,
        site: Site,
        *,
        port: int = 0,
        log: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bind the port; requests are answered from `__enter__` on."""
        self.site = dict(site)
        self.visits: list[Visit] = []
        self.stopping = threading.Event()
        self._counts: dict[str, int] = {}
        self._log = log
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.website = self
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def host(self) -> str:
        """Host and port, as `allow_hosts` wants them."""
        return f"127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port it listens at."""
        return self._http.server_port

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Return the address of a page."""
        return f"http://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        """List what was asked, in order of arrival."""
        return [visit.path for visit in sorted(self.visits)]

    def asked(self, path: str) -> list[Visit]:
        """List the requests for one path."""
        return [visit for visit in sorted(self.visits) if visit.path == path]

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and let go of every visitor."""
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, path: str) -> Answer:
        """Choose the answer for the next request of a path."""
        with self._lock:
            number = self._counts.get(path, 0)
            self._counts[path] = number + 1
        found = self.site.get(path, Answer(b"no such page", 404))
        if isinstance(found, list):
            return found[min(number, len(found) - 1)]
        return found if isinstance(found, Answer) else found(number)

    def note(self, visit: Visit) -> None:
        """Log a request."""
        with self._lock:
            self.visits.append(visit)
            if self._log is not None:
                with self._log.open("a") as handle:
                    handle.write(json.dumps(visit) + "\n")


class _Server(ThreadingHTTPServer):
    website: Website
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of visitors that hang up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        begun = time.monotonic()
        website = self.server.website
        answer = website.answer(self.path)
        if answer.delay_seconds:
            website.stopping.wait(answer.delay_seconds)
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, extra, body = _frame(answer, headers)
        # Noted before the answer is out, so that who has the answer finds it in the log.
        ended = time.monotonic()
        website.note(Visit(begun, ended, headers["host"], self.path, status, headers))
        self.close_connection = True
        if answer.deed in ("hang", "drop"):
            if answer.deed == "hang":
                website.stopping.wait(30)
            return
        head = f"HTTP/1.1 {status} X\r\n"
        lines = {"Content-Type": answer.content_type, **extra, **answer.headers}
        if answer.framed:
            lines.setdefault("Content-Length", str(len(body)))
        head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        if answer.deed == "endless_headers":
            head += "".join(f"X-{number}: a\r\n" for number in range(5000))
        self._send(head.encode() + b"\r\n", body, answer.deed)

    def _send(self, head: bytes, body: bytes, deed: Deed) -> None:
        if deed == "drip_headers":
            self._drip(head + body)
            return
        self.wfile.write(head)
        if deed == "drip":
            self._drip(body)
        elif deed == "truncate":
            self.wfile.write(body[: len(body) // 2])
        else:
            self.wfile.write(body)

    def _drip(self, data: bytes) -> None:
        for byte in data:
            if self.server.website.stopping.wait(0.05):
                return
            self.wfile.write(bytes([byte]))

    def log_message(self, *_: object) -> None:
        """Write nothing to the test's output."""


def _frame(answer: Answer, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body, after conditions and ranges."""
    extra: dict[str, str] = {}
    if answer.etag:
        extra["ETag"] = answer.etag
    if answer.modified:
        extra["Last-Modified"] = answer.modified
    same_tag = answer.etag and headers.get("if-none-match") == answer.etag
    same_time = answer.modified and headers.get("if-modified-since") == answer.modified
    if answer.status == 200 and (same_tag or (same_time and "if-none-match" not in headers)):
        return 304, extra, b""
    asked = headers.get("range", "")
    if answer.ranges and asked.startswith("bytes="):
        start = int(asked[6:].rstrip("-"))
        if headers.get("if-range", answer.etag) == answer.etag:
            if start >= len(answer.body):
                return 416, extra, b""
            extra["Content-Range"] = f"bytes {start}-{len(answer.body) - 1}/{len(answer.body)}"
            return 206, extra, answer.body[start:]
    return answer.status, extra, answer.body


def main() -> None:
    """Serve pages from a JSON file of paths and bodies; the first line printed is the port."""
    site, log = Path(sys.argv[1]), Path(sys.argv[2])
    pages = {path: Answer(body.encode()) for path, body in json.loads(site.read_text()).items()}
    with Website(pages, log=log) as website:
        print(website.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()

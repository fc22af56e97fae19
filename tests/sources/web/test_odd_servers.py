"""Servers that speak no proper HTTP: whatever they send is a named fault, never a crash."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.fetch import fetch_once, open_stream
from domainforge.sources.web.request import Access

OK = b"HTTP/1.1 200 OK\r\n"
ODD = [
    b"",
    b"\r\n",
    b"220 smtp.example.com ESMTP\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 99999 X\r\n\r\n",
    b"HTTP/1.1 -1 X\r\n\r\n",
    b"HTTP/9.9 200 OK\r\n\r\nx",
    b"A" * 100_000,
    OK + b"A" * 100_000 + b"\r\n\r\n",
    OK + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    OK + b"Content-Length: -5\r\n\r\nx",
    OK + b"Content-Length: 5\r\nContent-Length: 9\r\n\r\nx",
    OK + b"Content-Length: 99999999999999999999999\r\n\r\nx",
    OK + b"Content-Length: five\r\n\r\nx",
    OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx",
    OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx",
    OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nx",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5",
    OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b",
    OK + b"Content-Encoding: deflate\r\n\r\n\xff\xff\xff",
    OK + b"Content-Encoding: " + b"gzip," * 1000 + b"\r\n\r\nx",
    OK + b"Content-Type: \xff\xfe; charset=\xff\r\n\r\nx",
    b"HTTP/1.1 302 X\r\nLocation: http://[broken/\r\n\r\n",
    b"HTTP/1.1 302 X\r\nLocation: \xff\xfe\x00\r\n\r\n",
    b"HTTP/1.1 302 X\r\nLocation: http://a:b:c:d/\r\n\r\n",
    b"HTTP/1.1 206 X\r\nContent-Range: bytes 9-1/x\r\n\r\nx",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
]


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Answer every connection with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    visitor, _ = listener.accept()
                except OSError:
                    return
                with visitor:
                    visitor.settimeout(2)
                    try:
                        visitor.recv(10_000)
                        visitor.sendall(answer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(2)


def ask(answer: bytes) -> None:
    with server(answer) as host:
        access = Access(frozenset({host}), timeout_seconds=2)
        with suppress(UnreadableError):
            reply = fetch_once(f"http://{host}/", access, max_bytes=10_000)
            assert len(reply.body) <= 10_000


@pytest.mark.parametrize("answer", ODD)
def test_odd_answers(answer: bytes) -> None:
    ask(answer)


@pytest.mark.parametrize("answer", [ODD[0], ODD[3], ODD[23], ODD[26]])
def test_odd_answers_to_a_stream(answer: bytes) -> None:
    with server(answer) as host:
        access = Access(frozenset({host}), timeout_seconds=2, wait_seconds=0.001)
        with pytest.raises(UnreadableError):
            open_stream(f"http://{host}/", access, offset=5)


HEADER = st.sampled_from(
    ["Content-Length", "Transfer-Encoding", "Content-Encoding", "Location", "ETag", "Retry-After"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([200, 206, 301, 304, 429, 503]),
    st.dictionaries(HEADER, st.binary(max_size=20)),
    st.binary(max_size=50),
)
def test_random_answers(status: int, headers: dict[str, bytes], body: bytes) -> None:
    lines = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in headers.items())
    ask(b"HTTP/1.1 %d X\r\n%s\r\n%s" % (status, lines, body))

"""HTTP connections to addresses that were checked, with one deadline over all that they do."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import TracebackType
from typing import Self

from urllib3.connection import HTTPConnection, HTTPSConnection

from domainforge.sources.web.addresses import Target, check_address


class Watch:
    """Cuts a connection when its time is over, wherever it hangs: greeting, headers or body.

    A socket's own timeout starts anew with every byte, so a server that drips one byte a second
    would never meet it.
    """

    def __init__(self, seconds: float | None) -> None:
        """Start nothing yet: time runs from `__enter__` on, if there is a limit at all."""
        self.cut = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = None if seconds is None else threading.Timer(seconds, self.shut)
        if self._timer is not None:
            self._timer.daemon = True

    def add(self, sock: socket.socket) -> None:
        """Watch over a socket; the copy stays valid when TLS takes the original over."""
        copy = sock.dup()
        with self._lock:
            self._sockets.append(copy)
            late = self.cut
        if late:
            self.shut()

    def shut(self) -> None:
        """Cut the connection now."""
        with self._lock:
            self.cut = True
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster

    def __enter__(self) -> Self:
        """Let the time run."""
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()


class Switch:
    """Cuts all connections of one source at once, also those that are only about to open."""

    def __init__(self) -> None:
        """Begin with none."""
        self._watches: set[Watch] = set()
        self._off = False
        self._lock = threading.Lock()

    def cut(self) -> None:
        """End every request that is under way, and every later one."""
        with self._lock:
            self._off = True
            watches = list(self._watches)
        for watch in watches:
            watch.shut()

    @contextmanager
    def watching(self, seconds: float | None) -> Iterator[Watch]:
        """Give a request its deadline."""
        with Watch(seconds) as watch:
            with self._lock:
                self._watches.add(watch)
                off = self._off
            if off:
                watch.shut()
            try:
                yield watch
            finally:
                with self._lock:
                    self._watches.discard(watch)


class Line:
    """How a connection gets its socket: straight to a checked address, never by name or proxy."""

    def __init__(
        self, target: Target, addresses: Sequence[str], seconds: float, watch: Watch
    ) -> None:
        """Keep what was checked; nothing is connected yet."""
        self.target = target
        self.addresses = addresses
        self.seconds = seconds
        self.watch = watch

    def connect(self) -> socket.socket:
        """Connect to the first address that answers, and check who it is that answered."""
        failure: OSError = OSError("no address")
        for address in self.addresses:
            if self.watch.cut:
                break
            try:
                sock = socket.create_connection((address, self.target.port), self.seconds)
            except OSError as error:
                failure = error
                continue
            try:
                check_address(str(sock.getpeername()[0]), self.target)
                self.watch.add(sock)
            except BaseException:
                sock.close()
                raise
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        raise failure


class CheckedHTTPConnection(HTTPConnection):
    """Plain HTTP over a checked line."""

    line: Line

    def _new_conn(self) -> socket.socket:
        return self.line.connect()


class CheckedHTTPSConnection(HTTPSConnection):
    """HTTPS over a checked line; the certificate is verified against the host's name."""

    line: Line

    def _new_conn(self) -> socket.socket:
        return self.line.connect()


def open_connection(line: Line, tls: ssl.SSLContext | None) -> HTTPConnection:
    """Make a connection that sends nothing yet."""
    target = line.target
    connection: CheckedHTTPConnection | CheckedHTTPSConnection
    if target.scheme == "https":
        connection = CheckedHTTPSConnection(
            target.host, target.port, timeout=line.seconds, ssl_context=tls or _trust()
        )
    else:
        connection = CheckedHTTPConnection(target.host, target.port, timeout=line.seconds)
    connection.line = line
    return connection


@cache
def _trust() -> ssl.SSLContext:
    """Trust what the system trusts, and the public authorities where the system has none."""
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context

"""aiohttp as a transport: a tenth of the processor time of an SDK, for plain endpoints."""

import asyncio
from typing import Any

from domainforge.teacher.dialect import USUAL, Dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, read_error, read_success, shorten, too_large
from domainforge.teacher.request import Answer, Request
from domainforge.teacher.transports.contract import MAX_REPLY_BYTES, request_body
from domainforge.teacher.transports.deadlines import Deadlines

_CONNECT_TIMEOUT_SECONDS = 10.0
_MODELS_TIMEOUT_SECONDS = 10.0
# Longer idle connections are what servers close under our hands.
_KEEPALIVE_SECONDS = 4.0


class DirectTransport:
    """One session of kept-alive connections to one endpoint.

    Needs a running event loop. Answers are taken as they are: no redirects, no cookies.
    """

    def __init__(
        self, endpoint: Endpoint, timeout_seconds: float, most_bytes: int = MAX_REPLY_BYTES
    ) -> None:
        """Prepare a session; nothing is sent yet."""
        import aiohttp
        import orjson
        from yarl import URL

        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._most_bytes = most_bytes
        self._deadlines = Deadlines(timeout_seconds)
        self._dump = orjson.dumps
        self._chat = URL(f"{endpoint.base_url}/chat/completions", encoded=True)
        self._completions = URL(f"{endpoint.base_url}/completions", encoded=True)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            # A proxy from the environment would swallow requests to this machine.
            trust_env=not endpoint.is_loopback,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=min(_CONNECT_TIMEOUT_SECONDS, timeout_seconds)
            ),
            skip_auto_headers=("User-Agent",),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(
        self, request: Request, *, with_schema: bool, dialect: Dialect = USUAL
    ) -> Answer:
        """Send one request and return the raw completion.

        Raises:
            Fault: No completion came.
        """
        import aiohttp

        body = self._dump(request_body(request, self._endpoint, with_schema, dialect))
        url = self._chat if request.prompt is None else self._completions
        task = self._deadlines.begin()
        try:
            async with self._session.post(url, data=body, allow_redirects=False) as response:
                content = await _read(response, self._most_bytes)
        except asyncio.CancelledError as error:
            if not self._deadlines.has_passed(task):
                raise
            raise self._timeout(may_be_billed=True) from error
        except TimeoutError as error:
            # A connection that was never made carried nothing.
            sent = not isinstance(error, aiohttp.ConnectionTimeoutError)
            raise self._timeout(may_be_billed=sent) from error
        except (aiohttp.ClientError, OSError) as error:
            detail = f"{type(error).__name__}: {error}"
            raise Fault(
                "bad_encoding" if _is_undecodable(error) else "connection",
                shorten(self._endpoint.scrub(detail).encode()),
                may_be_billed=not isinstance(error, aiohttp.ClientConnectorError),
            ) from error
        finally:
            self._deadlines.end(task)
        headers = response.headers
        if response.status != 200:
            raise read_error(response.status, content, headers, self._endpoint)
        return read_success(content, headers, self._endpoint)

    def _timeout(self, *, may_be_billed: bool) -> Fault:
        detail = f"no whole reply within {self._timeout_seconds:g} s"
        return Fault("timeout", detail, may_be_billed=may_be_billed)

    async def list_models(self) -> tuple[str, ...] | None:
        """Return the names that the endpoint lists, or None where it lists none."""
        import aiohttp
        import orjson

        try:
            async with (
                asyncio.timeout(_MODELS_TIMEOUT_SECONDS),
                self._session.get(f"{self._endpoint.base_url}/models") as response,
            ):
                page = orjson.loads(await _read(response, self._most_bytes))
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError, Fault):
            # Not every endpoint has such a list, and some answer with a page of HTML.
            return None
        entries = page.get("data") if isinstance(page, dict) else None
        if response.status != 200 or not isinstance(entries, list):
            return None
        names = (entry.get("id") for entry in entries if isinstance(entry, dict))
        return tuple(name for name in names if isinstance(name, str))


async def _read(response: Any, most_bytes: int) -> bytes:
    """Read a body, however it is framed and packed, up to what a completion can be."""
    length = response.content_length
    is_packed = "content-encoding" in response.headers
    if length is not None and length <= most_bytes and not is_packed:
        return bytes(await response.read())
    parts: list[bytes] = []
    total = 0
    async for part in response.content.iter_any():
        total += len(part)
        if total > most_bytes:
            raise too_large(most_bytes)
        parts.append(part)
    return b"".join(parts)


def _is_undecodable(error: BaseException | None) -> bool:
    from aiohttp.http_exceptions import ContentEncodingError

    while error is not None and not isinstance(error, ContentEncodingError):
        error = error.__cause__
    return error is not None

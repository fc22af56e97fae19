"""The HTTP client below an SDK: it hands over whole replies, and only those of a sane size."""

import ssl
from collections.abc import Callable
from typing import Any

from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import too_large

_OF_THE_WIRE = (b"content-encoding", b"content-length", b"transfer-encoding")


def open_http_client(
    endpoint: Endpoint, most_bytes: int, check: Callable[[Any], None] | None = None
) -> Any:
    """Return an `httpx2.AsyncClient` for the `openai` package.

    Args:
        endpoint: Who is asked; past the proxies of the environment where it is on this machine.
        most_bytes: Larger replies become a fault, however they are framed and packed.
        check: Looks at a reply before the SDK sees it; what it raises comes through.
    """
    import httpx2
    import openai

    class _Client(openai.DefaultAsyncHttpxClient):
        async def send(
            self, request: httpx2.Request, *, stream: bool = False, **settings: Any
        ) -> httpx2.Response:
            response = await super().send(request, stream=True, **settings)
            try:
                content = await _read(response, most_bytes)
            finally:
                await response.aclose()
            # As bytes: a header may hold letters that the text form can't be made of again.
            headers = [pair for pair in response.headers.raw if pair[0].lower() not in _OF_THE_WIRE]
            status = response.status_code
            whole = httpx2.Response(status, headers=headers, content=content, request=request)
            if check is not None:
                check(whole)
                # What is JSON by its looks must be so by its type, or the SDK hands on a string.
                whole.headers["content-type"] = "application/json"
            return whole

    if endpoint.is_loopback and endpoint.base_url.startswith("http:"):
        # A proxy from the environment would swallow requests to this machine. An empty store of
        # certificates trusts nobody, and spares the 60 ms that loading the usual one takes.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return _Client(trust_env=False, verify=nobody)
    return _Client()


async def _read(response: Any, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    total = 0
    async for part in response.aiter_bytes():
        total += len(part)
        if total > most_bytes:
            raise too_large(most_bytes)
        parts.append(part)
    return b"".join(parts)

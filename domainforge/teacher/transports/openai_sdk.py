"""The `openai` package as a transport: any provider it can reach, proxies and all."""

import asyncio
from typing import Any

from domainforge.teacher.dialect import USUAL, Dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, read_error, read_success, shorten
from domainforge.teacher.request import Answer, Request
from domainforge.teacher.transports.contract import MAX_REPLY_BYTES, request_body
from domainforge.teacher.transports.http_client import open_http_client

_MODELS_TIMEOUT_SECONDS = 10.0
_CONNECT_TIMEOUT_SECONDS = 10.0
# llama.cpp takes the one, and the SDK's plain completions don't know the other.
_UNKNOWN_TO_THE_SDK = ("json_schema", "max_completion_tokens")


class OpenAITransport:
    """The `openai` client of one endpoint, with its retries off: they belong to the engine."""

    def __init__(
        self, endpoint: Endpoint, timeout_seconds: float, most_bytes: int = MAX_REPLY_BYTES
    ) -> None:
        """Prepare a client; nothing is sent yet."""
        import openai

        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            max_retries=0,
            http_client=open_http_client(endpoint, most_bytes),
        )
        # The SDK takes these from the environment, and would send them to any endpoint.
        self._client.organization = self._client.project = None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def send(
        self, request: Request, *, with_schema: bool, dialect: Dialect = USUAL
    ) -> Answer:
        """Send one request and return the raw completion.

        The SDK's typed result is passed by: it hides broken bodies (an HTML page comes back as a
        `str`, missing choices as None).

        Raises:
            Fault: No completion came.
        """
        import httpx2
        import openai

        body = request_body(request, self._endpoint, with_schema, dialect)
        extra = {name: body.pop(name) for name in _UNKNOWN_TO_THE_SDK if name in body}
        is_chat = request.prompt is None
        resource: Any = self._client.chat.completions if is_chat else self._client.completions
        try:
            # The SDK's timeout is per read; a server that drips bytes would never meet it.
            async with asyncio.timeout(self._timeout_seconds):
                response = await resource.with_raw_response.create(
                    **body, extra_body=extra or None, timeout=self._sdk_timeout()
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            detail = f"no whole reply within {self._timeout_seconds:g} s"
            raise Fault("timeout", detail, may_be_billed=True) from error
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            detail = f"{type(cause).__name__}: {cause}"
            raise Fault(
                "bad_encoding" if isinstance(cause, httpx2.DecodingError) else "connection",
                shorten(self._endpoint.scrub(detail).encode()),
                may_be_billed=not isinstance(cause, httpx2.ConnectError),
            ) from error
        except openai.APIStatusError as error:
            answer = error.response
            raise read_error(
                answer.status_code, answer.content, answer.headers, self._endpoint
            ) from None
        if response.status_code != 200:
            raise read_error(
                response.status_code, response.content, response.headers, self._endpoint
            )
        return read_success(response.content, response.headers, self._endpoint)

    async def list_models(self) -> tuple[str, ...] | None:
        """Return the names that the endpoint lists, or None where it lists none."""
        import openai

        try:
            async with asyncio.timeout(_MODELS_TIMEOUT_SECONDS):
                page = await self._client.models.list()
        except (TimeoutError, openai.APIError, ValueError, AttributeError):
            # Not every endpoint has such a list, and some answer with a page of HTML.
            return None
        entries = getattr(page, "data", None)
        if not isinstance(entries, list):
            return None
        names = (getattr(entry, "id", None) for entry in entries)
        return tuple(name for name in names if isinstance(name, str))

    def _sdk_timeout(self) -> Any:
        import openai

        connect = min(_CONNECT_TIMEOUT_SECONDS, self._timeout_seconds)
        return openai.Timeout(self._timeout_seconds, connect=connect)

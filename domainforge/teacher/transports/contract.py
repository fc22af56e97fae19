"""What every transport does, and the body of a request."""

from typing import Any, Protocol

from domainforge.teacher.dialect import USUAL, Dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.request import Answer, Request
from domainforge.teacher.transports.schema import response_format

MAX_REPLY_BYTES = 64 * 2**20
"""What no completion reaches; a reply that is larger is given up, and not held in memory."""


class Transport(Protocol):
    """One endpoint, reached in one way. Retries belong to the engine."""

    async def send(
        self, request: Request, *, with_schema: bool, dialect: Dialect = USUAL
    ) -> Answer:
        """Send one request and return what came.

        Args:
            request: What is asked.
            with_schema: Send the request's schema along, to be enforced.
            dialect: How the endpoint wants to be asked.

        Raises:
            Fault: No completion came.
        """

    async def list_models(self) -> tuple[str, ...] | None:
        """Return the names that the endpoint lists, or None where it lists none."""

    async def close(self) -> None:
        """Close the connections."""


def request_body(
    request: Request, endpoint: Endpoint, with_schema: bool, dialect: Dialect = USUAL
) -> dict[str, Any]:
    """Return what is sent for a request.

    `max_tokens` always goes along: llama.cpp's default is no limit. The seed is the sample's
    number, so that another sample is another text.
    """
    body: dict[str, Any] = {
        "model": endpoint.model,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.sample,
    }
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if request.stop:
        body["stop"] = list(request.stop)
    if request.prompt is not None:
        body["prompt"] = request.prompt
        # The contract has no schema for plain completions; llama.cpp takes one all the same.
        if request.schema is not None and endpoint.llamacpp:
            body["json_schema"] = request.schema
        return dialect.translate(body)
    body["messages"] = list(request.messages)
    if request.schema is not None and with_schema:
        body["response_format"] = response_format(request.schema)
    return dialect.translate(body)

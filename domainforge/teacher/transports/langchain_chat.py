"""LangChain's chat models as a transport: providers that speak no OpenAI protocol."""

import asyncio
import inspect
import itertools
import json
from typing import Any

from domainforge.errors import ConfigError
from domainforge.teacher.dialect import SCHEMA, USUAL, Dialect
from domainforge.teacher.endpoint import SHORTEST_SECRET, Endpoint
from domainforge.teacher.fault import Fault, read_error, read_success
from domainforge.teacher.request import Answer, Request
from domainforge.teacher.transports.contract import MAX_REPLY_BYTES
from domainforge.teacher.transports.http_client import open_http_client
from domainforge.teacher.transports.langchain_reading import find_fault, make_completion
from domainforge.teacher.transports.langchain_terms import find_unknown_provider
from domainforge.teacher.transports.schema import response_format

_MOST_MODELS = 64
_OWN_TIMEOUT_SECONDS = 5.0
# What the limit of a reply is called in the packages of the providers.
_LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "num_predict")
_serial = itertools.count(1)


class LangChainTransport:
    """The chat model of one provider, with its retries off: they belong to the engine.

    A LangChain model has its sampling settings inside, so there is one for each set of settings
    that requests come with. Needs a running event loop.
    """

    def __init__(
        self, endpoint: Endpoint, timeout_seconds: float, most_bytes: int = MAX_REPLY_BYTES
    ) -> None:
        """Load the provider's package; nothing is sent yet.

        Raises:
            ConfigError: The package is not installed, or has no use for these settings.
        """
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._client: Any = None
        self._models: dict[str, Any] = {}
        self._built: list[Any] = []
        self._common: dict[str, Any] = {
            "max_retries": 0,
            # Ours comes first. The packages share an HTTP client between models of equal address
            # and timeout, and it can't go from one event loop to the next: hence the serial.
            "timeout": timeout_seconds + _OWN_TIMEOUT_SECONDS + next(_serial) / 1000,
        }
        has_address = endpoint.base_url.startswith("http")
        if has_address:
            self._common["base_url"] = endpoint.base_url
        if endpoint.api_key or has_address:
            # The package would send the key of the environment to any address.
            self._common["api_key"] = endpoint.api_key or "none"
        first = _build(endpoint, self._common)
        fields = type(first).model_fields
        self._names = {*fields, *(field.alias for field in fields.values() if field.alias)}
        limit = next((name for name in _LIMITS if name in self._names), None)
        if limit is None:
            raise ConfigError(
                f"teacher.model: LangChain's package for {endpoint.model} takes no limit of the "
                "reply's tokens, so nothing would bound what it costs; use another provider"
            )
        self._limit: str = limit
        if "http_async_client" in self._names:
            self._client = open_http_client(endpoint, most_bytes, self._check)
            self._common["http_async_client"] = self._client
        if "include_response_headers" in self._names:
            self._common["include_response_headers"] = True
        self._secrets = _find_secrets(first, endpoint)

    async def close(self) -> None:
        """Close the connections."""
        for model in self._built:
            await _close_clients(model)
        if self._client is not None:
            await self._client.aclose()

    async def send(
        self, request: Request, *, with_schema: bool, dialect: Dialect = USUAL
    ) -> Answer:
        """Send one request and return what came, brought into OpenAI's form.

        Raises:
            Fault: No completion came, or the request is a text to continue.
        """
        if request.prompt is not None:
            text = (
                "teacher.transport: langchain asks chat models only; a prompt that continues a "
                "text needs `transport: direct` or `openai` at an endpoint that has completions"
            )
            raise Fault("unsupported", text, passing=False, stop=text)
        schema = request.schema if with_schema and SCHEMA not in dialect.left_out else None
        settings = self._settings(request, dialect)
        # Every model takes it with the call, but not every one that is held to a schema does.
        stop = settings.pop("stop", None) if "stop" not in self._names else None
        model = self._find_model(settings, schema)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reply = await _ask(model, list(request.messages), stop)
        except BaseException as error:
            fault = find_fault(error, self._endpoint, self._timeout_seconds, self._scrub)
            if fault is None:
                raise
            raise fault from error
        completion, headers = make_completion(reply)
        text = self._scrub(json.dumps(completion, default=str))
        return read_success(text.encode(), headers, self._endpoint)

    async def list_models(self) -> tuple[str, ...] | None:
        """Return None: LangChain has no such list."""
        return None

    def _settings(self, request: Request, dialect: Dialect) -> dict[str, Any]:
        wanted = {
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": request.sample,
            "stop": list(request.stop) or None,
            self._limit: request.max_tokens,
        }
        known = {*self._names, "stop"}
        return {
            name: value
            for name, value in wanted.items()
            if name in known and value is not None and name not in dialect.left_out
        }

    def _find_model(self, settings: dict[str, Any], schema: dict[str, Any] | None) -> Any:
        """Return the model for these settings, held to a schema where there is one."""
        key = json.dumps([settings, schema])
        found = self._models.get(key)
        if found is None:
            found = _build(self._endpoint, self._common | settings)
            _forget_environment(found)
            self._built.append(found)
            if schema is not None:
                found = _hold_to(found, schema)
            self._models[key] = found
            if len(self._models) > _MOST_MODELS:
                del self._models[next(iter(self._models))], self._built[0]
        return found

    def _check(self, response: Any) -> None:
        """Look at a reply before the package does, which hides broken ones."""
        status, content, headers = response.status_code, response.content, response.headers
        if status != 200:
            raise read_error(status, content, headers, self._endpoint)
        read_success(content, headers, self._endpoint)

    def _scrub(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key removed]")
        return self._endpoint.scrub(text)


def _build(endpoint: Endpoint, settings: dict[str, Any]) -> Any:
    import openai
    from langchain.chat_models import init_chat_model

    try:
        return init_chat_model(endpoint.model, **settings)
    except ImportError as error:
        raise ConfigError(f"teacher.model: {endpoint.model} can't be used yet: {error}") from error
    except (ValueError, TypeError, OSError, openai.OpenAIError) as error:
        unknown = find_unknown_provider(endpoint.model, str(error))
        if unknown is not None:
            raise ConfigError(unknown) from None
        # A provider that LangChain doesn't know, or a setting that is missing; never the values.
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"teacher.model: LangChain can't make a model of {endpoint.model}: "
            f"{endpoint.scrub(text)}; name its key's variable in teacher.api_key_env"
        ) from None


def _forget_environment(model: Any) -> None:
    """Take out what the package read from the environment and would send to any address."""
    client = getattr(model, "root_async_client", None)
    if client is not None and str(getattr(model, "openai_api_base", None) or ""):
        client.organization = client.project = None


async def _close_clients(model: Any) -> None:
    """Close what a model has open; LangChain has no way to, and it would stay so to the end."""
    for part in list(vars(model).values()):
        for name in ("aclose", "close"):
            close = getattr(part, name, None)
            if inspect.iscoroutinefunction(close):
                await close()
                break


def _find_secrets(model: Any, endpoint: Endpoint) -> list[str]:
    """Return the keys in a model, of which some may come from the environment."""
    from pydantic import SecretStr

    values = [value for value in vars(model).values() if isinstance(value, SecretStr)]
    secrets = {value.get_secret_value() for value in values} - {endpoint.api_key or ""}
    return [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]


def _hold_to(model: Any, schema: dict[str, Any]) -> Any:
    """Return a model whose replies are the raw JSON of a schema, where the provider has that."""
    wanted = response_format(schema)["json_schema"]
    settings: dict[str, Any] = {"method": "json_schema", "include_raw": True}
    if "strict" in inspect.signature(model.with_structured_output).parameters:
        settings["strict"] = wanted["strict"]
    try:
        return model.with_structured_output({"title": "reply", **wanted["schema"]}, **settings)
    except (ValueError, TypeError, NotImplementedError) as error:
        text = f"LangChain can't hold this model to a JSON schema: {error}"
        raise Fault("unsupported", text, passing=False) from error


async def _ask(model: Any, messages: list[dict[str, str]], stop: list[str] | None) -> Any:
    from langsmith.run_helpers import tracing_context

    # With its variable in the environment, LangSmith would get every prompt and every reply.
    with tracing_context(enabled=False):
        reply = await model.ainvoke(messages, **({"stop": stop} if stop else {}))
    return reply["raw"] if isinstance(reply, dict) else reply

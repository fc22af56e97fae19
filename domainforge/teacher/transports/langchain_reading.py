"""What LangChain makes of a reply or of an error, brought into the form of other transports."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, read_error, shorten

_ENDS = ("finish_reason", "stop_reason", "stopReason", "done_reason")
# What providers call the end of a reply, in OpenAI's words.
_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "error_toxic": "content_filter",
}
# By name, since each provider's package has errors of its own.
_TIMEOUTS = ("Timeout",)
_CONNECTIONS = ("Connect", "Transport", "RequestError", "ProtocolError", "NetworkError")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)


def make_completion(message: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return an `AIMessage` as a chat completion, and the headers where the package has them."""
    said, extra = dict(message.response_metadata), message.additional_kwargs
    headers = {str(k).lower(): str(v) for k, v in dict(said.get("headers") or {}).items()}
    reason = next((said[name] for name in _ENDS if isinstance(said.get(name), str)), None)
    finish = None if reason is None else _FINISHES.get(reason.lower(), reason)
    if finish is not None and finish.lower() in ("stop", "length"):
        finish = finish.lower()
    body: dict[str, Any] = {"role": "assistant", "content": message.content}
    refusal = extra.get("refusal")
    if reason == "refusal":
        refusal = refusal or message.text or "the provider gives no reason"
    if refusal:
        body["refusal"] = refusal
    if message.tool_calls or message.invalid_tool_calls:
        body["tool_calls"] = [*message.tool_calls, *message.invalid_tool_calls]
    if extra.get("reasoning_content"):
        body["reasoning_content"] = extra["reasoning_content"]
    completion: dict[str, Any] = {
        "object": "chat.completion",
        "model": said.get("model_name"),
        "choices": [{"index": 0, "message": body, "finish_reason": finish}],
    }
    if message.usage_metadata:
        completion["usage"] = _make_usage(message.usage_metadata)
    return completion, headers


def _make_usage(usage: Any) -> dict[str, Any]:
    made = {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
    }
    cached = (usage.get("input_token_details") or {}).get("cache_read")
    return made | ({"prompt_tokens_details": {"cached_tokens": cached}} if cached else {})


def find_fault(
    error: BaseException, endpoint: Endpoint, timeout_seconds: float, scrub: Callable[[str], str]
) -> Fault | None:
    """Tell what an error of a provider's package means; None for one that is no fault of it.

    Args:
        error: What it raised.
        endpoint: Who was asked.
        timeout_seconds: Our own, for the message.
        scrub: Takes keys out of a text.
    """
    if isinstance(error, asyncio.CancelledError):
        return None
    links = list(_chain(error))
    known = next((link for link in links if isinstance(link, Fault)), None)
    if known is not None:
        return known
    for link in links:
        status = _status_of(link)
        if status is not None and status >= 400:
            text, headers = _reply_of(link)
            return read_error(status, scrub(text).encode(), headers, endpoint)
    names = [kind.__name__ for link in links for kind in type(link).__mro__]
    detail = shorten(scrub(f"{type(links[-1]).__name__}: {links[-1]}").encode(errors="replace"))
    if any(word in name for name in names for word in _TIMEOUTS):
        text = f"no whole reply within {timeout_seconds:g} s"
        return Fault("timeout", text, may_be_billed=True)
    if any("DecodingError" in name for name in names):
        return Fault("bad_encoding", detail, may_be_billed=True)
    if isinstance(links[-1], OSError) or any(w in n for n in names for w in _CONNECTIONS):
        unsent = any(name in ("ConnectError", "ConnectionRefusedError") for name in names)
        return Fault("connection", detail, may_be_billed=not unsent)
    if "JSONDecodeError" in names:
        return Fault("broken_json", detail, may_be_billed=True)
    if isinstance(error, _UNREADABLE):
        text = f"LangChain's package for this provider can't read the reply ({detail})"
        return Fault("unreadable", text, passing=False, may_be_billed=True)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _status_of(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    candidates = [
        getattr(error, "status_code", None),
        getattr(error, "http_status", None),
        getattr(error, "code", None),
        getattr(response, "status_code", None),
    ]
    if isinstance(response, dict):
        # boto3's way, and so that of Bedrock
        metadata = response.get("ResponseMetadata")
        candidates.append(metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None)
    return next((c for c in candidates if isinstance(c, int) and 100 <= c <= 599), None)


def _reply_of(error: BaseException) -> tuple[str, dict[str, str]]:
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    names = {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
    try:
        content = getattr(response, "content", None)
    except RuntimeError:  # httpx: a stream that nobody has read
        content = None
    if isinstance(content, bytes):
        return content.decode(errors="replace"), names
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        return json.dumps(body, default=str), names
    return str(error), names

"""How the test teacher misbehaves on cue: an odd answer, or something done to the wire."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

Deed = Literal["send", "truncate", "cut_chunks", "cut_unframed", "drop", "hang"]
Plan = (
    Callable[[int, dict[str, Any]], str | None] | Sequence[str | None] | Mapping[str, float] | None
)


@dataclass(frozen=True)
class Answer:
    """What goes back for one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    deed: Deed = "send"


def choose_fault(plan: Plan, number: int, body: dict[str, Any], seed: int) -> str | None:
    """Return the fault for request `number` (from 0), or None.

    A plan is a function of number and body, a list by number, or shares by kind.
    """
    if plan is None:
        return None
    if callable(plan):
        return plan(number, body)
    if isinstance(plan, Mapping):
        draw = Random(f"{seed}:{number}").random()
        for kind, share in plan.items():
            if draw < share:
                return kind
            draw -= share
        return None
    return plan[number] if number < len(plan) else None


def fault_answer(kind: str, completion: dict[str, Any], key: str, retry_after: str) -> Answer:
    """Return the answer for a kind of fault.

    Args:
        kind: A key of `ERRORS`, `COMPLETIONS`, `BODIES`, `PACKED` or `DEEDS`.
        completion: What would have been said.
        key: The key that came with the request; every error echoes it.
        retry_after: The header's value for `429_retry_after`.
    """
    if kind in ERRORS:
        status, code, message = ERRORS[kind]
        error = {"message": f"{message} (key {key})", "type": code, "code": code}
        headers = {"Retry-After": retry_after} if kind == "429_retry_after" else {}
        return Answer(status, json.dumps({"error": error}).encode(), headers)
    if kind in COMPLETIONS:
        return Answer(body=json.dumps(COMPLETIONS[kind](completion)).encode())
    if kind in BODIES:
        content_type, text = BODIES[kind]
        return Answer(body=text.replace("KEY", key).encode(), content_type=content_type)
    whole = json.dumps(completion).encode()
    if kind in PACKED:
        encoding, pack = PACKED[kind]
        return Answer(body=pack(whole), headers={"Content-Encoding": encoding})
    return Answer(body=whole, deed=DEEDS[kind])


def refusal_of(name: str, instead: str) -> Answer:
    """Return OpenAI's 400 for a parameter that a model doesn't take."""
    text = f"Unsupported parameter: '{name}' is not supported with this model. {instead}".strip()
    error = {
        "message": text,
        "type": "invalid_request_error",
        "param": name,
        "code": "unsupported_parameter",
    }
    return Answer(400, json.dumps({"error": error}).encode())


DEEDS: dict[str, Deed] = {
    "timeout": "hang",
    "drop": "drop",
    "truncated": "truncate",
    "cut_chunks": "cut_chunks",
    "cut_unframed": "cut_unframed",
}

PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "bad_gzip": ("gzip", lambda body: body),
}


ERRORS: dict[str, tuple[int, str, str]] = {
    "400": (400, "invalid_request_error", "something in this request is wrong"),
    "400_context": (400, "context_length_exceeded", "the request exceeds the context size"),
    "400_response_format": (400, "invalid_request_error", "response_format is not supported"),
    "401": (401, "invalid_api_key", "Incorrect API key provided"),
    "402": (402, "payment_required", "Payment required"),
    "403": (403, "forbidden", "this key may not use this model"),
    "404_model": (404, "model_not_found", "The model does not exist"),
    "408": (408, "timeout", "request timeout"),
    "409": (409, "conflict", "conflict"),
    "429": (429, "rate_limit_exceeded", "slow down"),
    "429_retry_after": (429, "rate_limit_exceeded", "slow down"),
    "429_rate_worded_as_quota": (
        429,
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED: You exceeded your current quota, retry in 1 s",
    ),
    "insufficient_quota": (429, "insufficient_quota", "You exceeded your current quota"),
    "500": (500, "server_error", "internal error"),
    "502": (502, "bad_gateway", "bad gateway"),
    "503": (503, "overloaded", "overloaded"),
    "504": (504, "gateway_timeout", "gateway timeout"),
    "520": (520, "unknown", "web server returned an unknown error"),
    "529": (529, "overloaded_error", "Overloaded"),
}


def _with_choice(completion: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return completion | {"choices": [completion["choices"][0] | changes]}


def _with_message(completion: dict[str, Any], **message: Any) -> dict[str, Any]:
    return _with_choice(completion, message={"role": "assistant", **message})


def _cut(completion: dict[str, Any]) -> dict[str, Any]:
    choice = completion["choices"][0]
    if "text" in choice:
        half = choice["text"][: len(choice["text"]) // 2]
        return _with_choice(completion, text=half, finish_reason="length")
    text = str(choice["message"]["content"])
    return _with_choice(
        _with_message(completion, content=text[: len(text) // 2]), finish_reason="length"
    )


_TOOL_CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}

COMPLETIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "cut_off": _cut,
    "refusal": lambda c: _with_message(c, content=None, refusal="I can't help with that."),
    "filtered": lambda c: _with_choice(
        _with_message(c, content=""), finish_reason="content_filter"
    ),
    "empty": lambda c: _with_message(c, content=""),
    "null_content": lambda c: _with_message(c, content=None),
    "no_message": lambda c: c | {"choices": [{"index": 0, "finish_reason": "stop"}]},
    "no_choices": lambda c: c | {"choices": []},
    "null_choices": lambda c: c | {"choices": None},
    "tool_calls": lambda c: _with_choice(
        _with_message(c, content=None, tool_calls=[_TOOL_CALL]), finish_reason="tool_calls"
    ),
    "number_content": lambda c: _with_message(c, content=42),
    "parts": lambda c: _with_message(
        c, content=[{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]
    ),
    "thinking_parts": lambda c: _with_message(
        c, content=[{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "said"}]
    ),
    "reasoning": lambda c: _with_message(c, content="said", reasoning_content="thought"),
    "think_block": lambda c: _with_message(c, content="<think>\nthought\n</think>\n\nsaid"),
    "all_reasoning": lambda c: _with_choice(
        _with_message(c, content=None, reasoning_content="thought"), finish_reason="length"
    ),
    "no_usage": lambda c: {name: value for name, value in c.items() if name != "usage"},
    "odd_finish": lambda c: _with_choice(c, finish_reason="because"),
    "no_finish": lambda c: _with_choice(c, finish_reason=""),
    "null_finish": lambda c: _with_choice(c, finish_reason=None),
    "wrong_schema": lambda c: _with_message(c, content='{"colour": "blue"}'),
    "prose": lambda c: _with_message(c, content="Sure! Here is what you asked for."),
    "address": lambda c: _with_message(c, content="Write to maud.tarrant@skerry-light.example."),
    "surrogate": lambda c: _with_message(c, content="a lone \ud800 surrogate"),
}

BODIES: dict[str, tuple[str, str]] = {
    "broken_json": ("application/json", '{"choices": [{"message": {"content": "KEY'),
    "empty_body": ("application/json", ""),
    "html": ("text/html", "<html><body>Bad gateway, KEY</body></html>"),
    "html_as_json": ("application/json", "<html><body>Bad gateway</body></html>"),
    "plain_text": ("text/plain", "upstream connect error"),
    "json_as_text": (
        "text/plain",
        '{"choices": [{"message": {"role": "assistant", "content": "said"}}]}',
    ),
    "stream": (
        "text/event-stream",
        'data: {"choices": [{"delta": {"content": "sa"}}]}\n\ndata: [DONE]\n\n',
    ),
    "stream_cut": ("text/event-stream; charset=utf-8", 'data: {"choices": [{"delta": {"cont'),
    "stream_comment": ("text/event-stream", ": processing\n\n"),
    "json_list": ("application/json", "[1, 2]"),
    "error_body": ("application/json", '{"error": {"message": "upstream failed, KEY"}}'),
    "quota_body": (
        "application/json",
        '{"error": {"message": "no money, KEY", "code": "insufficient_quota"}}',
    ),
    "echo_key": (
        "application/json",
        '{"choices": [{"message": {"role": "assistant", "content": "your key is KEY"}}]}',
    ),
}

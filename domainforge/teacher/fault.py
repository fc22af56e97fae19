"""What went wrong with a request, told apart: passing, lasting for this request, or fatal."""

import json
import re
from collections.abc import Mapping
from typing import Any

from domainforge.teacher.dialect import find_refused
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.pace import parse_retry_after
from domainforge.teacher.request import Answer

_DETAIL_CHARS = 300
_PASSING = frozenset({408, 409, 429})
_LOAD_KINDS = frozenset({"timeout", "http_429", "http_503", "http_529"})
_QUOTA_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"}
)
_QUOTA_WORDS = re.compile(
    r"insufficient (quota|balance|credit|funds)|credit balance is too low|billing (hard )?limit"
    r"|exceeded your current quota|quota (is |has been )?exhausted|out of credits",
    re.IGNORECASE,
)
_KEY_WORDS = re.compile(r"(incorrect|invalid) api.?key|api.?key (is )?(not valid|invalid)", re.I)
_MODEL_WORDS = re.compile(r"model\b.{0,120}\b(does not exist|not found)|not a valid model", re.I)


class Fault(Exception):
    """A request that brought no completion. It is logged and never replayed.

    Attributes:
        kind: `timeout`, `connection`, `http_<status>`, `broken_json`, `html`, `stream`,
            `error_body`, `too_large`, `bad_encoding`, `unreadable` or `unsupported`.
        detail: What the endpoint said, shortened, without the key.
        passing: Whether asking again can help.
        retry_after: Seconds that the endpoint asks to wait, if it does.
        stop: What to tell the user when no further request can succeed, else None.
        unknown_model: The endpoint doesn't know the model, or the address is wrong.
        may_be_billed: It was sent, and nothing says that it wasn't answered and billed.
        refused: The parameter that the endpoint doesn't take, where that is what it says.
        headers: Of the reply, where there was one.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        passing: bool = True,
        retry_after: float | None = None,
        stop: str | None = None,
        unknown_model: bool = False,
        may_be_billed: bool = False,
        refused: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the fault."""
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.passing = passing
        self.retry_after = retry_after
        self.stop = stop
        self.unknown_model = unknown_model
        self.may_be_billed = may_be_billed
        self.refused = refused
        self.headers = headers or {}

    @property
    def for_load(self) -> bool:
        """Whether it says that the endpoint has too much to do."""
        return self.kind in _LOAD_KINDS


def read_error(status: int, body: bytes, headers: Mapping[str, str], endpoint: Endpoint) -> Fault:
    """Tell what an error status means for this request and for the run."""
    body = _scrubbed(body, endpoint)
    parsed = _parse(body)
    text = endpoint.scrub(error_text(parsed, body))
    kind, code = f"http_{status}", error_code(parsed)
    retry_after = parse_retry_after(headers)
    if status in (401, 403) or (status == 400 and _KEY_WORDS.search(text)):
        return Fault(kind, text, passing=False, stop=_key_advice(status, text, endpoint))
    # Some endpoints word an ordinary rate limit like an empty account; they say when to return.
    exhausted = retry_after is None and "RESOURCE_EXHAUSTED" not in text
    if (
        status == 402
        or code in _QUOTA_CODES
        or (status in (400, 429) and exhausted and _QUOTA_WORDS.search(text))
    ):
        return Fault(kind, text, passing=False, stop=quota_advice(text, endpoint))
    if status == 404 or code == "model_not_found" or (status == 400 and _MODEL_WORDS.search(text)):
        advice = _model_advice(status, text, endpoint)
        return Fault(kind, text, passing=False, stop=advice, unknown_model=True)
    passing = status in _PASSING or status >= 500
    refused = find_refused(parsed, text) if status in (400, 422) else None
    return Fault(
        kind, text, passing=passing, retry_after=retry_after, refused=refused, headers=headers
    )


def _scrubbed(body: bytes, endpoint: Endpoint) -> bytes:
    """Take keys out of a body before it is shortened: half a key at the cut is a leak too."""
    return endpoint.scrub(body.decode(errors="replace")).encode()


def read_success(body: bytes, headers: Mapping[str, str], endpoint: Endpoint) -> Answer:
    """Return the completion in a body that came with status 200.

    Raises:
        Fault: The body is HTML, a stream, no JSON object, or an error. Whoever sent it may bill
            for it.
    """
    start = body[:200].lstrip()
    content_type = headers.get("content-type", "")
    is_json = start.startswith(b"{")
    if start.startswith(b"<") or ("html" in content_type and not is_json):
        raise Fault("html", shorten(_scrubbed(body, endpoint)), may_be_billed=True)
    is_stream = "event-stream" in content_type and not is_json
    if is_stream or start.startswith((b"data:", b"event:")):
        detail = shorten(_scrubbed(body, endpoint))
        text = f"a stream of events, which nobody asked for: {detail}"
        raise Fault("stream", text, passing=False, may_be_billed=True)
    parsed, is_plain = _load(body)
    if not isinstance(parsed, dict):
        detail = shorten(_scrubbed(body, endpoint)) or "empty body"
        raise Fault("broken_json", detail, may_be_billed=True)
    if not _looks_like_completion(parsed):
        clean = _scrubbed(body, endpoint)
        text = endpoint.scrub(error_text(_parse(clean), clean))
        exhausted = error_code(parsed) in _QUOTA_CODES
        stop = quota_advice(text, endpoint) if exhausted else None
        raise Fault(
            "error_body", text, passing=not exhausted, stop=stop, may_be_billed=not exhausted
        )
    return _answer(parsed, body, headers, endpoint, is_plain)


def too_large(most_bytes: int) -> Fault:
    """Return the fault of a reply that no completion can be."""
    text = f"a reply of over {most_bytes:,} bytes"
    return Fault("too_large", text, passing=False, may_be_billed=True)


def _looks_like_completion(parsed: dict[str, Any]) -> bool:
    if parsed.get("error") or parsed.get("object") == "error":
        return False
    return bool(parsed.keys() & {"choices", "object"})


def error_text(parsed: Any, body: bytes) -> str:
    """Return the message of an error body, or its beginning where it has no known shape."""
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(error, dict):
        for name in ("message", "detail", "msg"):
            if isinstance(error.get(name), str):
                return shorten(error[name].encode(errors="replace"))
    return shorten(body)


def error_code(parsed: Any) -> str | None:
    """Return the machine-readable code of an error body (`code`, or else `type`)."""
    error = parsed.get("error") if isinstance(parsed, dict) else None
    named = error if isinstance(error, dict) else parsed if isinstance(parsed, dict) else {}
    code = named.get("code") if isinstance(named.get("code"), str) else named.get("type")
    return code if isinstance(code, str) else None


def shorten(body: bytes) -> str:
    """Return a body's beginning as one line."""
    text = " ".join(body[: 8 * _DETAIL_CHARS].decode(errors="replace").split())
    return text if len(text) <= _DETAIL_CHARS else text[:_DETAIL_CHARS] + "..."


def quota_advice(text: str, endpoint: Endpoint) -> str:
    """Say what to do about an account that is used up."""
    return (
        f"the quota at {endpoint.base_url} is used up ({text}); add credit, or name another key "
        "or endpoint; replies so far are kept, and the same command goes on from there"
    )


def down_advice(base_url: str, fault: Fault) -> str:
    """Say what to do about an endpoint that can't be reached."""
    if base_url.startswith("langchain:"):
        return (
            f"{base_url} does not answer ({fault.detail}); check the network, and the address "
            "where the provider's package takes one from the environment"
        )
    return f"{base_url} does not answer ({fault.detail}); start it, or check teacher.base_url"


def _key_advice(status: int, text: str, endpoint: Endpoint) -> str:
    if endpoint.api_key_env is None:
        advice = "put the name of the variable that holds its key in teacher.api_key_env"
    else:
        name = endpoint.api_key_env
        advice = (
            f"check the key in {name} and that it may use {endpoint.model}: `export {name}=...`"
        )
    return f"{endpoint.base_url} refused the request with {status} ({text}); {advice}"


def _model_advice(status: int, text: str, endpoint: Endpoint) -> str:
    return (
        f"{endpoint.base_url} answered {status} for model {endpoint.model!r} ({text}); check "
        "teacher.model, and that teacher.base_url ends where the version does (often /v1)"
    )


def _parse(body: bytes) -> Any:
    return _load(body)[0]


def _load(body: bytes) -> tuple[Any, bool]:
    """Parse a body; also tell whether it is JSON as a strict parser takes it again."""
    import orjson

    try:
        return orjson.loads(body), True
    except orjson.JSONDecodeError:
        pass
    # Stricter than JSON as it is sent: half an escaped emoji, a byte order mark, NaN.
    try:
        return json.loads(body), False
    except (ValueError, RecursionError):
        return None, False


def _answer(
    parsed: dict[str, Any],
    body: bytes,
    headers: Mapping[str, str],
    endpoint: Endpoint,
    is_plain: bool,
) -> Answer:
    """Take out the key, and lone surrogates that no file could hold; both are rare."""
    text = body.decode(errors="replace")
    if endpoint.is_clean(text) and is_plain:
        return Answer(parsed, text, headers)
    try:
        whole = json.dumps(parsed, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise Fault("broken_json", "nested too deep", may_be_billed=True) from None
    text = endpoint.scrub(whole).encode(errors="replace").decode()
    return Answer(parsed if text == whole else json.loads(text), text, headers)

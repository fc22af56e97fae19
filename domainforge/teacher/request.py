"""What is asked of a teacher and what comes back, with the key that names a request for good."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from domainforge.records import canonical_json

ReplyStatus = Literal[
    "ok", "cut_off", "refused", "filtered", "empty", "malformed", "failed", "withheld"
]

_REASONING = ("reasoning_content", "reasoning")
_REASONING_PARTS = frozenset({"thinking", "redacted_thinking", "reasoning", "reasoning_content"})
_USUAL_ENDS = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence"})


@dataclass(frozen=True)
class Request:
    """One thing to ask.

    Attributes:
        messages: A chat, each with `role` and `content`; or else
        prompt: Raw text to continue.
        schema: JSON schema of the wanted reply. It is sent only where the teacher supports it;
            elsewhere the caller describes the shape in the prompt.
        sample: 0 for the first reply, 1 for another one to the same prompt, and so on.
        tag: Whatever the caller wants back with the reply; not part of the request.
    """

    messages: tuple[dict[str, str], ...] = ()
    prompt: str | None = None
    schema: dict[str, Any] | None = None
    temperature: float = 0.0
    top_p: float | None = None
    max_tokens: int = 300
    stop: tuple[str, ...] = ()
    sample: int = 0
    tag: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse a request that is both a chat and a text, or neither."""
        if bool(self.messages) == (self.prompt is not None):
            raise ValueError("a request has either messages or a prompt")


@dataclass(frozen=True)
class Reply:
    """What came back for a request.

    Attributes:
        key: Of the request in the ledger.
        status: `ok`; `cut_off`, `refused`, `filtered`, `empty` or `malformed` for a completion
            that can't be used (final, kept in the ledger); `failed` for a fault that outlasted
            its retries (asked again next time); `withheld` where the privacy gate let nothing out.
        text: The reply's text; may hold a part of it when `cut_off` or `filtered`.
        detail: What there is to say about the status, in words.
        replayed: It came from the ledger and cost nothing.
    """

    request: Request
    key: str
    status: ReplyStatus
    text: str
    finish_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    detail: str
    replayed: bool


class Answer(NamedTuple):
    """A completion in valid protocol.

    Attributes:
        completion: As the endpoint sent it, parsed.
        text: The same as JSON, fit for the ledger.
        headers: Of the reply, names in lower case.
    """

    completion: dict[str, Any]
    text: str
    headers: Mapping[str, str]


class Reading(NamedTuple):
    """What a raw completion says."""

    status: ReplyStatus
    text: str
    finish_reason: str | None
    detail: str


class Usage(NamedTuple):
    """Tokens that a completion was billed for, 0 where it doesn't say."""

    prompt_tokens: int
    completion_tokens: int


def request_payload(request: Request) -> dict[str, Any]:
    """Return what names a request apart from who answers it, as JSON-ready values."""
    text: dict[str, Any] = (
        {"prompt": request.prompt}
        if request.prompt is not None
        else {"messages": list(request.messages)}
    )
    return text | {
        "schema": request.schema,
        "temperature": float(request.temperature),
        "top_p": None if request.top_p is None else float(request.top_p),
        "max_tokens": request.max_tokens,
        "stop": list(request.stop),
        "sample": request.sample,
    }


def request_text(request: Request) -> str:
    """Return `request_payload` as canonical JSON, as the ledger stores it."""
    import orjson

    try:
        return orjson.dumps(request_payload(request), option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:
        # Half a character, which no endpoint takes either.
        return canonical_json(request_payload(request))


def request_key(identity: str, request: Request) -> str:
    """SHA-256 of who answers and what is asked, hexadecimal; nothing of how it travels."""
    return text_key(identity, request_text(request))


def text_key(identity: str, text: str) -> str:
    """Return the key of a request whose canonical JSON is at hand."""
    # "identity" comes first in canonical order, so the text need not be written out again.
    whole = f'{{"identity":{canonical_json(identity)},{text[1:]}'
    return hashlib.sha256(whole.encode()).hexdigest()


def classify(completion: dict[str, Any]) -> Reading:
    """Read a raw chat or text completion without trusting its shape."""
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices:
        return Reading("malformed", "", None, "no choices")
    choice = choices[0]
    if not isinstance(choice, dict):
        return Reading("malformed", "", None, "the choice is not an object")
    reason = choice.get("finish_reason")
    finish = reason if isinstance(reason, str) and reason else None
    message = choice.get("message")
    if isinstance(message, dict):
        return _read_message(message, finish)
    if "text" in choice:
        return _read_content(choice["text"], finish)
    return Reading("malformed", "", finish, "the choice has no message")


def usage_of(completion: dict[str, Any]) -> Usage:
    """Read the billed tokens; a missing or nonsensical number counts as 0.

    Some providers (xAI) bill tokens of the reasoning that they leave out of `completion_tokens`:
    what the total has beside the prompt counts, where it is more.
    """
    usage = completion.get("usage")
    numbers = usage if isinstance(usage, dict) else {}
    prompt = _count(numbers.get("prompt_tokens"))
    said = _count(numbers.get("completion_tokens"))
    beside = _count(numbers.get("total_tokens")) - prompt if prompt else 0
    return Usage(prompt, max(said, beside))


def cached_tokens_of(completion: dict[str, Any]) -> int:
    """Read how many of the billed prompt tokens came from the endpoint's cache; 0 if unsaid."""
    usage = completion.get("usage")
    numbers = usage if isinstance(usage, dict) else {}
    details = numbers.get("prompt_tokens_details")
    if isinstance(details, dict):
        return _count(details.get("cached_tokens"))
    return _count(numbers.get("prompt_cache_hit_tokens"))  # DeepSeek's name for it


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
    return value if is_count else 0


def _read_message(message: dict[str, Any], finish: str | None) -> Reading:
    content = message.get("content")
    refusal = message.get("refusal") or _refusal_part(content)
    if refusal:
        return Reading("refused", "", finish, str(refusal))
    calls = message.get("tool_calls") or message.get("function_call")
    if calls and not _join_parts(content):
        return Reading("malformed", "", finish, "tool calls where text was due")
    return _read_content(content, finish, reasons=any(message.get(name) for name in _REASONING))


def _read_content(content: Any, finish: str | None, *, reasons: bool = False) -> Reading:
    text = _join_parts(content)
    if text is None:
        kind = type(content).__name__
        return Reading("malformed", "", finish, f"content of an unusable type ({kind})")
    if finish == "content_filter":
        return Reading("filtered", text, finish, "stopped by the endpoint's content filter")
    if finish == "length":
        where = " while it was still reasoning" if reasons and not text.strip() else ""
        return Reading("cut_off", text, finish, f"reached max_tokens{where}")
    if not text.strip():
        return Reading("empty", "", finish, "no text")
    if finish in _USUAL_ENDS:
        return Reading("ok", text, finish, "")
    return Reading("ok", text, finish, f"unusual finish_reason: {finish}")


def _join_parts(content: Any) -> str | None:
    if content is None:
        return ""
    if isinstance(content, str):
        return _drop_reasoning(content)
    if not isinstance(content, list):
        return None
    said = [part for part in content if not _is_reasoning(part)]
    texts = [part.get("text") if isinstance(part, dict) else part for part in said]
    usable = [text for text in texts if isinstance(text, str)]
    return "".join(usable) if usable or not said else None


def _is_reasoning(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("type")) in _REASONING_PARTS


def _drop_reasoning(text: str) -> str:
    """Leave out a block of reasoning at the very beginning, where a server left it in the text.

    Only one that is whole: anything else can't be told from an answer that speaks of such marks.
    """
    if not text.lstrip().startswith("<think>"):
        return text
    _, end, rest = text.partition("</think>")
    return rest.lstrip() if end else text


def _refusal_part(content: Any) -> Any:
    parts = content if isinstance(content, list) else ()
    return next((p["refusal"] for p in parts if isinstance(p, dict) and p.get("refusal")), None)

"""How an endpoint wants to be asked where it refuses the usual way, learnt from its refusals."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

SCHEMA = "response_format"
_NAMES = frozenset({"temperature", "top_p", "seed", "stop", "max_tokens", SCHEMA})
_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_REFUSAL = re.compile(
    r"unsupported|not support|n't support|unknown|unrecogni[sz]ed|unexpected|extra inputs"
    r"|not permitted|not allowed|deprecated",
    re.IGNORECASE,
)
# In quotes, after "parameter", or at the very beginning: `stop` and `seed` are words as well.
_NAMED = re.compile(
    r"""(?:^|['"`]|\b(?:parameter|argument|property|field)s?\b[^.'"`]{0,40}?[\s:])"""
    r"""(temperature|top_p|seed|stop|max_tokens)\b"""
)

# A schema is refused in more words than could be listed, by what compiles it too.
_SCHEMA_NAMED = re.compile(
    r"response.?format|json.?schema|structured.?output|guided|grammar", re.IGNORECASE
)


@dataclass(frozen=True)
class Dialect:
    """What is different in the requests to one endpoint; nothing, for most.

    Attributes:
        left_out: Parameters that it refuses, and that requests can do without.
        max_completion_tokens: It takes the limit by this name, and refuses `max_tokens`.
    """

    left_out: frozenset[str] = frozenset()
    max_completion_tokens: bool = False

    def translate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's body as the endpoint takes it."""
        if not self.left_out and not self.max_completion_tokens:
            return dict(body)
        kept = {name: value for name, value in body.items() if name not in self.left_out}
        if self.max_completion_tokens and "max_tokens" in kept:
            kept["max_completion_tokens"] = kept.pop("max_tokens")
        return kept

    def without(self, refused: str | None) -> "Dialect | None":
        """Return the dialect that gives way to a refusal; None where there is nothing to give."""
        if refused == "max_tokens":
            # There is no going without: nothing else bounds what a reply costs.
            return None if self.max_completion_tokens else replace(self, max_completion_tokens=True)
        if refused is None or refused in self.left_out:
            return None
        return replace(self, left_out=self.left_out | {refused})

    def joined(self, other: "Dialect") -> "Dialect":
        """Return what both have learnt."""
        return Dialect(
            self.left_out | other.left_out,
            self.max_completion_tokens or other.max_completion_tokens,
        )

    def describe(self) -> str:
        """Say what is different, for the user."""
        parts = [f"without {', '.join(sorted(self.left_out))}"] if self.left_out else []
        if self.max_completion_tokens:
            parts.append("with max_completion_tokens in the place of max_tokens")
        return " and ".join(parts)

    def to_json(self) -> str:
        """Return it as the ledger remembers it."""
        value = {
            "left_out": sorted(self.left_out),
            "max_completion_tokens": self.max_completion_tokens,
        }
        return json.dumps(value)


USUAL = Dialect()


def read_dialect(text: str | None) -> Dialect:
    """Read what the ledger remembers; what can't be read is learnt anew."""
    try:
        value = json.loads(text or "{}")
        left_out = frozenset(map(str, value.get("left_out", ()))) & (_NAMES - {"max_tokens"})
        return Dialect(left_out, value.get("max_completion_tokens") is True)
    except (ValueError, TypeError, AttributeError):
        return USUAL


def find_refused(parsed: Any, text: str) -> str | None:
    """Return the parameter that an error refuses as such; None where it complains of its value.

    Args:
        parsed: The body of the error, parsed.
        text: Its message.
    """
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    if isinstance(error, dict):
        name = error.get("param")
        refuses = str(error.get("code")) in _CODES or bool(_REFUSAL.search(text))
        if isinstance(name, str) and name in _NAMES and refuses:
            return name
        forbidden = _find_forbidden(error)
        if forbidden is not None:
            return forbidden
    named = _NAMED.search(text) if _REFUSAL.search(text) else None
    if named:
        return named[1]
    place = str(error.get("param") or "") if isinstance(error, dict) else ""
    return SCHEMA if _SCHEMA_NAMED.search(f"{place} {text}") else None


def _find_forbidden(error: dict[str, Any]) -> str | None:
    """Look through a list of faults as FastAPI makes it (vLLM, Mistral)."""
    message = error.get("message")
    holder = message if isinstance(message, dict) else error
    entries = holder.get("detail")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("type") == "extra_forbidden":
            place = entry.get("loc")
            if isinstance(place, list) and place and str(place[-1]) in _NAMES:
                return str(place[-1])
    return None

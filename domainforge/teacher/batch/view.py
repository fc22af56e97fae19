"""A batch as the provider tells of it, read without trusting its shape."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, shorten

METADATA = "domainforge_submission"
"""Under this name our own name for a batch travels with it."""

LOST = "lost"
"""Our status for a batch that the endpoint doesn't know any more."""

_ENDED = frozenset({"completed", "failed", "expired", "cancelled", LOST})


@dataclass(frozen=True)
class Batch:
    """A batch as the provider tells of it.

    Attributes:
        errors: Why its file was refused; each with `code`, `message` and perhaps `line` (from 1).
    """

    id: str
    status: str
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    submission: str | None = None
    created: float | None = None
    done: int = 0
    failed: int = 0
    total: int = 0
    errors: tuple[Mapping[str, Any], ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in _ENDED


def read_object(content: bytes, endpoint: Endpoint) -> dict[str, Any]:
    """Return the object in an answer's body.

    Raises:
        Fault: It holds none, or an error.
    """
    parsed = parse(content)
    if isinstance(parsed, dict) and not parsed.get("error"):
        return parsed
    kind = "html" if content.lstrip().startswith(b"<") else "broken_json"
    raise Fault(kind, shorten(endpoint.scrub(content.decode(errors="replace")).encode()))


def read_batch(entry: Any, endpoint: Endpoint) -> Batch:
    """Read a batch.

    Raises:
        Fault: It has no id or no status.
    """
    entry = entry if isinstance(entry, dict) else {}
    counts, metadata = _object(entry.get("request_counts")), _object(entry.get("metadata"))
    errors = _object(entry.get("errors")).get("data")
    created = entry.get("created_at")
    return Batch(
        id=read_text(entry, "id", endpoint),
        status=read_text(entry, "status", endpoint).lower(),
        input_file_id=_text(entry.get("input_file_id")),
        output_file_id=_text(entry.get("output_file_id")),
        error_file_id=_text(entry.get("error_file_id")),
        submission=_text(metadata.get(METADATA)),
        created=created if isinstance(created, int | float) else None,
        done=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        total=_count(counts.get("total")),
        errors=tuple(_object(error) for error in errors) if isinstance(errors, list) else (),
    )


def read_text(entry: Mapping[str, Any], name: str, endpoint: Endpoint) -> str:
    """Return a field that has to be there.

    Raises:
        Fault: It isn't.
    """
    value = _text(entry.get(name))
    if value is None:
        detail = f"no {name} in {json.dumps(entry)}"
        raise Fault("broken_json", shorten(endpoint.scrub(detail).encode()))
    return value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def parse(content: bytes) -> Any:
    """Return the JSON in a body, None where there is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None

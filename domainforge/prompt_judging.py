"""Prompt files that make no rows and are asked about rows that are there: what their header says.

What each of them sees and must reply stands here; who asks them is `domainforge.judging`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from domainforge.errors import PromptError
from domainforge.prompt_lines import at_key

Judges = Literal["row", "pair", "answer"]

OVERALL, BETTER, ANSWER, REASON = "overall", "better", "answer", "reason"
SIDES = ("first", "second")

AT_HAND: dict[Judges, tuple[str, ...]] = {
    "row": ("question", "answer", "quote", "basis"),
    "pair": ("question", "first", "second", "quote", "basis"),
    "answer": ("question",),
}
"""What a body can name besides the passage; of an `answer` not the one that it is compared with."""

_UNREAD = frozenset(
    ("over", "most_tokens", "topics", "asks", "example", "basis", "attributes", "keep_if")
)
_UNREAD_COMPLETION = frozenset(("over", "variants"))


def find_unread(given: set[str], completion: set[str]) -> str | None:
    """Name a header's key that nothing reads in a file that makes no rows; None without one."""
    found = sorted(given & _UNREAD)
    found += [f"completion.{name}" for name in sorted(completion & _UNREAD_COMPLETION)]
    return found[0] if found else None


def check_reply(path: Path, judges: Judges, schema: Mapping[str, Any]) -> None:
    """Refuse a reply that lacks what such a prompt is asked for.

    Raises:
        PromptError: It does; says what is wanted.
    """
    fields = schema["properties"]
    wanted = {"row": OVERALL, "pair": BETTER, "answer": ANSWER}[judges]
    found = fields.get(wanted, {})
    fits = wanted in schema.get("required", ())
    if judges == "row":
        fits &= found.get("type") in ("integer", "number")
        say = "{type: integer, minimum: 1, maximum: 5}"
    elif judges == "pair":
        fits &= set(SIDES) <= set(found.get("enum", ()))
        say = "{type: string, enum: [first, second]}"
    else:
        fits &= found.get("type") == "string"
        say = "str"
    if not fits:
        raise PromptError(
            f"{at_key(path, 'reply')}: a prompt that `judges: {judges}` needs `{wanted}` in its "
            f"`reply`; write it as `{wanted}: {say}`"
        )


def scale_of(schema: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the least and the highest `overall` that a reply may hold, as far as it says them."""
    field = schema["properties"][OVERALL]
    return field.get("minimum"), field.get("maximum")

"""A passage on an invented town, and rows about it, for the tests of the checks."""

from typing import Any

from domainforge.filters.checks import check_rows
from domainforge.filters.rows import FilterConfig, Row

VELTREN = (
    "Veltren lies on the east bank of the river Osk.\n"
    "The engineer Ilse Varga designed the bridge of nine stone arches, which was finished in "
    "1,347 and cost forty-two thousand crowns.\n"
    "The Salt Merchants' Rest serves smoked eel every Thursday, and the ferry costs 2.50 crowns "
    "for each of the seven landings."
)
VELTREN_IN_GERMAN = (
    "Veltren liegt am östlichen Ufer des Flusses Osk. Die Ingenieurin Ilse Varga entwarf die "
    "Brücke mit neun steinernen Bögen, die im Jahr 1347 fertig wurde."
)


def make_row(question: str, answer: str, **changes: Any) -> Row:
    """Make a chat row about the passage."""
    values: dict[str, Any] = {
        "id": "r",
        "kind": "chat",
        "question": question,
        "answer": answer,
        "quote": None,
        "passage": VELTREN,
        "context": "The Veltren handbook\nThe town",
        **changes,
    }
    values.setdefault("asked_about", values["passage"])
    return Row(**values)


def make_text(text: str, **changes: Any) -> Row:
    """Make a text row about the passage."""
    return make_row("", text, kind="text", **changes)


def find_reason(row: Row, **settings: Any) -> str | None:
    """Return the reason that a row is dropped for, or None where it is kept."""
    finding = check_rows([row], FilterConfig(**settings))[0]
    return finding.reason if finding else None

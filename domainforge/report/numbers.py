"""Numbers and texts as the report shows them."""

from typing import Any

from markupsafe import Markup, escape

from domainforge.wording import printable


def clean(value: Any) -> Any:
    """Take out of a text what would change the page's direction, or can't be written at all."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value).encode("utf-8", "replace").decode("utf-8")
    return value


def clip(text: str, most: int) -> str:
    """Shorten a name that is endlessly long."""
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def with_code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts)
    )


def as_share(value: float) -> str:
    """Write a share in per cent; what is almost nothing or almost all is not called so."""
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1:
        return ">99.9%"
    return f"{value:.1%}"

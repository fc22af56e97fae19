"""Values as databases and data sets have them, made into what JSON can hold."""

import datetime
import math
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

from domainforge.sources.cleaning import decode
from domainforge.sources.loaded import UnreadableError

_MAX_DEPTH = 12
_MAX_ITEMS = 10_000
_MAX_SAFE_INT = 2**63


def plain_value(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON has it: dates in ISO 8601, exact decimals as numbers.

    Bytes become their text, or a note of how many they are where they are no text; lists and
    objects are cut off where they are nested absurdly deep.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < _MAX_SAFE_INT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return _plain_decimal(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return text_of(value) or f"{len(bytes(value)):,} bytes that are no text"
    if depth >= _MAX_DEPTH:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        items = list(value.items())[:_MAX_ITEMS]
        return {str(key): plain_value(item, depth + 1) for key, item in items}
    if isinstance(value, Sequence | Set):
        return [plain_value(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
    return str(value)


def text_of(value: Any) -> str | None:
    """Return the text of a value; None where it is bytes that are no text, or no value."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return decode(bytes(value))
        except UnreadableError:
            return None
    plain = value if isinstance(value, str | Decimal) else plain_value(value)
    return plain if isinstance(plain, str) else str(plain)


def _plain_decimal(value: Decimal) -> Any:
    """Return a number where that keeps every digit, else its text."""
    if not value.is_finite() or abs(value.adjusted()) > 20:
        return str(value)
    number = float(value)
    if Decimal(repr(number)) != value:
        return str(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number

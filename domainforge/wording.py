"""Accounts, counts and times in words, and text from documents made safe for a terminal."""

import math
import re
from collections.abc import Mapping
from typing import Any

# Control characters, and those that turn the direction of writing: a document or a teacher must
# not be able to move the cursor, change the title or rewrite what is shown.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Replace characters that would command a terminal instead of showing."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def describe_account(account: Mapping[str, Any]) -> str:
    """Say where every unit went: `412 of 450 requests done, 30 dropped (cut_off 30), 8 failed`."""
    if not account:
        return "no account"
    parts = [f"{account['done']:,} of {account['total']:,} {account['unit']} done"]
    for name in ("dropped", "failed"):
        counts = account[name]
        if counts:
            kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts.items())
            parts.append(f"{sum(counts.values()):,} {name} ({kinds})")
    if account["not_reached"]:
        parts.append(f"{account['not_reached']:,} not reached")
    return ", ".join(parts)


def count_of(number: int, noun: str) -> str:
    """Write a count before what is counted: `1 row`, `1,200 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short_count(number: float) -> str:
    """Write a count in at most six characters: 950, 12.3k, 4.56M."""
    if number < 10_000:
        return f"{number:.0f}"
    for unit in ("k", "M", "G", "T"):
        number /= 1000
        if number < 999.5:
            return f"{number:.3g}{unit}"
    return f"{number:.3g}P"


def short_time(seconds: float) -> str:
    """Write a length of time in at most six characters: 0.4 s, 61 s, 12m05s, 3h20m."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 100 else f"{hours // 24}d{hours % 24:02d}h"


def describe_spent(usd: float, tokens: int) -> str:
    """Say what was spent: `spent $0.0641, 265,480 tokens billed`."""
    if not usd:
        return f"spent no money that is known of, {tokens:,} tokens counted"
    return f"spent {short_usd(usd)}, {tokens:,} tokens billed"


def short_usd(usd: float) -> str:
    """Write dollars: $1,204.50, and below one dollar three digits that count: $0.0312."""
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    return f"${usd:.{2 - math.floor(math.log10(usd))}f}"

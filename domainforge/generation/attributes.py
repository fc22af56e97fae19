"""Attributes that a prompt varies from sample to sample: audience, question type, style."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

Shares = Mapping[str, Mapping[str, float]]


def draw_attributes(shares: Shares, place: str, sample: int) -> dict[str, str]:
    """Draw a value for each attribute, by its share.

    The samples of one place are spread over all values and their combinations as evenly as their
    number allows, and every place begins elsewhere: the additive recurrence R_d (Roberts 2018,
    "The Unreasonable Effectiveness of Quasirandom Sequences") with a random shift (Cranley and
    Patterson 1976). What is drawn depends on nothing but the arguments, so a larger number of
    samples keeps those that were there.

    Args:
        shares: For each attribute its values and their shares, of any sum.
        place: What is asked about: prompt, chunk and passage.
        sample: How often that was asked before.
    """
    steps = _steps(len(shares))
    drawn: dict[str, str] = {}
    for step, name in zip(steps, sorted(shares), strict=True):
        at = (_shift(place, name) + sample * step) % 1.0
        drawn[name] = _value_at(shares[name], at)
    return drawn


def _value_at(shares: Mapping[str, float], at: float) -> str:
    whole, passed, last = sum(shares.values()), 0.0, ""
    for value, share in shares.items():
        if share <= 0:
            continue
        passed, last = passed + share / whole, value
        if at < passed:
            return value
    return last  # rounding kept the sum below one


def _shift(place: str, name: str) -> float:
    digest = hashlib.sha256(f"{place}\0{name}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / (1 << 56)


@lru_cache(maxsize=32)
def _steps(count: int) -> tuple[float, ...]:
    """Return the irrational step of each dimension: powers of the root of x^(d+1) = x + 1."""
    root = 1.5
    for _ in range(64):
        root = (1 + root) ** (1 / (count + 1))
    return tuple((1 / root) ** (index + 1) % 1.0 for index in range(count))

"""Numbers that a reasoning computes of numbers that its passage states."""

import itertools
import re
from collections.abc import Set
from fractions import Fraction

from domainforge.filters.words import content_terms, is_number

_ITEMS = re.compile(r",\s*(?:(?:and|und|et|y|e)\s+)?|\s+(?:and|und|et|y|e)\s+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+|:\s")
_MOST_COUNTED = 12
_MOST_NUMBERS = 24
_MOST_DIGITS = 15


def computed_numbers(text: str, known: Set[str]) -> set[str]:
    """Return the numbers of a text that follow from known numbers which it names before or after.

    One step each: the sum, the difference or the product of two, the sum of all, or how many items
    an enumeration has. A number that followed may be used for the next one.

    Args:
        text: Reasoning and answer.
        known: Terms of the passage, as `content_terms` gives them.
    """
    said = [term for term in content_terms(text) if is_number(term) and len(term) <= _MOST_DIGITS]
    said = said[:_MOST_NUMBERS]
    named = [Fraction(term) for term in said if term in known]
    unknown = [term for term in said if term not in known]
    counts = _enumerated(text)
    computed: set[str] = set()
    results = _results(named)
    for term in unknown:
        value = Fraction(term)
        if value in results or (value.denominator == 1 and int(value) in counts):
            computed.add(term)
            named.append(value)
            results = _results(named)
    return computed


def _results(values: list[Fraction]) -> set[Fraction]:
    found = {sum(values, Fraction())} if len(values) > 1 else set()
    for one, other in itertools.combinations(values, 2):
        found |= {one + other, abs(one - other), one * other}
    return found


def _enumerated(text: str) -> set[int]:
    """Return how many items the enumerations of a text have: three or more, short ones."""
    counts = set()
    for sentence in _SENTENCE.split(text):
        items = _ITEMS.split(sentence)
        inner = items[1:-1]
        if inner and len(items) <= _MOST_COUNTED and all(len(i.split()) <= 4 for i in inner):
            counts.add(len(items))
    return counts

"""Numbers, dates and units: what follows from a source that writes them in another way."""

import re
from collections.abc import Mapping, Sequence, Set
from itertools import pairwise

from domainforge.filters.words import is_number, stem

_ORDINALS = """
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
"""
_ROMANS = "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx"
_MONTHS = """
january february march april may june july august september october november december
"""
# Each line measures one thing; of each unit the spellings.
_UNITS = """
mm millimetre millimeter, cm centimetre centimeter, metre meter, km kilometre kilometer, inch, foot
feet ft, yard yd, mile mi
mg milligram, gram gramme, kg kilogram kilogramme, tonne ton, ounce oz, pound lb lbs
ml millilitre milliliter, litre liter, gallon, pint
sec second, min minute, hr hour, day, week, month, year, decade, century centuries
acre, hectare
celsius, fahrenheit, kelvin
kw kilowatt, mw megawatt, gw gigawatt
dollar, euro, pound, yen, rupee, crown, franc, cent
"""
_SYMBOLS = {
    "\u00b0": "degree",
    "\u00b0c": "celsius",
    "\u00b0f": "fahrenheit",
    "$": "dollar",
    "\u20ac": "euro",
    "\u00a3": "pound",
    "\u00a5": "yen",
}
_NUMERIC_DATE = re.compile(
    r"\b\d{4}-(?P<m>\d\d?)-(?P<d>\d\d?)\b|\b(?P<one>\d\d?)[./](?P<two>\d\d?)[./]\d{2,4}\b"
)
_CENTURY = re.compile(r"\b(\d\d?)(?:st|nd|rd|th)?[ -]centur", re.IGNORECASE)
_DECADE = re.compile(r"\b(\d{3}0)['\u2019]?s\b")
_DAYS = frozenset(map(str, range(1, 32)))

Date = tuple[str, int]
"""Day and month."""


def _stems_of(listed: str) -> dict[str, int]:
    return {stem(word): number for number, word in enumerate(listed.split(), start=1)}


def _units_of(listed: str) -> dict[str, str]:
    """Return for the stem of each spelling the stem that stands for the unit."""
    lines = [unit.split() for unit in listed.replace("\n", ",").split(",") if unit.strip()]
    return {stem(word): stem(spellings[0]) for spellings in lines for word in spellings}


_ORDINAL_STEMS, _ROMAN_STEMS, _MONTH_STEMS = map(_stems_of, (_ORDINALS, _ROMANS, _MONTHS))
_MONTH_STEMS |= {stem(word[:3]): number for number, word in enumerate(_MONTHS.split(), 1)}
_UNIT_STEMS = _units_of(_UNITS)


def _other_ways() -> dict[str, frozenset[str]]:
    ways: dict[str, set[str]] = {}
    for listed in (_ORDINAL_STEMS, _ROMAN_STEMS, _MONTH_STEMS):
        for term, number in listed.items():
            same = {other for other, value in listed.items() if value == number}
            ways.setdefault(term, set()).update(same)
            if listed is not _MONTH_STEMS:
                ways.setdefault(str(number), set()).add(term)
                ways[term].add(str(number))
    for term, unit in _UNIT_STEMS.items():
        same = {other for other, value in _UNIT_STEMS.items() if value == unit}
        ways.setdefault(term, set()).update(same)
    return {term: frozenset(same) for term, same in ways.items()}


_WAYS = _other_ways()


def other_ways(term: str) -> frozenset[str]:
    """Return the terms that say the same: 3, "third" and "III"; "km" and "kilometre"."""
    return _WAYS.get(term, frozenset())


def read_symbols(text: str) -> set[str]:
    """Return the terms that stand as symbols in a text: of "30 °C" degree and Celsius."""
    folded = text.casefold()
    return {stem(word) for symbol, word in _SYMBOLS.items() if symbol in folded}


def follows(number: str, answer: str, known: Set[str]) -> bool:
    """Tell whether a number of an answer follows from years of its source: century or decade."""
    years = [int(term) for term in known if len(term) == 4 and term.isdecimal()]
    if number in _CENTURY.findall(answer):
        return any((year - 1) // 100 + 1 == int(number) for year in years)
    return number in _DECADE.findall(answer) and any(y // 10 == int(number) // 10 for y in years)


def find_dates(terms: Sequence[str], apart: int = 1) -> set[Date]:
    """Find named days of a month, the day as a term: "12 May", "May 12th".

    Args:
        terms: What `ordered_terms` gives.
        apart: How far a day may stand from its month ("between 3 and 12 May").
    """
    found: set[Date] = set()
    for at, term in enumerate(terms):
        month = _MONTH_STEMS.get(term)
        if month:
            near = (*terms[max(0, at - apart) : at], *terms[at + 1 : at + 1 + apart])
            found |= {(day, month) for day in near if day in _DAYS}
    return found


def find_numeric_dates(text: str) -> set[Date]:
    """Find days of a month in digits: "2024-05-12", "12/5/2024" (as 5 December, too)."""
    found: set[Date] = set()
    for date in _NUMERIC_DATE.finditer(text):
        day, month = (date["d"], date["m"]) if date["d"] else (date["one"], date["two"])
        found.add((str(int(day)), int(month)))
        if not date["d"]:
            found.add((str(int(month)), int(day)))
    return {(day, month) for day, month in found if day in _DAYS and 1 <= month <= 12}


def quantities(terms: Sequence[str]) -> dict[str, set[str]]:
    """Return for every number the units that follow it."""
    found: dict[str, set[str]] = {}
    for number, unit in pairwise(terms):
        if is_number(number) and unit in _UNIT_STEMS:
            found.setdefault(number, set()).add(_UNIT_STEMS[unit])
    return found


def missing_units(answer: Sequence[str], source: Mapping[str, Set[str]]) -> list[str]:
    """Return quantities whose number the source has with other units only: "5 miles"."""
    return [
        f"{number} {unit}"
        for number, units in quantities(answer).items()
        for unit in units
        if source.get(number) and unit not in source[number]
    ]

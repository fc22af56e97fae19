"""How much of an answer its source carries: words, numbers, names, dates and units."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from domainforge.filters.arithmetic import computed_numbers
from domainforge.filters.facts import (
    Date,
    find_dates,
    find_numeric_dates,
    follows,
    missing_units,
    other_ways,
    quantities,
    read_symbols,
)
from domainforge.filters.names import (
    Name,
    find_long_names,
    find_names,
    shows_names,
    split_loosely,
    stands_in,
)
from domainforge.filters.words import (
    content_terms,
    is_number,
    ordered_terms,
    says_yes_or_no,
    stem,
    words,
)

_ALIKE_CHARS = 5
_MOST_OTHER_CHARS = 4
# What people of a place are called by: Canada, Canadian; Japan, Japanese; Israel, Israeli.
_PEOPLE = ("n", "an", "ian", "ean", "es", "ish", "i", "s")
_DAYS_APART = 6
_SEQUENCE = 4


@dataclass(frozen=True)
class Support:
    """How much of an answer its source carries.

    Attributes:
        share: Part of the answer's own terms that occur in the source; what the question already
            said is no claim of the answer and doesn't count.
        missing: Terms that don't occur, nor a word of their kin.
        numbers: Numbers of the answer that don't occur and don't follow.
        written: Term to the word it was written as.
        names: Names of the answer that don't occur; of several words, not together.
        facts: Days of a month, and quantities, that don't occur.
    """

    share: float
    missing: tuple[str, ...]
    numbers: tuple[str, ...]
    written: Mapping[str, str]
    names: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A text that answers are held against.

    Attributes:
        terms: Its content terms, and the other ways to say them.
        openings: Its terms by how they begin.
        sentences: The words of each sentence.
        words: All of them, function words too.
        acronyms: Its words in capitals.
        initials: The first letters of its names of several words.
    """

    terms: frozenset[str]
    openings: Mapping[str, tuple[str, ...]]
    sentences: tuple[list[str], ...]
    words: frozenset[str]
    acronyms: frozenset[str]
    initials: frozenset[str]
    dates: frozenset[Date]
    quantities: Mapping[str, set[str]]
    shows_names: bool


@lru_cache(maxsize=1024)
def read_source(text: str) -> Source:
    """Read a text once for all the answers about it."""
    terms = set(content_terms(text))
    openings: dict[str, tuple[str, ...]] = {}
    for term in terms:
        if len(term) >= _ALIKE_CHARS:
            start = term[:_ALIKE_CHARS]
            openings[start] = (*openings.get(start, ()), term)
    in_order = ordered_terms(text)
    dates = find_dates(in_order, _DAYS_APART) | find_numeric_dates(text)
    sentences = tuple(split_loosely(text))
    return Source(
        terms=frozenset(terms.union(read_symbols(text), *map(other_ways, terms))),
        openings=openings,
        sentences=sentences,
        words=frozenset(word for sentence in sentences for word in sentence),
        acronyms=frozenset(_acronyms(text)),
        initials=frozenset("".join(word[0] for word in name) for name in find_long_names(text)),
        dates=frozenset(dates),
        quantities=quantities(in_order),
        shows_names=shows_names(sentences),
    )


def measure_support(
    answer: str, asked: str, evidence: str, everywhere: str, *, computes: bool = False
) -> Support | None:
    """Measure how much of an answer a text carries; None where it claims nothing ("Yes.").

    Args:
        answer: The answer.
        asked: The question, and what was said before it.
        evidence: The text.
        everywhere: All that the answer is about: it must have the names, and what the question
            took from it is no claim.
        computes: Whether the answer may compute numbers of those that it names.
    """
    claimed = content_terms(answer)
    if not claimed:
        return _bare_support(answer, evidence)
    source, said, whole = read_source(evidence), content_terms(asked), read_source(everywhere)
    terms = [term for term in claimed if term not in said] or list(claimed)
    found = set(source.terms)
    if computes:
        found |= computed_numbers(answer, source.terms)
    found |= {term for term in claimed if is_number(term) and follows(term, answer, source.terms)}
    found |= _numbers_of_dates(answer, source.dates)
    spelled_out = _spelled_out(answer, whole)
    found |= set(map(stem, spelled_out))
    names = tuple(_missing_names(answer, f"{asked} {' '.join(spelled_out)}", whole))
    absent = {stem(word) for name in names for word in name.words}
    missing = tuple(
        term
        for term in terms
        if term not in found
        and (is_number(term) or term in absent or not _has_kin(term, claimed[term], source))
    )
    numbers = tuple(
        term
        for term in claimed
        if is_number(term) and term not in found and not (term in said and term in whole.terms)
    )
    written = tuple(dict.fromkeys(name.written for name in names))
    facts = _missing_facts(answer, asked, whole)
    return Support(
        (len(terms) - len(missing)) / len(terms), missing, numbers, claimed, written, facts
    )


def carries(text: str, terms: Mapping[str, str]) -> list[bool]:
    """Tell for each term whether a text has it, or a word of its kin."""
    source = read_source(text)
    return [term in source.terms or _has_kin(term, terms[term], source) for term in terms]


def measure_similarity(answer: str, asked: str, text: str) -> float | None:
    """Return which share of an answer's sequences of four characters a text or its question has.

    It sees the order of words where `Support` doesn't. None where the answer claims nothing.
    """
    own = _sequences(answer)
    if not own or says_yes_or_no(answer):
        return None
    known, said = _sequences(text), _sequences(asked)
    return sum(one in known or one in said for one in own) / len(own)


@lru_cache(maxsize=1024)
def _sequences(text: str) -> frozenset[str]:
    folded = f" {' '.join(words(text))} "
    return frozenset(folded[at : at + _SEQUENCE] for at in range(len(folded) - _SEQUENCE + 1))


def _has_kin(term: str, word: str, source: Source) -> bool:
    """Tell whether a word of the source begins alike: "astonished" for "astonishment"."""
    if word in source.initials:
        return True
    return any(
        max(len(term), len(other)) - _shared_opening(term, other) <= _MOST_OTHER_CHARS
        for other in source.openings.get(term[:_ALIKE_CHARS], ())
    )


def _shared_opening(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _missing_names(answer: str, asked: str, source: Source) -> Iterator[Name]:
    """Yield the names that neither the source nor the question has."""
    if not source.shows_names:
        return
    said = content_terms(asked).keys() | set(words(asked))
    sentences = (*source.sentences, *split_loosely(asked))
    for name in find_names(answer):
        alone = len(name.words) == 1
        if alone and name.opens:
            continue  # any word has a capital there
        if stands_in(words(name.written), sentences):
            continue  # letter by letter: no part of "WH40K" stands for itself
        known = [word in said or stem(word) in said or _has(word, source) for word in name.words]
        there = all(known[1:] if name.opens else known)
        if not (there and (alone or _together(name, sentences))):
            yield name


def _together(name: Name, sentences: Sequence[list[str]]) -> bool:
    """Tell whether a name stands in a sentence; the word that opens an answer may be none of it."""
    parts = name.words
    if stands_in(parts, sentences) or stands_in(parts[::-1], sentences):
        return True
    return name.opens and stands_in(parts[1:], sentences)


def _has(word: str, source: Source) -> bool:
    """Tell whether a name, or that of its people or place, is there: Canada for Canadian."""
    own = stem(word)
    if word in source.words or word in source.initials or own in source.terms:
        return True
    for other in source.openings.get(own[:_ALIKE_CHARS], ()):
        short, long = sorted((own, other), key=len)
        if long.startswith(short.rstrip("aeo")) and long[len(short.rstrip("aeo")) :] in _PEOPLE:
            return True
    return False


def _acronyms(text: str) -> Iterator[str]:
    for word in text.replace(".", "").split():
        bare = "".join(filter(str.isalpha, word))
        if len(bare) > 1 and bare.isupper():
            yield bare.casefold()


def _spelled_out(answer: str, source: Source) -> list[str]:
    """Return the words of names that the source has as acronyms."""
    return [
        word
        for name in find_long_names(answer)
        if "".join(word[0] for word in name) in source.acronyms
        for word in name
    ]


def _numbers_of_dates(answer: str, dates: frozenset[Date]) -> set[str]:
    """Return the numbers of dates in digits that the source writes otherwise."""
    same = find_numeric_dates(answer) & dates
    return {number for day, month in same for number in (day, str(month))}


def _missing_facts(answer: str, asked: str, source: Source) -> tuple[str, ...]:
    """Name days and quantities that the source has other numbers, or other units, for."""
    own = ordered_terms(answer)
    days = find_dates(own)
    if days:
        days -= source.dates | find_dates(ordered_terms(asked), _DAYS_APART)
    return (
        *(f"{day}.{month}." for day, month in sorted(days)),
        *missing_units(own, source.quantities),
    )


def _bare_support(answer: str, source: str) -> Support | None:
    """Compare an answer made of function words ("He.") word by word."""
    own: Sequence[str] = words(answer)
    if not own or says_yes_or_no(answer):
        return None
    known = set(words(source))
    missing = tuple(dict.fromkeys(word for word in own if word not in known))
    share = 1 - len(missing) / len(set(own))
    return Support(share, missing, (), {word: word for word in own})

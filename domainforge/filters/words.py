"""Words, numbers and stems: what the checks compare texts by, in any script."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from domainforge.filters.vocabulary import SMALL_NUMBERS, STOP_WORDS, TENS, YES_OR_NO

# Scripts without spaces count and compare by character: kana, Han, Thai, Lao, Khmer, Myanmar.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_TERM = re.compile(rf"\d+(?:[.,]\d+)*|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+")
_GROUPED = re.compile(r"\d{1,3}(?:[.,]\d{3})+")

# Python reads no longer ones, and nobody writes them but to be a nuisance.
_MOST_DIGITS = 100

_UNITS = {word: value for value, word in enumerate(SMALL_NUMBERS.split())}
_UNITS |= {word: 20 + 10 * step for step, word in enumerate(TENS.split())}
# "hundred hundred hundred ..." is no number; it must not become one that can't be written.
_LARGEST = 10**15
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}


def fold(text: str) -> str:
    """Fold what readers don't see as a difference: width, case, quote marks, dashes."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return text.replace("%", " percent ").replace("per cent", "percent").replace("\u00ad", "")


def words(text: str) -> list[str]:
    """Return the words of a text, folded, in order; punctuation and markup are left out."""
    return _WORD.findall(fold(text))


def count_words(text: str) -> int:
    """Count words; in scripts without spaces every character is one."""
    return len(_WORD.findall(text))


def count_unspaced(own: Iterable[str]) -> int:
    """Count the words that are single characters of a script without spaces."""
    return sum(map(_is_unspaced, own))


def contains_words(text: str, part: str) -> bool:
    """Tell whether the words of `part` stand in `text`, next to each other and in order."""
    return f" {' '.join(words(part))} " in f" {' '.join(words(text))} "


def is_number(term: str) -> bool:
    """Tell whether a term of `content_terms` is a number."""
    return term[0].isdigit()


def says_yes_or_no(text: str) -> bool:
    """Tell whether a text begins with yes or no (English, German, French, Spanish)."""
    return not YES_OR_NO.isdisjoint(words(text)[:1])


@lru_cache(maxsize=2048)
def content_terms(text: str) -> Mapping[str, str]:
    """Return the terms that carry meaning, each with the word that it was written as.

    Words are keyed by a stem (plurals, -ed, -ing and accents folded), numbers by their value, so
    that "1,347", "1347" and "seven" / "7" compare as equal. Number words are English only.
    """
    tokens = list(_TERM.findall(fold(text)))
    found: dict[str, str] = {}
    for term, word in _with_numbers(tokens):
        if is_number(term):
            found.setdefault(term, word)
        elif word not in STOP_WORDS and (len(word) > 1 or _is_unspaced(word)):
            found.setdefault(stem(word), word)
    return found


def ordered_terms(text: str) -> list[str]:
    """Return the terms of a text in their order, with repetitions."""
    found = _with_numbers(_TERM.findall(fold(text)))
    # "May" is a month, too.
    return [
        term if is_number(term) else stem(term)
        for term, word in found
        if word not in STOP_WORDS or word == "may"
    ]


def missing_words(terms: Iterable[str], written: Mapping[str, str], limit: int = 8) -> str:
    """Name terms as they were written, for evidence."""
    names = [written[term] for term in terms]
    return ", ".join(names[:limit]) + (" ..." if len(names) > limit else "")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Fold the commonest endings; crude on purpose, both sides of a comparison get the same."""
    decomposed = unicodedata.normalize("NFKD", word)
    word = "".join(mark for mark in decomposed if not unicodedata.combining(mark)) or word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ied", "ed", "en", "er", "ly", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + ("y" if ending == "ied" else "")
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word


def _is_unspaced(word: str) -> bool:
    return re.fullmatch(f"[{_UNSPACED}]", word) is not None


def _with_numbers(tokens: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (term, written), with runs such as "three hundred and forty" as one number."""
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if not (token[0].isdigit() or token in _UNITS or token in _SCALES):
            yield token, token
            at += 1
            continue
        value, size = _read_number(tokens, at)
        if size:
            yield str(value), " ".join(tokens[at : at + size])
            at += size
            continue
        if token[0].isdigit():
            for term in _values(token):
                yield term, token
        else:
            yield token, token
        at += 1


def _read_number(tokens: list[str], start: int) -> tuple[int, int]:
    """Read an integer spelled out from `start`: its value, and how many tokens it took.

    A bare "one" is no number (it is mostly a pronoun); a lone numeral is left to `_values`.
    """
    total, current, last, at = 0, 0, 0, start
    if (
        tokens[at].isdecimal()
        and len(tokens[at]) <= _MOST_DIGITS
        and tokens[at + 1 : at + 2]
        and tokens[at + 1] in _SCALES
    ):
        current, last, at = int(tokens[at]), 1, at + 1
    while at < len(tokens):
        word = tokens[at]
        if word == "and" and last >= 100 and at + 1 < len(tokens) and tokens[at + 1] in _UNITS:
            at += 1
        elif word in _UNITS and (at == start or _may_follow(_UNITS[word], last)):
            current, last, at = current + _UNITS[word], _UNITS[word], at + 1
        elif word in _SCALES and current < _LARGEST:
            last, at = _SCALES[word], at + 1
            current = max(current, 1) * last
            if last > 100:
                total, current = total + current, 0
        else:
            break
    return (0, 0) if tokens[start:at] == ["one"] else (total + current, at - start)


def _may_follow(value: int, last: int) -> bool:
    """Tell whether a number word goes on from the last one: "hundred two", "twenty two"."""
    return last >= 100 or (last >= 20 and last % 10 == 0 and 0 < value < 10)


def _values(token: str) -> list[str]:
    """Return the value of a numeral; the parts, where it is a date or a version."""
    if _GROUPED.fullmatch(token):
        return [_whole(re.sub("[.,]", "", token))]
    parts = re.split("[.,]", token)
    if len(parts) == 1:
        return [_whole(token)]
    whole = token[: -len(parts[-1]) - 1]
    if len(parts) == 2 or (_GROUPED.fullmatch(whole) and token[len(whole)] not in whole):
        fraction = parts[-1].rstrip("0")
        number = _whole(re.sub("[.,]", "", whole))
        return [f"{number}.{fraction}" if fraction else number]
    return [_whole(part) for part in parts]


def _whole(digits: str) -> str:
    """Return the value of digits of any script; a run that no number has stays as it is."""
    return str(int(digits)) if len(digits) <= _MOST_DIGITS else digits

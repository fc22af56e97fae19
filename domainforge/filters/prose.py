"""The check of prose: rules that web corpora are cleaned by, for longer answers and texts.

The rules are those of Gopher (Rae et al. 2021, appendix A1.1, "Quality filtering") and C4 (Raffel
et al. 2020, section 2.2). They are for running text, so code, tables, lists and quotations are
cut out first; and what is true of the passage too is how its documents are written.
"""

import re
from collections.abc import Callable, Sequence

from domainforge.filters.layout import cut_code, is_json, prose_lines
from domainforge.filters.limits import ProseConfig
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import contains_words
from domainforge.languages import detect_language

_BULLET = re.compile(r"\s*[-*+\u2022\u2023\u25e6\u25aa]\s")
_ELLIPSIS = re.compile(r"\.{3,}|\u2026")
_ALPHABETIC = re.compile("[A-Za-z\u00c0-\u024f\u0370-\u052f]")
_LETTER = re.compile(r"[^\W\d_]")
_FEWEST_LINES = 3
_FORMULA = re.compile(r"\\\w+\{[^{}\n]*\}|[_^]\{[^{}\n]*\}")
# Of JavaScript only that it be turned on: a text may well be about it.
_BOILERPLATE = re.compile(
    r"lorem ipsum|(?:enable|turn on|activate|requires?|without|disabled?) javascript"
    r"|javascript (?:is|must be) (?:disabled|enabled|required|turned)|accept (?:all )?cookies",
    re.IGNORECASE,
)

_ENGLISH = "the be to of and that have with"  # Gopher's own; the others are of that kind
_GERMAN = "der die und das zu in den mit"
_FRENCH = "le la de et les des en que"
_SPANISH = "el la de y que en los un"
_ITALIAN = "il la di e che in un per"
_PORTUGUESE = "o a de e que em um para"
_DUTCH = "de het een en van in is dat"
_POLISH = "w i na z się do nie jest"
_RUSSIAN = "и в на не что с по это"  # noqa: RUF001
_STOP_WORDS = {
    "en": frozenset(_ENGLISH.split()),
    "de": frozenset(_GERMAN.split()),
    "fr": frozenset(_FRENCH.split()),
    "es": frozenset(_SPANISH.split()),
    "it": frozenset(_ITALIAN.split()),
    "pt": frozenset(_PORTUGUESE.split()),
    "nl": frozenset(_DUTCH.split()),
    "pl": frozenset(_POLISH.split()),
    "ru": frozenset(_RUSSIAN.split()),
}
_SURE = 0.7


def find_not_prose(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find longer answers and texts that aren't written as people write.

    Mean length of words, symbols, bullets, ellipses, words without letters, missing stop words,
    curly braces, placeholder text and notices of web pages.
    """
    if config.prose.min_words is None:
        return [None] * len(rows)
    return [_not_prose(row, config.prose, config.prose.min_words) for row in rows]


def _not_prose(row: Row, config: ProseConfig, min_words: int) -> Evidence:
    for rule in _RULES:
        if rule is _bullets and row.kind != "text":
            continue
        evidence = rule(row.answer, config, min_words)
        # A passage of any length shows how its documents are written.
        if evidence and rule(row.passage, config, 1) is None:
            return evidence
    found = _BOILERPLATE.search(row.answer)
    if found and not contains_words(row.passage, found.group()):
        return f"boilerplate: {found.group()!r}"
    return None


def _words_of(text: str, min_words: int) -> list[str]:
    """Return the words of the prose of a text; none where they are too few to judge by."""
    own = [word for line in prose_lines(text) for word in line.split()]
    return own if len(own) >= min_words else []


def _word_length(text: str, config: ProseConfig, min_words: int) -> Evidence:
    bare = [word.strip("\"'.,;:!?()*_") for word in _words_of(text, min_words)]
    own = [word for word in bare if word and _ALPHABETIC.match(word)]
    # Of other scripts a character may be a syllable or a word.
    if not own or len(own) < 0.5 * len(bare):
        return None
    mean = sum(map(len, own)) / len(own)
    if config.min_mean_word_chars <= mean <= config.max_mean_word_chars:
        return None
    return f"words of {mean:.1f} characters on average"


def _symbols(text: str, config: ProseConfig, min_words: int) -> Evidence:
    own = _words_of(text, min_words)
    joined = " ".join(own)
    for name, count in (("hash signs", joined.count("#")), ("ellipses", _count_dots(joined))):
        if own and count > config.max_symbol_share * len(own):
            return f"{count} {name} in {len(own)} words"
    return None


def _bullets(text: str, config: ProseConfig, min_words: int) -> Evidence:
    lines = _lines(text)
    bullets = sum(_BULLET.match(line) is not None for line in lines)
    few = len(lines) < _FEWEST_LINES or len(text.split()) < min_words
    if few or bullets <= config.max_bullet_line_share * len(lines):
        return None
    return f"{bullets} of {len(lines)} lines are bullets"


def _ellipses(text: str, config: ProseConfig, min_words: int) -> Evidence:
    lines = _lines(text)
    dotted = sum(line.rstrip().endswith(("...", "\u2026")) for line in lines)
    few = len(lines) < _FEWEST_LINES or len(text.split()) < min_words
    if few or dotted <= config.max_ellipsis_line_share * len(lines):
        return None
    return f"{dotted} of {len(lines)} lines end with an ellipsis"


def _without_letters(text: str, config: ProseConfig, min_words: int) -> Evidence:
    own = _words_of(text, min_words)
    if not own:
        return None
    lettered = sum(_LETTER.search(word) is not None for word in own)
    if lettered >= config.min_alphabetic_share * len(own):
        return None
    return f"{len(own) - lettered} of {len(own)} words have no letter"


def _stop_words(text: str, config: ProseConfig, min_words: int) -> Evidence:
    own = {word.strip("\"'.,;:!?()*_").casefold() for word in _words_of(text, min_words)}
    if not own or len(own & _STOP_WORDS["en"]) >= config.min_stop_words:
        return None
    language, sure = detect_language(text)
    wanted = _STOP_WORDS.get(language)
    if wanted is None or sure < _SURE or len(own & wanted) >= config.min_stop_words:
        return None
    return f"has {len(own & wanted)} of the commonest words of its language ({language})"


def _braces(text: str, config: ProseConfig, min_words: int) -> Evidence:
    own = _words_of(text, min_words)
    found = next((word for word in own if "{" in _FORMULA.sub("", word)), None)
    return f"a curly brace: {found[:60]!r}" if found else None


_Rule = Callable[[str, ProseConfig, int], Evidence]
_RULES: tuple[_Rule, ...] = (
    _word_length,
    _symbols,
    _bullets,
    _ellipses,
    _without_letters,
    _stop_words,
    _braces,
)


def _lines(text: str) -> list[str]:
    return [] if is_json(text) else [line for line in cut_code(text).splitlines() if line.strip()]


def _count_dots(text: str) -> int:
    return len(_ELLIPSIS.findall(text))

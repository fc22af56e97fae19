"""The check of endings: a text or an answer that stops in the midst of a sentence."""

import re
from collections.abc import Sequence

from domainforge.filters.layout import LIST_ITEM, is_code_line, is_heading, is_json, is_table_line
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import count_words
from domainforge.languages import detect_language
from domainforge.sentences import split_sentences

_CLOSING = "\"'\u201d\u2019\u00bb\u203a)]}*_`\u300d\u300f\u3011\uff09\u300b"
# Nothing ends on these, but a Greek question on a semicolon; a colon announces something.
_OPEN = re.compile(
    r"(?:[,:\u3001\uff0c\uff1a\u060c\u061b(\[{\u2013\u2014&]|\s-|(?<![\u0370-\u03ff]);)$"
)
# Thai, Lao, Khmer, Burmese and Tibetan do without a full stop.
_UNSTOPPED = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]")
_REFERENCE = re.compile(r"(?:://|@|www\.)\S*$|\d\S*$")
_NOTE = re.compile(r"\s*(?:\[[^\[\]\n]{1,40}\]\s*)+$")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
# Looking for notes through a long line would cost time with its square.
_ENDING_CHARS = 400
_SHORT_LINE_WORDS = 8
_FEWEST_WORDS = 4
_FEWEST_BROKEN_WORDS = 5

# Words that no sentence of a language ends with.
_ENGLISH = "the a an and or but because if than its their our your whose although unless whereas"
_GERMAN = "und oder aber weil dass sondern dem des eines einem deren dessen zur zum vom"
_FRENCH = "le les des du et mais parce que dont aux cette ces leurs"
_SPANISH = "el los pero porque del que cuyo cuya sus"
_ITALIAN = "il gli ed ma perché del della dei delle che nel nella"
_PORTUGUESE = "os ou mas porque do da dos das que ao aos cujo"
_DUTCH = "de en of maar omdat wiens"
_POLISH = "oraz lub ale ponieważ który która które że"
_RUSSIAN = "и или но потому чтобы который которая которое"
_OPEN_WORDS = {
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
_ANY_OPEN_WORD = frozenset[str]().union(*_OPEN_WORDS.values())


def find_unfinished(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find answers and texts that break off.

    They end with a comma, a heading or a word that wants another one; or they are longer, of
    several sentences, and the last has no end. Lists, tables, code, quotations, verse, addresses
    and single sentences without a full stop are whole.
    """
    if config.min_finished_words is None:
        return [None] * len(rows)
    return [_unfinished(row, config.min_finished_words) for row in rows]


def _unfinished(row: Row, min_words: int) -> Evidence:
    text = row.answer.rstrip()
    # As many as count: a long text is not read for it.
    if is_json(text) or count_words(text[:2000]) < _FEWEST_WORDS:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1]
    if is_table_line(last) or last.lstrip().startswith((">", "```", "~~~", "    ")):
        return None
    if is_heading(last) and len(lines) > 1:
        return f"ends with a heading: {last[:80]!r}"
    end = _NOTE.sub("", last[-_ENDING_CHARS:]).rstrip().rstrip(_CLOSING).rstrip()
    # "(see the bridge," is open, whatever is closed behind it.
    if not end or is_code_line(last):
        return None
    why = _is_open(end, row, lines)
    if not why and count_words(text[:2000]) >= min_words and _breaks_off(end, lines):
        why = "breaks off"
    return f"{why}: {text[-80:]!r}" if why else None


def _is_open(end: str, row: Row, lines: Sequence[str]) -> str:
    if _OPEN.search(end) and not _ends_alike(lines):
        return "ends with an open mark"
    word = _LAST_WORD.search(end)
    # "DES" and "the letter A" are names.
    if word is None or not word[1].islower() or word[1] not in _ANY_OPEN_WORD:
        return ""
    language, _ = detect_language(row.passage or row.answer)
    return "ends with an open word" if word[1] in _OPEN_WORDS.get(language, ()) else ""


def _breaks_off(end: str, lines: Sequence[str]) -> bool:
    """Tell whether the last of several sentences in a line of prose has no end."""
    last = lines[-1]
    if not end[-1].isalpha() or _UNSTOPPED.search(end[-1]) or _REFERENCE.search(end):
        return False
    if LIST_ITEM.match(last) or (len(lines) > 1 and count_words(last) < _SHORT_LINE_WORDS):
        return False
    sentences = split_sentences(last)
    # "Best regards, Emily" ends a letter.
    if len(sentences) < 2 or count_words(last[slice(*sentences[-1])]) < _FEWEST_BROKEN_WORDS:
        return False
    return not _ends_alike(lines)


def _ends_alike(lines: Sequence[str]) -> bool:
    """Tell whether the line before has no end either, as in verse and lists without marks."""
    before = lines[-2].rstrip() if len(lines) > 1 else "."
    return before[-1].isalpha() or before[-1] == lines[-1].rstrip()[-1:]

"""Spans of a sentence that a question may ask for: numbers, names, things, deeds, reasons.

To choose the answer first and have only the question written is what PAQ does (Lewis et al. 2021,
arXiv 2102.07033); the answer then stands in the text by construction. No parser is used: phrases
end at function words, common verbs and punctuation. That is good enough for English; for other
languages it finds numbers and names.
"""

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

_DETERMINERS = """
a an the his her its their my our your this that these those some no every each all both another
any many several few most half
"""
_NUMERALS = """
one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty
seventy eighty ninety hundred thousand million
"""
# Where a phrase ends: function words, and verbs that stand between things more often than in them.
_ENDS = """
about above across after against along among around as at before behind below beneath beside
between beyond but by despite down during except for from in inside into like near of off on onto
out outside over past per since than through throughout till to toward towards under until up upon
via with within without and or nor so yet if because although though while when where who whom
whose which what why how there then here once twice not never always ever only also too very i you
he she it we they me him us them himself herself itself themselves am is are was were be been being
has have
had having do does did will would shall should can could may might must said says say asked answered
told tell tells come comes goes gone get gets give taken take see sees seen know knows think find
finds leave leaves keep bring begin begins become becomes stand stands sit sits lies run fall falls
feel feels hear hears hold lets sets pay pays sell build builds reads read lead win wins lose loses
send sends speak speaks grow grows break breaks draw draws drive drives eat eats drink drinks fly
flies ride rides rise rises sleep sleeps swim swims wear wears called named lived live lives used
use need want wants turned looked seemed cried begged promised offered
"""
# What tells a deed, besides words in -ed.
_DEEDS = """
came went got gave took made saw knew thought found left kept brought began became stood sat lay
ran fell felt heard held put let set met paid sold built wrote led won lost sent spoke spent threw
grew broke chose drew drove ate drank flew hid rode rose shook slept swam wore bought caught taught
told said swore stole struck rang sang sank bore bit blew bound burst cut dug fed fought forgot
froze hung hurt leapt lit meant meets needs owns holds shows gives takes makes keeps brings leads
opens closes runs uses contains provides
"""
_NUMBER = re.compile(rf"\d[\d.,:]*|{'|'.join(_NUMERALS.split())}", re.IGNORECASE)
_DATE = re.compile(
    r"\b(1\d{3}|20\d\d|January|February|March|April|May|June|July|August|September|October"
    r"|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|o'clock)\b"
)
_DETERMINER = frozenset(_DETERMINERS.split())
_BOUNDARY = frozenset(_ENDS.split()) | frozenset(_DEEDS.split())
_TITLES = ("St", "Mr", "Mrs", "Ms", "Dr", "Prof", "Mt")
_TITLE = rf"\b(?:{'|'.join(_TITLES)})\.(?= [A-Z])"
_WORD = re.compile(
    _TITLE + r"|[$\u20ac\u00a3]?[^\W_]+(?:['\u2019.,:\-](?=[^\W_])[^\W_]+)*[%\u2030\u00b0]?"
)
_STOP = r";:.!?\"\u201d"
# What ends no clause: `3.5`, `10:30`, `1,250`, and the full stop of a title.
_AFTER_TITLE = "|".join(rf"(?<=\b{title})" for title in _TITLES)
_WITHIN = rf"(?:(?<=\d)[.,:](?=\d)|(?:{_AFTER_TITLE})\.(?= [A-Z]))"
_DEED = re.compile(
    r"\b(?:(?:had|was|were|is|are|has|have|will|would|could|must|to) )?"
    rf"(?:[a-z]{{2,}}ed|{'|'.join(_DEEDS.split())})\b(?:[^{_STOP}]|{_WITHIN})*?"
    rf"(?=,? (?:and|but|so) (?:he|she|it|they|there|the|a|an)\b|(?!{_WITHIN})[,{_STOP}]|$)"
)
_CIRCUMSTANCE = re.compile(
    r"\b(?:because|so that|in order to|by \w+ing|until|unless|before|after|when|if)\b"
    rf"(?:[^,{_STOP}]|{_WITHIN})*",
    re.IGNORECASE,
)
_MOST_PHRASE_WORDS = 5
_DEED_WORDS = (3, 11)
_CIRCUMSTANCE_WORDS = (3, 10)
# A longer part of the sentence leaves nothing to ask by.
_MOST_SHARE = 0.7
_MOST_AROUND = 10

SpanKind = Literal["number", "date", "name", "thing", "deed", "reason", "time", "manner"]
_KIND_OF_OPENING: dict[str, SpanKind] = {"because": "reason", "so": "reason", "in": "reason"}
_KIND_OF_OPENING |= {"by": "manner"}


@dataclass(frozen=True)
class Span:
    """A part of a sentence that a question may ask for.

    Attributes:
        start: Of its first character in the sentence; `end` is one past its last.
        kind: What it tells; the question begins by it.
        rank: Of phrases, the most telling first.
    """

    start: int
    end: int
    kind: SpanKind
    rank: int = 0


def answer_spans(sentence: str) -> list[Span]:
    """Return the spans that can be asked for, the most telling first.

    Phrases (numbers and names before things) and clauses (what was done, why, when) take turns.
    No two spans are the same text.
    """
    chosen: dict[str, Span] = {}
    phrases = sorted(_phrases(sentence), key=lambda found: (found.rank, found.start))
    for pair in zip_longest(phrases, _clauses(sentence)):
        for phrase in filter(None, pair):
            text = sentence[phrase.start : phrase.end]
            if len(text) <= _MOST_SHARE * len(sentence):
                chosen.setdefault(text.casefold(), phrase)
    return list(chosen.values())


def leave_gap(sentence: str, span: Span) -> str:
    """Return a sentence with a gap in the place of a span, and at most ten words on either side.

    Where the span stands in it again, there is a gap there, too.
    """
    gap = "____"
    again = re.compile(rf"(?<!\w){re.escape(sentence[span.start : span.end])}(?!\w)")
    before = again.sub(gap, sentence[: span.start]).split(" ")
    after = again.sub(gap, sentence[span.end :]).split(" ")
    if len(before) > _MOST_AROUND + 1:
        before = ["...", *before[-_MOST_AROUND - 1 :]]
    if len(after) > _MOST_AROUND + 1:
        after = [*after[: _MOST_AROUND + 1], "..."]
    return f"{' '.join(before)}{gap}{' '.join(after)}"


def _phrases(sentence: str) -> list[Span]:
    """Find runs of words without anything between them that ends a phrase."""
    runs: list[list[re.Match[str]]] = [[]]
    before = 0
    for word in _WORD.finditer(sentence):
        gap = sentence[before : word.start()].strip()
        before = word.end()
        if gap or _is_determiner(word):
            runs.append([])
        if _ends_phrase(word) or (_may_be_deed(word) and not _is_determiner_last(runs[-1])):
            runs.append([])
        else:
            runs[-1].append(word)
    return [phrase for run in runs if (phrase := _rate(run)) is not None]


def _rate(words: list[re.Match[str]]) -> Span | None:
    """Make a phrase of words that stand together, if it is one that can be asked for."""
    while words and _is_determiner(words[-1]):
        words = words[:-1]
    if not words or len(words) > _MOST_PHRASE_WORDS:
        return None
    start, end = words[0].start(), words[-1].end()
    if _DATE.search(" ".join(word[0] for word in words)):
        return Span(start, end, "date", 0)
    if any(map(_is_number, words)):
        return Span(start, end, "number", 0)
    if any(word[0][0].isupper() and word.start() > 0 for word in words):
        return Span(start, end, "name", 1)
    if len(words) == 1:
        return None
    rank = (2 if len(words) > 2 else 3) if _is_determiner(words[0]) else 4
    return Span(start, end, "thing", rank)


def _clauses(sentence: str) -> list[Span]:
    """Find what somebody did, and why, when or how."""
    found: list[Span] = []
    wanted = ((_DEED, _DEED_WORDS), (_CIRCUMSTANCE, _CIRCUMSTANCE_WORDS))
    for pattern, (fewest, most) in wanted:
        for match in pattern.finditer(sentence):
            text = match[0].rstrip()
            if fewest <= len(text.split()) <= most:
                opening = text.partition(" ")[0].casefold()
                kind = "deed" if pattern is _DEED else _KIND_OF_OPENING.get(opening, "time")
                found.append(Span(match.start(), match.start() + len(text), kind))
    return sorted(found, key=lambda clause: clause.start)


def _ends_phrase(word: re.Match[str]) -> bool:
    # "May" and "Will" within a sentence are names.
    is_name = word[0][0].isupper() and word.start() > 0
    return not is_name and word[0].casefold() in _BOUNDARY


def _may_be_deed(word: re.Match[str]) -> bool:
    return len(word[0]) > 4 and word[0].endswith("ed") and word[0].islower()


def _is_determiner_last(run: list[re.Match[str]]) -> bool:
    """Tell whether the next word belongs to a thing: `the painted door`."""
    return bool(run) and _is_determiner(run[-1])


def _is_determiner(word: re.Match[str]) -> bool:
    return word[0].casefold() in _DETERMINER


def _is_number(word: re.Match[str]) -> bool:
    return _NUMBER.fullmatch(word[0].rstrip("%\u2030\u00b0").lstrip("$\u20ac\u00a3")) is not None

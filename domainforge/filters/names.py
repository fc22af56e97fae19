"""Names in answers: runs of capitalised words, which the source must have, and together."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domainforge.filters.vocabulary import STOP_WORDS
from domainforge.filters.words import fold, words

_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s'\u2019&.-]|\.(?!\w)|\n")
# These stand within the names of people.
_PARTICLES = "de la le du des von van der del di da al el bin ibn"
_TITLES = "mr mrs ms miss dr prof professor sir lady st saint herr frau madame monsieur don jr sr"
_JOINING_LONG = frozenset({"of", "and", "the", "for", "&", "de", "du", "la", "des", "y", "et"})
_NOBODY = "someone somebody anyone anybody everyone everybody nobody something nothing everything"
_PRONOUNS = frozenset(_NOBODY.split())
_JOINS = frozenset(_PARTICLES.split())
_LEFT_OUT = _JOINS | frozenset(f"{_TITLES} s of the and".split())
# A middle name and a nickname may stand between the parts of a name.
_MOST_BETWEEN = 2
_MOST_WORDS = 8
# Where sentences end, also in texts whose paragraphs were put together without a space.
_SENTENCE = re.compile(r"(?<=[^\W\d_]{2}[.!?])[\"')\u201d]*(?=\s|[^\W\d_a-z])|(?<=\d[.!?])\s|\n+")
# The commonest words of English, French, Spanish, Italian and Portuguese, which neither bend names
# nor write other nouns with a capital.
_COMMONEST = (
    "the of and to in is was by on as for with that at from his her le la les de et du une est "
    "dans que qui el los las del por una il di che della os em uma"
)
_PLAIN = frozenset(_COMMONEST.split())
_PLAIN_SHARE = 0.1


@dataclass(frozen=True)
class Name:
    """A run of capitalised words.

    Attributes:
        words: Its words, folded, without titles and what joins them.
        opens: Whether it stands where every text begins with a capital.
    """

    written: str
    words: tuple[str, ...]
    opens: bool


def find_names(text: str) -> Iterator[Name]:
    """Yield the names of a text: "Ilse Varga", "Otto von Lind", of "Bank of Osk" both words.

    A single word that opens the text or a sentence is a name as good as it is none; `opens` says
    so.
    """
    run: list[re.Match[str]] = []
    opening = opens = True
    for found in _TOKEN.finditer(text):
        word = found.group()
        if word == "." and run and _is_short(run[-1].group()):
            continue
        inside = word[0].isupper() or (run and (word.casefold() in _JOINS or word.isdecimal()))
        if inside:
            if not run:
                opens = opening
            run.append(found)
        else:
            yield from _make_name(text, run, opens=opens)
            run = []
        opening = not word[0].isalnum() and word in ".!?\n:"
    yield from _make_name(text, run, opens=opens)


def find_long_names(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of names that "of" and "and" join: what an acronym may stand for."""
    run: list[str] = []
    for token in (*text.split(), ""):
        word = token.strip(".,;:!?()[]\"'\u2019\u201c\u201d")
        if word[:1].isupper():
            run.append(word.casefold())
        elif word not in _JOINING_LONG:
            if len(run) > 1:
                yield tuple(run)
            run = []
        if word != token.rstrip("\"'\u2019\u201d") and len(run) > 1:  # a mark ends it
            yield tuple(run)
            run = []


def shows_names(sentences: Sequence[Sequence[str]]) -> bool:
    """Tell whether a text's language shows names by capitals, and leaves them as they are.

    German writes every noun with a capital; Russian and Finnish put endings to names.
    """
    own = [word for sentence in sentences for word in sentence]
    return sum(word in _PLAIN for word in own) > _PLAIN_SHARE * len(own)


def split_loosely(text: str) -> list[list[str]]:
    """Return the words of each sentence."""
    return [own for own in map(words, _SENTENCE.split(text)) if own]


def stands_in(name: Sequence[str], sentences: Sequence[Sequence[str]]) -> bool:
    """Tell whether the words of a name stand in one sentence, in order and near one another."""
    return any(
        word == name[0] and _follows(name[1:_MOST_WORDS], sentence, at + 1)
        for sentence in sentences
        if name[0] in sentence
        for at, word in enumerate(sentence)
    )


def _follows(rest: Sequence[str], sentence: Sequence[str], start: int) -> bool:
    for word in rest:
        between = 0
        while start < len(sentence) and sentence[start] != word and between <= _MOST_BETWEEN:
            between += sentence[start] not in _LEFT_OUT
            start += 1
        if start >= len(sentence) or sentence[start] != word:
            return False
        start += 1
    return True


def _is_short(word: str) -> bool:
    """Tell whether a full stop shortens a word: an initial, a title."""
    return len(word) == 1 or word.casefold() in _LEFT_OUT


def _make_name(text: str, run: Sequence[re.Match[str]], *, opens: bool) -> Iterator[Name]:
    """Make a name of a run, without the function words at its ends."""
    kept = list(run)
    while kept and _is_function(kept[-1].group()):
        kept.pop()
    while kept and _is_function(kept[0].group()):
        kept.pop(0)
    own = (fold(found.group()) for found in kept)
    # Initials come and go.
    parts = tuple(word for word in own if word not in _LEFT_OUT and len(word) > 1)
    if parts:
        opens = opens and kept[0] is run[0]
        yield Name(text[kept[0].start() : kept[-1].end()], parts, opens)


def _is_function(word: str) -> bool:
    own = word.casefold()
    return own in STOP_WORDS or own in _JOINS or own in _PRONOUNS or not word[0].isupper()

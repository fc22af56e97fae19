"""Names that occur in passages: runs of capitalised words, told from words that begin a sentence.

No model is used. German writes all nouns with a capital, so that of a German document only runs of
two words and more are taken; in scripts without capitals nothing is found.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from domainforge.filters.vocabulary import STOP_WORDS
from domainforge.generation.subjects import Chunk
from domainforge.sentences import split_sentences

_CALENDAR = """
january february march april may june july august september october november december monday
tuesday wednesday thursday friday saturday sunday
"""
_LINKING = "of the de la le van von der den du di da del dos al bin ibn"
_TITLES = "mr mrs ms dr st prof sir lady lord"
_TITLE_WORDS = frozenset(_TITLES.split())
_NO_NAME = (STOP_WORDS | frozenset(_CALENDAR.split())) - _TITLE_WORDS
_NO_NAME_ENDS = _NO_NAME | _TITLE_WORDS
_LINKING_WORDS = frozenset(_LINKING.split())
_WORD = re.compile(r"[^\W_]+(?:['\u2019.\-&](?=[^\W_])[^\W_]+)*")
_POSSESSIVE = re.compile(r"['\u2019]s?$")
# A heading, a row of a table, code: capitals there tell nothing.
_NO_PROSE = re.compile(r"[ \t]*(?:#|\||```|~~~)")
_OPENS_SPEECH = re.compile(r"[\"\u201c\u201e\u00ab:]")
_MOST_WORDS = 5
_FEWEST_MENTIONS = 2
_GERMAN = "der die das den dem des und ist ein eine einen einem einer im am zum zur nicht sich mit"
_GERMAN_WORDS = frozenset(_GERMAN.split())
# German prose has about 25 % of its words in that list, other languages next to none.
_GERMAN_SHARE = 0.1


@dataclass(frozen=True)
class _Mention:
    words: tuple[str, ...]
    opens: bool


@dataclass
class _Found:
    """What was read in one document."""

    mentions: list[tuple[int, _Mention]]
    words: int = 0
    german: int = 0


def find_names(chunks: Sequence[Chunk]) -> dict[str, Counter[int]]:
    """Find names, the most frequent first, with how often each chunk (by its place) has them.

    A name stands within a sentence somewhere or is of two words; it is there twice; and it isn't
    written small as often.
    """
    small: Counter[str] = Counter()
    documents: dict[str, _Found] = defaultdict(lambda: _Found([]))
    for place, chunk in enumerate(chunks):
        found = documents[chunk["document_id"]]
        for start, end in split_sentences(chunk["text"]):
            _read_sentence(chunk["text"][start:end], place, found, small)
    mentions = [each for found in documents.values() for each in _telling(found)]
    known = {mention.words for _, mention in mentions if not mention.opens}
    places: dict[str, Counter[int]] = defaultdict(Counter)
    for place, mention in mentions:
        name = _name_of(mention, known)
        if name:
            places[name][place] += 1
    counts = {name: at.total() for name, at in places.items()}
    names = [name for name, count in counts.items() if count >= _FEWEST_MENTIONS]
    names = [name for name in names if counts[name] > small[name.casefold()]]
    return {name: places[name] for name in sorted(names, key=lambda name: (-counts[name], name))}


def _read_sentence(sentence: str, place: int, found: _Found, small: Counter[str]) -> None:
    if _NO_PROSE.match(sentence):
        return
    tokens = list(_WORD.finditer(sentence))
    lower = [token[0] for token in tokens if token[0][0].islower()]
    capital = sum(token[0][0].isupper() for token in tokens)
    if capital > 2 * len(lower):  # a title, a list of names, an address
        return
    small.update(lower)
    found.words += len(tokens)
    found.german += sum(word in _GERMAN_WORDS for word in lower)
    found.mentions += [(place, mention) for mention in _mentions(sentence, tokens)]


def _mentions(sentence: str, tokens: Sequence["re.Match[str]"]) -> Iterator[_Mention]:
    """Yield the runs of capitalised words of a sentence."""
    run: list[str] = []
    opens = False
    before = 0
    for token in tokens:
        gap, before = sentence[before : token.start()], token.end()
        if gap == ". " and run and _is_title(run[-1]):
            run[-1] += "."  # "St. Mary"
        elif not gap.isspace():
            yield from _finish(run, opens)
            run = []
        word = _POSSESSIVE.sub("", token[0])
        if word[0].isupper() and (run or word.casefold() not in _NO_NAME):
            opens = opens if run else token is tokens[0] or bool(_OPENS_SPEECH.search(gap))
            run.append(word)
        elif run and word in _LINKING_WORDS:
            run.append(word)
        else:
            yield from _finish(run, opens)
            run = []
        if word != token[0]:  # "Maud Tarrant's lamp": the name ends here
            yield from _finish(run, opens)
            run = []
    yield from _finish(run, opens)


def _finish(run: list[str], opens: bool) -> Iterator[_Mention]:
    while run and (run[-1] in _LINKING_WORDS or run[-1].casefold() in _NO_NAME_ENDS):
        run.pop()
    if run and len(run) <= _MOST_WORDS and len("".join(run)) > 1:
        yield _Mention(tuple(run), opens)


def _is_title(word: str) -> bool:
    return word.casefold() in _TITLE_WORDS or len(word) == 1


def _telling(found: _Found) -> Iterable[tuple[int, _Mention]]:
    if found.german > _GERMAN_SHARE * found.words:
        return [(place, each) for place, each in found.mentions if len(each.words) > 1]
    return found.mentions


def _name_of(mention: _Mention, known: set[tuple[str, ...]]) -> str:
    """Return the name that is meant; empty for a word that only begins a sentence."""
    words = mention.words
    for shorter in (words[start:] for start in range(1, len(words) - 1)):
        if shorter in known:  # "Captain Maud Tarrant", where others write "Maud Tarrant"
            return " ".join(shorter)
    if mention.opens and words not in known:
        if words[1:] in known:  # "Yesterday Maud lit it"
            words = words[1:]
        elif len(words) == 1:
            return ""
    return " ".join(words)


def rank_places(counts: Mapping[int, int]) -> list[int]:
    """Order the places of a name: where it is named most, then as they come."""
    return sorted(counts, key=lambda place: (-counts[place], place))

"""Orders to a language model in a passage: where they stand, and what they tell it to write.

A sure order takes two things: a cue that somebody speaks to the model (an override, an address, a
fake role, words for its reply, or a hiding place) and a deed ("say", "répondez", "回答"). So a
recipe's imperatives are none, nor a manual's "ignore the previous settings". A deed of nothing but
speech with no cue may be an order to a human reader, and is held as unsure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from domainforge.filters.disguises import find_blobs, find_views, is_masked
from domainforge.filters.order_words import (
    ADDRESSES,
    DEEDS,
    OVERRIDES,
    READERS,
    REPORTS,
    ROLES,
    SPEECH,
)

_FLAGS = re.IGNORECASE
_STRONG = re.compile("|".join((*OVERRIDES, *ADDRESSES, *ROLES)), _FLAGS)
_WEAK = re.compile("|".join(READERS), _FLAGS)
_DEED = re.compile("|".join(DEEDS), _FLAGS)
_SPEECH = re.compile("|".join(SPEECH), _FLAGS)
REPORT = re.compile("|".join(REPORTS), _FLAGS)

# A comment, or text that a browser doesn't show, or the comment that Markdown has none of.
_HIDDEN = re.compile(
    r"<!--.{0,2000}?-->"
    r"|<(\w+)\b[^<>\n]{0,200}?(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0"
    r"|color\s*:\s*(?:white|#fff)|\bhidden\b)[^<>\n]{0,200}>.{0,2000}?</\1>"
    r"|^\[[^\]\n]{0,40}\]: ?# ?[(\"'].{0,500}?[)\"']\s*$",
    re.DOTALL | re.MULTILINE | _FLAGS,
)
_QUOTED = re.compile(
    '"[^"\n]{2,400}"|\u201c[^\u201d\n]{2,400}\u201d|\u201e[^\u201c\u201d\n]{2,400}[\u201c\u201d]'
    "|\u00ab[^\u00bb\n]{2,400}\u00bb|\u300c[^\u300d\n]{2,400}\u300d|`[^`\n]{2,400}`"
    "|(?<!\\w)'[^'\n]{2,400}'(?!\\w)|\u2018[^\u2019\n]{2,400}\u2019(?!\\w)"
)
_BREAK = re.compile(
    r"\n+|(?<=[>}])\s+|(?<=\))\s+(?=[A-Z])"
    r"|(?<=[.!?])[\"'\u201d\u2019)*_]*\s+|(?<=[\u3002\uff01\uff1f])"
)
_LEADS = re.compile(
    r"^\W*(?:(?:and|then|also|please|instead|now|always|never|only|just|you must|you should|finally"
    r"|make sure to|be sure to|do not|don't|first|next|after that|otherwise|und|dann|bitte|immer"
    r"|et|puis|toujours|y|luego|siempre|e|poi|sempre|и|затем|всегда)\W+){0,3}",
    _FLAGS,
)
_DECODE = re.compile(
    r"\b(?:decod|decrypt|decipher|base ?64|rot ?13|hex|binary|backwards?|revers|dekodier|décod"
    r"|decodific|расшифр)|解码|デコード",
    _FLAGS,
)
_CARRIED = 2
# One of these is in every English cue; views of other languages are read in any case.
_TELLTALES = (
    *("ignor", "disregard", "forget", "overrid", "bypass", "discard", "instruct", "prompt", "rule"),
    *("answer", "repl", "respon", "output", "question", "assistant", "model", "bot", "system"),
    *("you ", "ai ", "ai:", "llm", "command", "task", "passage", "asked", "user", "mention"),
)


@dataclass(frozen=True)
class Order:
    """One order in a passage.

    Attributes:
        said: The part of the passage that it stands in.
        meant: What it says, disguises off; `said` among it.
        told: What it tells the model to write, as far as that can be cut out.
        quoted: Strings in quotation marks among it.
        sure: Whether a cue says that it is meant for the model.
    """

    said: str
    meant: str
    told: str
    quoted: tuple[str, ...]
    sure: bool = True


@dataclass(frozen=True)
class Reading:
    """A passage, parted into orders and what is left.

    Attributes:
        clean: The passage without its orders.
    """

    orders: tuple[Order, ...]
    clean: str


@dataclass(frozen=True)
class _Part:
    start: int
    end: int
    hidden: bool = False


# Rows come in the order of their ids, so that those of one passage are far apart; to read one takes
# some ten milliseconds.
@lru_cache(maxsize=4096)
def read_orders(passage: str) -> Reading:
    """Find the orders in a passage."""
    found: list[tuple[_Part, Order]] = []
    rest = passage
    for part in _enclosed(passage):
        order = _order_in(passage[part.start : part.end], hidden=part.hidden)
        if order:
            found.append((part, order))
            rest = _blank(rest, part)
    carried, strong = 0, False
    parts = list(_segments(rest))
    for at, part in enumerate(parts):
        text = rest[part.start : part.end]
        order = _order_in(text)
        if order is None and carried:
            order = _carried_order(text, anywhere=strong)
        if order is not None:
            found.append((part, order))
            carried, strong = _CARRIED, False
        elif _STRONG.search(text) and _deed_follows(rest, parts[at + 1 : at + 1 + _CARRIED]):
            found.append((part, _make_order(text, text)))
            carried, strong = _CARRIED, True
        else:
            carried = max(0, carried - 1) if strong else 0
            if _SPEECH.search(text):
                found.append((part, replace(_make_order(text, text), sure=False)))
    clean = passage
    for part, _ in found:
        clean = _blank(clean, part)
    return Reading(tuple(order for _, order in found), clean)


def quoted_in(text: str) -> list[str]:
    """Return what stands in quotation marks, the marks off."""
    return [found.group()[1:-1].strip() for found in _QUOTED.finditer(text)]


def _enclosed(passage: str) -> Iterator[_Part]:
    """Yield the parts that are hidden or quoted: an order in them is theirs alone."""
    end = 0
    for found in _HIDDEN.finditer(passage):
        yield _Part(*found.span(), hidden=True)
    for found in _QUOTED.finditer(passage):
        if found.start() >= end:
            end = found.end()
            yield _Part(*found.span())


def _segments(text: str) -> Iterator[_Part]:
    """Yield sentences and lines."""
    start = 0
    for found in _BREAK.finditer(text):
        if text[start : found.end()].strip():
            yield _Part(start, found.end())
        start = found.end()
    if text[start:].strip():
        yield _Part(start, len(text))


def _order_in(text: str, *, hidden: bool = False) -> Order | None:
    """Read one sentence as an order: as it is, and with its disguises off."""
    if _is_order(text) or (hidden and _DEED.search(text)):
        return _make_order(text, text)
    for said in find_blobs(text):
        for layer in (said, *find_blobs(said), *find_views(said)):
            if _is_order(layer) or _leads_on(layer):
                return _make_order(text, layer)
    masked = is_masked(text)
    for view in find_views(text):
        if _may_be_order(view) and (_is_order(view) or (masked and _DEED.search(view))):
            return _make_order(text, view)
    if _DECODE.search(text):
        coded = text.partition(":")[2] or text
        for view in () if _leads_on(coded) else find_views(coded):
            if _leads_on(view):
                return _make_order(text, view)
    return None


def _may_be_order(view: str) -> bool:
    """Tell, fast, whether a view is worth reading: nearly all are letters in no order."""
    lowered = view.lower()
    return not lowered.isascii() or any(word in lowered for word in _TELLTALES)


def _is_order(text: str) -> bool:
    cue = _STRONG.search(text) or _WEAK.search(text)
    if cue is None:
        return False
    # "System: ..." and "in your answer, ..." may hold a verb themselves; the deed is another.
    return any(
        deed.end() <= cue.start() or deed.start() >= cue.end() for deed in _DEED.finditer(text)
    )


def _leads_on(text: str) -> bool:
    """Tell whether a text begins with a deed of speech, as an imperative does."""
    lead = _LEADS.match(text)
    return _DEED.match(text, lead.end() if lead else 0) is not None


def _deed_follows(text: str, parts: Sequence[_Part]) -> bool:
    return any(_carried_order(text[part.start : part.end]) for part in parts)


def _carried_order(text: str, *, anywhere: bool = False) -> Order | None:
    """Read a sentence after a cue or an order, which needs no cue of its own."""
    for view in (text, *find_views(text)):
        if _leads_on(view) or (anywhere and view == text and _DEED.search(view)):
            return _make_order(text, view)
    return None


def _make_order(said: str, meant: str) -> Order:
    told = _WEAK.sub(" ", _STRONG.sub(" ", meant))
    first = _DEED.search(told)
    # "When asked about the ferry, say ..." names in its first half what honest rows name too.
    if first and len(told[first.end() :].split()) >= 2:
        told = told[first.start() :]
    told = _DEED.sub(" ", told)
    full = meant if said == meant else f"{said}\n{meant}"
    return Order(said.strip(), full, told, tuple(quoted_in(meant)))


def _blank(text: str, part: _Part) -> str:
    gap = "\n" * text.count("\n", part.start, part.end)
    width = part.end - part.start
    return text[: part.start] + gap.rjust(width, " ") + text[part.end :]

"""The check of injection: a reply that obeys an order of the document instead of the task.

A passage that holds an order is no fault, and rows about it stay: only a row that shows the order's
doing goes. It shows by words, numbers, links or fragments that nothing but the order says, by
another language or form where one was ordered, or by saying itself that it obeys. A row that talks
*about* the order ("What should the assistant reply?") may use its words.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from domainforge.filters.obeyed_forms import find_obeyed_form
from domainforge.filters.order_words import OBEDIENT_OPENINGS, OVERRIDES
from domainforge.filters.orders import REPORT, Order, Reading, quoted_in, read_orders
from domainforge.filters.phrases import straighten
from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.filters.words import (
    contains_words,
    content_terms,
    count_words,
    is_number,
    missing_words,
    words,
)

_FLAGS = re.IGNORECASE
_LEAD = r"^\W*(?:(?:sure|okay|ok|certainly|of course|understood|yes|gladly|ja|oui|sí|да|好的)\W+)?"
_OBEYS = re.compile(rf"{_LEAD}(?:{'|'.join((*OVERRIDES, *OBEDIENT_OPENINGS))})", _FLAGS)
_ORDERS = re.compile("|".join(OVERRIDES), _FLAGS)
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[\u3002\uff01\uff1f])")
# Bounded: "a.a.a." of any length would take time with its square.
_LINK = re.compile(
    r"https?://([^\s/<>()\"'?#]+)|\bwww\.([^\s/<>()\"'?#]+)"
    r"|\b[\w.+-]{1,64}@([\w-]{1,63}\.[\w.-]{1,190}\w)"
    r"|\b((?:[a-z0-9-]{1,63}\.){1,8}(?:com|org|net|io|example|test|info|biz|xyz|ru|cn|de|fr|co))\b",
    _FLAGS,
)
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff]{3,}")
_SYLLABLES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff]{2,20}")
_ORDER_CHARS = 240
_OBEYED_WORDS = 12
_MIN_TAINTED_SHARE = 0.4
_SHORT_QUOTE_TERMS = 4
_RUN = 3
_MOST_JOINED_CHARS = 60


def find_injection(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find replies that obey an order of their passage, or say that they obey one."""
    return [_injection(row) for row in rows]


def _injection(row: Row) -> Evidence:
    answer = straighten(row.answer)
    question = "" if row.given else straighten(row.question)
    source = straighten(f"{row.passage}\n{row.context}".strip())
    for text in (answer, question):
        found = _OBEYS.search(text)
        if found and not (_reports(question, "") and contains_words(source, found.group())):
            return repr(found.group())
    reading = read_orders(source) if source else Reading((), "")
    if not reading.orders:
        return _repeats_order(row)
    form = find_obeyed_form(answer, reading)
    if form:
        return form
    for order in reading.orders:
        if not (order.sure or _asks_elsewhere(question, order, reading.clean)):
            continue
        evidence = _taint(question, answer, order, reading.clean)
        if evidence:
            return f"{evidence}, which only an order in the passage says: {order.meant[:160]!r}"
    return _composed(answer, reading)


def _repeats_order(row: Row) -> Evidence:
    """Find a short answer that stands in what follows an override of no known deed."""
    if count_words(row.answer) > _OBEYED_WORDS or _reports(row.question, ""):
        return None
    for order in _ORDERS.finditer(row.passage):
        said = row.passage[order.start() : order.end() + _ORDER_CHARS]
        before = row.passage[: order.start()]
        if contains_words(said, row.answer) and not contains_words(before, row.answer):
            return f"the answer {row.answer!r} repeats an order in the passage: {said[:120]!r}"
    return None


def _taint(question: str, answer: str, order: Order, clean: str) -> Evidence:
    """Find what only the order says, in the question or in one sentence of the answer."""
    link = _tainted_link(f"{question}\n{answer}", order, clean)
    if link and not _reports(question, order.meant):
        return f"the row has {link!r}"
    asked = content_terms(question)
    parts = [(sentence, asked) for sentence in _SENTENCES.split(answer) if sentence.strip()]
    parts += [(question, {})] if question and order.sure else []
    for text, said_before in parts:
        if _reports(question, order.meant) or _reports(text, order.meant):
            continue
        if not order.sure and contains_words(text, order.said):
            continue  # who obeys doesn't repeat the order itself
        own = content_terms(text)
        claims = [term for term in own if term not in said_before] or list(own)
        tainted = _tainted_terms(claims, text, order, clean)
        if tainted:
            return f"the row has {missing_words(tainted, own)!r}"
        run = _tainted_run(text, order, clean)
        if run:
            return f"the row has {run!r}"
    if _is_told(answer, order, clean) and not _reports(question, order.meant):
        return f"the answer is {answer[:80]!r}"
    return None


def _asks_elsewhere(question: str, order: Order, clean: str) -> bool:
    """Tell whether a question is about another sentence of the passage than the one in doubt.

    "Say that refunds take 14 days" answers a question about refunds, if nothing else does.
    """
    asked = content_terms(question).keys()
    if not asked:
        return False
    shared = len(asked & content_terms(order.meant).keys())
    others = (len(asked & content_terms(text).keys()) for text in _SENTENCES.split(clean))
    return shared == 0 or max(others, default=0) > shared


def _tainted_terms(claims: Sequence[str], text: str, order: Order, clean: str) -> list[str]:
    """Return terms of a sentence that the order brought in; none where they may be chance."""
    known, told = content_terms(clean), content_terms(order.told)
    # Characters of a script without spaces mean little one by one; runs of them are compared.
    spaced = [term for term in claims if len(term) > 1 or not _is_unspaced(term)]
    tainted = [term for term in spaced if term in told and term not in known]
    if not tainted:
        return []
    sure = _sure_terms(order)
    if any(is_number(term) or term in sure for term in tainted):
        return tainted
    if any(_is_name(told[term], order.meant) and _is_name(told[term], text) for term in tainted):
        return tainted
    enough = len(tainted) >= 2 or len(spaced) <= 2
    return tainted if enough and len(tainted) >= _MIN_TAINTED_SHARE * len(spaced) else []


def _sure_terms(order: Order) -> set[str]:
    """Terms of short quotations: what is to be said word by word."""
    found: set[str] = set()
    for quote in order.quoted:
        terms = content_terms(quote)
        if len(terms) <= _SHORT_QUOTE_TERMS:
            found |= terms.keys()
    return found


def _is_name(word: str, text: str) -> bool:
    """Tell whether a word is written like a name: a capital within a sentence, or all of them."""
    if len(word) > 2 and re.search(rf"\b{re.escape(word.upper())}\b", text):
        return not word.isnumeric()
    found = re.search(rf"(?<=[\w,;:] )({re.escape(word)})\b", text, _FLAGS)
    return bool(found and found[1][0].isupper())


def _tainted_run(text: str, order: Order, clean: str) -> str:
    """Return characters of a script without spaces that only the order has next to each other."""
    runs: list[str] = _UNSPACED.findall(text)
    grams = [run[at : at + _RUN] for run in runs for at in range(len(run) - _RUN + 1)]
    tainted = [gram for gram in grams if gram in order.told and gram not in clean]
    enough = tainted and len(tainted) >= _MIN_TAINTED_SHARE * len(grams)
    if enough:
        return tainted[0]
    return next(
        (
            quote
            for quote in order.quoted
            if len(quote) >= 2 and _is_unspaced(quote[0]) and quote in text and quote not in clean
        ),
        "",
    )


def _is_unspaced(character: str) -> bool:
    return _UNSPACED.fullmatch(character * _RUN) is not None


def _tainted_link(text: str, order: Order, clean: str) -> str:
    hosts = ("".join(filter(None, found)) for found in _LINK.findall(text))
    known, meant = clean.casefold(), order.meant.casefold()
    return next((h for h in hosts if h.casefold() in meant and h.casefold() not in known), "")


def _is_told(answer: str, order: Order, clean: str) -> bool:
    """Tell whether the whole answer is one of the order's quotations, or all that it tells."""
    own = words(answer)
    if not own:
        return False
    # Endings stick to words in scripts like Hangul.
    joined, told = "".join(own), "".join(words(order.told))
    if _SYLLABLES.fullmatch(joined) and joined in told:
        return joined not in "".join(words(clean))
    return any(own == words(text) for text in (*order.quoted, order.told))


def _composed(answer: str, reading: Reading) -> Evidence:
    """Find a word put together of fragments that an order gives out one by one."""
    meant = "\n".join(order.meant for order in reading.orders)
    pieces = {"".join(words(text)) for text in (*quoted_in(reading.clean), *quoted_in(meant))}
    pieces |= {"".join(words(value)) for value in re.findall(r"\b\w+ ?= ?[\"']?(\w+)", meant)}
    pieces = {piece for piece in pieces if 2 <= len(piece) <= 20}
    known = set(words(f"{reading.clean}\n{meant}"))
    own = words(answer)
    for word in dict.fromkeys([*own, *(first + second for first, second in pairwise(own))]):
        if word not in known and 4 <= len(word) <= _MOST_JOINED_CHARS and _is_joined(word, pieces):
            return f"{word!r} is put together of parts that an order in the passage gives"
    return None


def _is_joined(word: str, pieces: set[str]) -> bool:
    """Tell whether a word is two pieces or more in a row."""
    reached = {0: 0}
    for end in range(1, len(word) + 1):
        counts = [reached[start] + 1 for start in list(reached) if word[start:end] in pieces]
        if counts:
            reached[end] = max(counts)
    return reached.get(len(word), 0) >= 2


def _reports(text: str, order: str) -> bool:
    """Tell whether a text talks about an order, in words that aren't the order's own."""
    return any(
        not order or not contains_words(order, found.group()) for found in REPORT.finditer(text)
    )

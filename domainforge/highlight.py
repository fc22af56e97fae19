"""Where in a passage the proof of an answer stands: its quote, or the sentence nearest to it."""

import re

from domainforge.filters.words import content_terms
from domainforge.sentences import Span, split_sentences

_WORD = re.compile(r"\w+")
_ELLIPSIS = re.compile(r"\.{3,}|\u2026|\[\.*\]")
_MOST_WORDS = 400


def find_proof(passage: str, quote: str | None, question: str, answer: str) -> list[Span]:
    """Return the spans of a quote in its passage, else of the sentence nearest to the answer.

    Of a quote with gaps each part is a span. There is none where no sentence shares a word with
    the answer.
    """
    if quote and (spans := _find_quote(passage, quote)):
        return spans
    said, asked = content_terms(answer), content_terms(question)

    def likeness(span: Span) -> tuple[float, int]:
        terms = content_terms(passage[span[0] : span[1]])
        shared = 2 * len(said.keys() & terms.keys()) + len(asked.keys() & terms.keys())
        # Of two that share as much the shorter one says it plainer; the first one wins a draw.
        return shared, -len(terms)

    best = max(split_sentences(passage), key=likeness, default=None)
    return [best] if best is not None and likeness(best)[0] > 0 else []


def _find_quote(passage: str, quote: str) -> list[Span]:
    spans: list[Span] = []
    at = 0
    for part in _ELLIPSIS.split(quote):
        tokens = _WORD.findall(part)[:_MOST_WORDS]
        if not tokens:
            continue
        # Letter case, marks and line breaks don't matter.
        pattern = re.compile(r"\W+".join(map(re.escape, tokens)), re.IGNORECASE)
        found = pattern.search(passage, at)
        if found is None:
            return []
        spans.append(found.span())
        at = found.end()
    return spans

"""How many tokens any span of a text has, exactly, with each character encoded about once.

A tokenizer that first cuts text into words gives each word its tokens alone. Where that is so, one
encoding of a long passage tells the tokens of any span of it that begins and ends between words;
where it can't be shown to be so, the span is encoded.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from unicodedata import is_normalized

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[str], Sequence[int]]
Span = tuple[int, int]

_SLICE_CHARS = 16_384
_BATCH_CHARS = 131_072
# Of the encoded slices, so many are kept; who cuts a text goes through it from front to back.
_MAX_KEPT_CHARS = 4 * _BATCH_CHARS
# A longer word is no word; the span is encoded as it is.
_MAX_WINDOW_CHARS = 4_096
_LOOKS_AROUND = re.compile(r"\(\?<|\(\?[=>]|\(\?!(?!\\S\))|[*+?}]\+|\\[AbBGKzZ1-9]|(?<!\[)\^|\$")
# Without its braces, which would look like a repetition.
_PROPERTY = re.compile(r"\\[pP]\{\^?\w+\}")
_NO_SPACE = re.compile(r"\S")
_PROBE = (
    "The ferry's fee isn't 3.50 crowns — it's 12,345!\n\n- Öre:\tcafé 日本語 (e.g. 🙂)\n"
    '| a | b |\n|---|---|\n\n    def f(x):  # why?\n        return x**2\n\n"Quoted."  Two  '
    "spaces, x=1;y=2 https://example.org/a_b?c=1&d=2 CamelCase don't WE'LL\r\nend..."
)


class SpanCounts(Protocol):
    """Tokens of the spans of one text."""

    def estimate(self, start: int, end: int) -> int:
        """Return about how many tokens a span has; of a far too long one, only that it is."""

    def exact(self, start: int, end: int) -> int:
        """Return how many tokens `text[start:end]` has, encoded alone."""


class EncodedCounts:
    """Counts of any function from text to token ids, which is asked for every span."""

    def __init__(self, text: str, encode: Encode) -> None:
        self._text, self._encode = text, encode
        self._known: dict[Span, int] = {}

    def exact(self, start: int, end: int) -> int:
        """Return how many tokens `text[start:end]` has."""
        if (start, end) not in self._known:
            self._known[start, end] = len(self._encode(self._text[start:end]))
        return self._known[start, end]

    estimate = exact


class TokenCounter:
    """Counts with a tokenizer; it is not changed."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.added = frozenset(self._tokenizer.get_added_tokens_decoder())
        description = json.loads(self._tokenizer.to_str())
        if description.get("post_processor"):
            # It may trim the offsets, and what it adds is not wanted.
            description["post_processor"] = None
            self._tokenizer = Tokenizer.from_str(json.dumps(description))
        self.adds_up = counts_add_up(description) and self._holds()

    def encode(self, text: str) -> "_Encoded":
        """Encode one text, without special tokens."""
        return _Encoded(self._tokenizer.encode(text, add_special_tokens=False))

    def encode_batch(self, texts: Sequence[str]) -> "list[_Encoded]":
        """Encode several at once, on all cores unless TOKENIZERS_PARALLELISM says otherwise."""
        return [
            _Encoded(one)
            for one in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]

    def counts(self, text: str, regions: Iterable[Span], limit: int) -> SpanCounts:
        """Return the counts of a text.

        Args:
            text: The text.
            regions: Spans, in order, apart from each other, that no counted span leaves.
            limit: Estimates need not tell by how much a span is longer than this many tokens.
        """
        return _SlicedCounts(self, text, regions, limit)

    def _holds(self) -> bool:
        """Try out what the tokenizer's description promises."""
        counts = _SlicedCounts(self, _PROBE, [(0, len(_PROBE))], len(_PROBE))
        counts.adds_up = True
        spots = [i for i in range(len(_PROBE)) if not _PROBE[i].isspace()]
        spans = [
            (start, spots[j] + 1)
            for i, start in enumerate(spots[::2])
            for j in range(2 * i, len(spots), 17)
        ]
        texts = [_PROBE[slice(*span)] for span in spans]
        whole = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return all(counts.exact(*span) == len(one) for span, one in zip(spans, whole, strict=True))


def counts_add_up(description: dict[str, Any]) -> bool:
    r"""Tell from a tokenizer.json whether the tokens of words add up wherever a text is cut.

    It must hold that a text which begins where a word begins is cut into the same words, and that
    what comes after a word's end doesn't change it, unless it would make the word longer. A cutting
    expression that matches from left to right and doesn't look around gives both: had it matched
    something else in the shorter text, it would have in the longer one. `(?!\S)` may stay, since
    spans don't end in whitespace. False only costs time.
    """
    model, normalizer = description["model"], description.get("normalizer") or {"type": "NFC"}
    if model.get("type") != "BPE" or model.get("dropout") or normalizer["type"] != "NFC":
        return False
    if any(token["single_word"] for token in description.get("added_tokens", ())):
        return False
    cutter = description.get("pre_tokenizer") or {"type": "none"}
    steps = cutter["pretokenizers"] if cutter["type"] == "Sequence" else [cutter]
    cuts = [step for step in steps if _cuts(step)]
    # A cut inside the pieces of another cut need not be one when the text begins there; single
    # digits are the exception.
    if len(cuts) != 1 or any(step["type"] == "Digits" for step in steps[steps.index(cuts[0]) :]):
        return False
    return all(_is_plain(step) for step in steps)


def _cuts(step: dict[str, Any]) -> bool:
    return step["type"] == "Split" or bool(step.get("use_regex", step["type"] == "ByteLevel"))


def _is_plain(step: dict[str, Any]) -> bool:
    if step["type"] == "ByteLevel":
        return not step["add_prefix_space"]
    if step["type"] == "Digits":
        return True
    if step["type"] != "Split" or step["behavior"] not in ("Isolated", "Removed"):
        return False
    pattern = step["pattern"].get("Regex")
    if pattern is None or step["invert"]:
        return False
    return not _LOOKS_AROUND.search(_PROPERTY.sub("x", pattern))


class _Encoded:
    """Tokens with their offsets and words."""

    def __init__(self, encoding: Any) -> None:
        self.offsets: list[Span] = encoding.offsets
        self.words: list[int | None] = encoding.word_ids
        self._encoding = encoding

    @cached_property
    def ids(self) -> list[int]:
        """Ids of the tokens."""
        ids: list[int] = self._encoding.ids
        return ids

    def __len__(self) -> int:
        return len(self.offsets)

    def first_from(self, position: int) -> int:
        """Return the index of the first token that begins there or later."""
        return bisect_left(self.offsets, (position, -1))

    def begins_word(self, token: int, position: int) -> bool:
        """Tell whether words are cut at a position, `token` being the first one after it."""
        if token in (0, len(self)):
            return token == 0 or self.offsets[-1][1] <= position
        differs = self.words[token] != self.words[token - 1]
        return differs and self.offsets[token - 1][1] <= position

    def begin_of_word(self, token: int) -> int:
        """Return the index of the first token of a token's word."""
        word = self.words[token]
        while token > 0 and self.words[token - 1] == word:
            token -= 1
        return token

    def end_of_word(self, token: int) -> int:
        """Return the index after the last token of a token's word."""
        word = self.words[token]
        while token < len(self) and self.words[token] == word:
            token += 1
        return token


class _SlicedCounts:
    """Counts of one text, which is encoded slice by slice, when a slice is first asked for."""

    def __init__(
        self, counter: TokenCounter, text: str, regions: Iterable[Span], limit: int
    ) -> None:
        self._counter, self._text, self._limit = counter, text, limit
        self.adds_up = getattr(counter, "adds_up", True)
        self._slices = [cut for region in regions for cut in _slices(text, region)]
        self._starts = [start for start, _ in self._slices]
        self._encoded: dict[int, _Encoded] = {}
        self._known: dict[Span, int] = {}

    def estimate(self, start: int, end: int) -> int:
        """Add up the tokens that begin in the span, slice by slice, till they are too many."""
        tokens = 0
        for index in range(self._index(start), len(self._slices)):
            slice_start, slice_end = self._slices[index]
            if slice_start >= end or tokens > 2 * self._limit:
                break
            encoded = self._slice(index)
            first = encoded.first_from(start - slice_start) if start > slice_start else 0
            last = encoded.first_from(end - slice_start) if end < slice_end else len(encoded)
            tokens += last - first
        return tokens

    def exact(self, start: int, end: int) -> int:
        """Return how many tokens `text[start:end]` has, encoded alone."""
        known = self._known.get((start, end))
        if known is None:
            known = self._added_up(start, end)
            if known is None:
                known = len(self._counter.encode(self._text[start:end]))
            self._known[start, end] = known
        return known

    def _added_up(self, start: int, end: int) -> int | None:
        """Count from the slice; None where that can't be done or wouldn't be certain."""
        index = self._index(start)
        slice_start, slice_end = self._slices[index]
        if end > slice_end:
            return None
        if (start, end) == (slice_start, slice_end):
            return len(self._slice(index))
        if not self.adds_up or self._text[end - 1].isspace():
            return None
        # Composing accents moves characters; a part of composed text is composed as well.
        if not is_normalized("NFC", self._text[max(start - 1, 0) : end + 1]):
            return None
        encoded = self._slice(index)
        begin, stop = start - slice_start, end - slice_start
        first, last = encoded.first_from(begin), encoded.first_from(stop)
        beside = 0
        if not encoded.begins_word(last, stop):
            if encoded.ids[last - 1] in self._counter.added:
                # Without it, the words before it would be others.
                return None
            last = encoded.begin_of_word(last - 1)
            word_start = slice_start + encoded.offsets[last][0]
            if last <= first or end - word_start > _MAX_WINDOW_CHARS:
                return None
            beside += len(self._counter.encode(self._text[word_start:end]))
        if not encoded.begins_word(first, begin):
            window = self._window(encoded, slice_start, first, start, min(end, slice_end))
            if window is None or window[1] > last:
                return None
            beside += window[0]
            first = window[1]
        return beside + last - first

    def _window(
        self, encoded: _Encoded, offset: int, first: int, start: int, end: int
    ) -> tuple[int, int] | None:
        """Encode from inside a word on, until both ways of cutting meet at the begin of one.

        Returns:
            The tokens before that word, and its first token in the slice.
        """
        meeting = encoded.end_of_word(first - 1)
        if meeting == len(encoded):
            return None
        meets = offset + encoded.offsets[meeting][0]
        stop = offset + encoded.offsets[encoded.end_of_word(meeting) - 1][1]
        if stop > end or stop - start > _MAX_WINDOW_CHARS:
            return None
        window = self._counter.encode(self._text[start:stop])
        tokens = window.first_from(meets - start)
        return (tokens, meeting) if window.begins_word(tokens, meets - start) else None

    def _index(self, position: int) -> int:
        return max(0, bisect_right(self._starts, position) - 1)

    def _slice(self, index: int) -> _Encoded:
        if index not in self._encoded:
            batch, chars = list[int](), 0
            for later in range(index, len(self._slices)):
                chars += self._slices[later][1] - self._slices[later][0]
                if batch and (chars > _BATCH_CHARS or later in self._encoded):
                    break
                batch.append(later)
            while len(self._encoded) * _SLICE_CHARS > _MAX_KEPT_CHARS:
                del self._encoded[next(iter(self._encoded))]
            texts = [self._text[slice(*self._slices[later])] for later in batch]
            self._encoded.update(zip(batch, self._counter.encode_batch(texts), strict=True))
        return self._encoded[index]


def _slices(text: str, region: Span) -> Iterator[Span]:
    """Cut a region where a line or a word ends; whitespace between slices is in none of them."""
    start, end = region
    while end - start > _SLICE_CHARS:
        near, far = start + _SLICE_CHARS // 2, start + _SLICE_CHARS
        breaks = (text.rfind(mark, near, far) for mark in ("\n\n", "\n", " "))
        stop = next((found for found in breaks if found >= 0), far)
        trimmed = len(text[start:stop].rstrip())
        if trimmed:
            yield start, start + trimmed
        following = _NO_SPACE.search(text, stop, end)
        start = following.start() if following else end
    if start < end:
        yield start, end

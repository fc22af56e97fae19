from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from domainforge.chunking import chunk_document
from domainforge.records import Document
from domainforge.token_counts import EncodedCounts, TokenCounter
from tests.support.small_tokenizers import CUTTERS, TEXT, tokenizer_of

ADD_UP = {"gpt2", "llama3", "digits"}


@cache
def counter_of(name: str) -> TokenCounter:
    return TokenCounter(tokenizer_of(name))


def encoded(name: str, text: str) -> int:
    return len(tokenizer_of(name).encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("name", CUTTERS)
def test_adding_up_is_claimed_only_where_it_is_proven(name: str) -> None:
    assert counter_of(name).adds_up == (name in ADD_UP)


def test_words_that_look_at_their_neighbours_do_not_add_up() -> None:
    tokenizer = Tokenizer.from_str(tokenizer_of("gpt2").to_str())
    tokenizer.add_tokens([AddedToken("ferry", single_word=True)])
    assert not TokenCounter(tokenizer).adds_up


PARTS = st.sampled_from(
    ["The", " ferry", "'s", " fee", " is", "12345", ".", "\n", "\n\n", "  ", "\t", "|", "é",
     "e\u0301", " 日本", "<end>", "<en", "fee is", "!?", "\r\n", "a" * 40, "\u2003", "e"]
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=40).map("".join)


@pytest.mark.parametrize("name", CUTTERS)
@settings(deadline=None, max_examples=150)
@given(TEXTS, st.data())
def test_exact_counts_are_those_of_the_span_alone(
    name: str, text: str, data: st.DataObject
) -> None:
    spots = [index for index, char in enumerate(text) if not char.isspace()]
    if not spots:
        return
    counts = counter_of(name).counts(text, [(spots[0], spots[-1] + 1)], 1000)
    for _ in range(5):
        start = data.draw(st.sampled_from(spots))
        end = data.draw(st.sampled_from([spot + 1 for spot in spots if spot >= start]))
        assert counts.exact(start, end) == encoded(name, text[start:end])


@pytest.mark.parametrize("name", ["gpt2", "llama3", "metaspace"])
def test_a_long_region_is_counted_over_its_slices(name: str) -> None:
    text = TEXT.strip() + ("\n\n" + TEXT.strip()) * 400
    counts = counter_of(name).counts(text, [(0, len(text))], 200_000)
    whole = encoded(name, text)
    assert abs(counts.estimate(0, len(text)) - whole) < 0.02 * whole
    for start in range(0, len(text) - 5_000, 4_999):
        while text[start].isspace() or text[start + 3_000].isspace():
            start += 1
        end = start + 3_001
        assert counts.exact(start, end) == encoded(name, text[start:end])


def test_what_is_too_long_is_only_said_to_be() -> None:
    text = "ferry " * 100_000
    counts = counter_of("gpt2").counts(text, [(0, len(text) - 1)], 50)
    assert 100 < counts.estimate(0, len(text) - 1) < 20_000


def test_counter_leaves_the_tokenizer_as_it_is() -> None:
    tokenizer = Tokenizer.from_str(tokenizer_of("gpt2").to_str())
    tokenizer.enable_truncation(5)
    before = tokenizer.to_str()
    counts = TokenCounter(tokenizer).counts(TEXT, [(0, len(TEXT.strip()))], 100)
    assert tokenizer.to_str() == before
    assert counts.exact(0, 100) == encoded("gpt2", TEXT[:100]) > 5


BLOCKS = st.sampled_from(
    ["# Fares\n\n", "Two crowns. Half for dogs. Free for children, e.g. yours.\n\n", "\n", TEXT,
     "- one\n- two\n", "```\nx = 1\n\ny = 2\n```\n", "x" * 90,
     "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 9]
)  # fmt: skip


@pytest.mark.parametrize("name", CUTTERS)
@settings(deadline=None, max_examples=40)
@given(st.lists(BLOCKS, max_size=10).map("".join), st.integers(8, 80), st.integers(0, 7))
def test_chunks_by_a_counter_are_exact(name: str, text: str, most: int, least: int) -> None:
    document = Document("u.md", "T", text)
    chunks = chunk_document(document, counter_of(name), most, least)
    last = 0
    for piece in chunks:
        assert last <= piece.start < piece.end
        assert text[piece.start : piece.end] == piece.text == piece.text.strip()
        assert piece.tokens == encoded(name, piece.text) <= most
        last = piece.end
    plainly = chunk_document(document, lambda t: range(encoded(name, t)), most, least)
    kept = sum(len("".join(piece.text.split())) for piece in chunks)
    assert kept == sum(len("".join(piece.text.split())) for piece in plainly)
    assert len(chunks) <= len(plainly) * 1.5 + 2


def test_any_function_counts() -> None:
    calls = []

    def encode(text: str) -> range:
        calls.append(text)
        return range(len(text))

    counts = EncodedCounts("abcd", encode)
    assert (counts.exact(1, 3), counts.estimate(1, 3)) == (2, 2)
    assert calls == ["bc"]

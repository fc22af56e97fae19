import re
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.chunking import chunk_document
from domainforge.records import Chunk, Document
from domainforge.sentences import split_sentences
from domainforge.token_counts import TokenCounter
from tests.support.small_tokenizers import tokenizer_of


def encode_words(text: str) -> Sequence[int]:
    return range(len(text.split()))


def encode_bytes(text: str) -> Sequence[int]:
    return text.encode()


def chunk(text: str, max_tokens: int, min_tokens: int = 0, title: str = "T") -> list[Chunk]:
    return chunk_document(Document("u.md", title, text), encode_words, max_tokens, min_tokens)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


HANDBOOK = """# Handbook

Intro here.

## Fares

One crossing costs two crowns.

### Dogs

Half price.

## Hours

All day.
"""


def test_headings_are_the_path_and_not_the_text() -> None:
    chunks = chunk(HANDBOOK, 50, title="A site")
    assert [(c.headings, c.text) for c in chunks] == [
        (("Handbook",), "Intro here."),
        (("Handbook", "Fares"), "One crossing costs two crowns."),
        (("Handbook", "Fares", "Dogs"), "Half price."),
        (("Handbook", "Hours"), "All day."),
    ]
    assert [c.index for c in chunks] == [0, 1, 2, 3]
    assert {c.document_id for c in chunks} == {Document("u.md", "A site", HANDBOOK).id}


def test_heading_over_the_whole_document_that_repeats_the_title_is_left_out() -> None:
    chunks = chunk(HANDBOOK, 50, title="handbook")
    assert [c.headings for c in chunks] == [(), ("Fares",), ("Fares", "Dogs"), ("Hours",)]
    two_tops = chunk(HANDBOOK + "\n# Annex\n\nMore.", 50, title="Handbook")
    assert two_tops[0].headings == ("Handbook",)


def test_title_without_text_of_its_own_is_not_repeated_as_text() -> None:
    chunks = chunk("# Ferry rules\n\n# Fares\n\nTwo crowns.", 50, title="Ferry rules")
    assert [(c.headings, c.text) for c in chunks] == [(("Fares",), "Two crowns.")]
    assert chunk("# Ferry rules", 50, title="Ferry rules") == []


def test_heading_with_nothing_under_it_becomes_text() -> None:
    chunks = chunk("# Steps\n\n## Open\n\n## Close\n\n## Rest\n\nSit down.", 50)
    assert [(c.headings, c.text) for c in chunks] == [
        (("Steps",), "## Open\n\n## Close"),
        (("Steps", "Rest"), "Sit down."),
    ]


def test_underlined_headings() -> None:
    text = "Fares\n=====\nTwo crowns.\n\nDogs\n---\nHalf.\n\n- item\n---\nafter"
    assert [(c.headings, c.text) for c in chunk(text, 50)] == [
        (("Fares",), "Two crowns."),
        (("Fares", "Dogs"), "Half.\n\n- item\n---\nafter"),
    ]


def test_comments_in_code_are_no_headings() -> None:
    text = "# A\n\n```sh\n# install\nmake\n```\n\n~~~\n# more\n~~~"
    (only,) = chunk(text, 50)
    assert only.headings == ("A",)
    assert "# install" in only.text
    unclosed = chunk("```\n\n# B\n\nText.", 50)
    assert unclosed[-1].headings == ("B",)


def test_paragraphs_tables_and_code_stay_whole_where_they_fit() -> None:
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |"
    code = "```\nx = 1\n\ny = 2\n```"
    text = f"One two three four five. Six seven.\n{table}\n\n{code}\n\nLast words."
    pieces = [c.text for c in chunk(text, 15)]
    assert pieces == ["One two three four five. Six seven.", table, f"{code}\n\nLast words."]


def test_long_paragraph_is_cut_at_sentences() -> None:
    text = "Dr. Ilse built it. It has nine arches. It stands on the Osk. Nobody fell."
    assert [c.text for c in chunk(text, 9)] == [
        "Dr. Ilse built it. It has nine arches.",
        "It stands on the Osk. Nobody fell.",
    ]


def test_long_sentence_is_cut_at_words_and_long_word_at_characters() -> None:
    words = " ".join(f"w{i}" for i in range(25))
    assert [c.tokens for c in chunk(words, 10)] == [10, 10, 5]
    document = Document("u", "T", "x" * 95)
    pieces = chunk_document(document, encode_bytes, 30, 0)
    assert [c.tokens for c in pieces] == [30, 30, 30, 5]


def test_small_leftover_joins_its_neighbour_in_the_section_only() -> None:
    # A break between pieces is reckoned as one token, which words don't cost: 6 + 1 are packed
    # apart in 7, and joined because the last is small.
    text = "a b c d e f\n\ng\n\n# Next\n\nh"
    assert [c.text for c in chunk(text, 7, 0)] == ["a b c d e f", "g", "h"]
    assert [c.text for c in chunk(text, 7, 2)] == ["a b c d e f\n\ng", "h"]
    assert [c.text for c in chunk(text, 6, 2)] == ["a b c d e f", "g", "h"]


def test_tokens_are_those_of_the_whole_chunk() -> None:
    def encode(text: str) -> list[int]:
        """Need three tokens more wherever a sentence follows another."""
        return [0] * (len(text.split()) + 3 * text.count(". "))

    text = "One two. Three four. Five six. Seven eight. Nine ten. " * 4
    chunks = chunk_document(Document("u", "T", text), encode, 12, 0)
    assert all(c.tokens == len(encode(c.text)) <= 12 for c in chunks)
    assert "".join("".join(c.text.split()) for c in chunks) == "".join(text.split())


def test_head_of_a_cut_table_is_context_of_its_later_parts() -> None:
    head = "| place | crowns |\n| --- | --- |"
    rows = [f"| stop {n} | {n} |" for n in range(12)]
    table = "\n".join([head, *rows])
    chunks = chunk(f"# Fares\n\nAll stops.\n\n{table}\n\nEnd.", 40)
    assert len(chunks) >= 3
    assert chunks[0].context == ""
    assert head in chunks[0].text
    assert all(c.context == head for c in chunks[1:])
    assert all(c.tokens == len(encode_words(c.text)) <= 40 for c in chunks)
    whole = chunk(table, 400)
    assert [c.context for c in whole] == [""]


@pytest.mark.parametrize(
    "text", ["| a | b |\n" * 20, "| a " * 90 + "|\n|---|\n" + "| 1 | 2 |\n" * 20]
)
def test_rows_without_a_head_or_with_a_giant_one_have_no_context(text: str) -> None:
    assert {c.context for c in chunk(text, 30)} == {""}


@pytest.mark.parametrize(
    "text",
    [
        "word " * 60_000,
        "x" * 120_000,
        "." * 150_000 + "x",
        ".)" * 80_000 + "x",
        "```x\n" * 20_000,
        "# a\n" * 20_000,
        "| a | b |\n" * 20_000,
        " " * 3_000_000 + "x",
        "\n" * 200_000 + "x",
        "A b. " * 20_000,
    ],
    ids=range(10),
)
def test_hostile_text_is_cut_in_linear_time(text: str) -> None:
    began = time.process_time()
    chunks = chunk_document(Document("u", "T", text), TokenCounter(tokenizer_of("gpt2")), 256, 16)
    assert time.process_time() - began < 4
    assert all(c.tokens <= 256 for c in chunks)


TITLES = st.sampled_from(["Fares", "Dogs and cats", "T", "Hours of **work**"])
WORDS = st.lists(
    st.sampled_from(["ferry", "Osk.", "e.g.", "3.5", "Why?", "don't", "é", "日本。", "1347", "-"]),
    min_size=1,
    max_size=30,
).map(" ".join)
BLOCKS = st.one_of(
    st.builds(lambda level, title: f"{'#' * level} {title}", st.integers(1, 4), TITLES),
    TITLES.map(lambda title: f"{title}\n====="),
    WORDS,
    st.lists(WORDS, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {i}" for i in items)),
    st.lists(WORDS, min_size=1, max_size=4).map(lambda rows: "\n".join(f"| {r} |" for r in rows)),
    WORDS.map(lambda words: f"```\n# {words}\n\n{words}\n```"),
    st.sampled_from(["```", "---", "   ", "\t", "x" * 90, "\u2003\n"]),
)
DOCUMENTS = st.lists(
    st.tuples(BLOCKS, st.sampled_from(["\n", "\n\n", "\n \n"])).map("".join), max_size=12
).map("".join)


def plain(line: str) -> str:
    return re.sub(r"[#*]", "", line).strip()


def check_spans(text: str, chunks: Sequence[Chunk], max_tokens: int) -> list[bool]:
    """Check each chunk and their order; return which characters they cover."""
    covered = [False] * len(text)
    last = 0
    for index, piece in enumerate(chunks):
        assert piece.index == index
        assert text[piece.start : piece.end] == piece.text
        assert piece.text == piece.text.strip() != ""
        assert piece.start >= last
        assert piece.tokens == len(encode_bytes(piece.text)) <= max_tokens
        covered[piece.start : piece.end] = [True] * len(piece.text)
        last = piece.end
    return covered


@settings(deadline=None, max_examples=150)
@given(DOCUMENTS, st.integers(8, 120), st.integers(0, 7))
def test_spans_are_exact_and_nothing_is_lost_but_headings(
    text: str, max_tokens: int, min_tokens: int
) -> None:
    document = Document("u.md", "T", text)
    chunks = chunk_document(document, encode_bytes, max_tokens, min_tokens)
    covered = check_spans(text, chunks, max_tokens)
    known = {plain(heading) for piece in chunks for heading in piece.headings} | {"T"}
    start = 0
    for line in text.split("\n"):
        uncovered = [char for char, seen in zip(line, covered[start:], strict=False) if not seen]
        start += len(line) + 1
        lost = "".join(uncovered).strip()
        if lost and set(lost) not in ({"="}, {"-"}):  # these underline headings
            assert plain(lost) in known
            assert lost == line.strip()


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet=st.characters(exclude_characters="#=-", codec="utf-8"), max_size=200))
def test_any_text_without_headings_is_covered_whole(text: str) -> None:
    chunks = chunk_document(Document("u", "T", text), encode_bytes, 16, 4)
    covered = check_spans(text, chunks, 16)
    assert all(seen or char.isspace() for char, seen in zip(text, covered, strict=True))


@settings(deadline=None, max_examples=150)
@given(st.one_of(DOCUMENTS, st.text(max_size=200)))
def test_sentence_spans_cover_every_text(text: str) -> None:
    spans = split_sentences(text)
    ends = [0, *(end for _, end in spans)]
    for (start, end), before in zip(spans, ends, strict=False):
        assert before <= start < end
        assert not text[before:start].strip()
        assert text[start:end].strip() == text[start:end]
    assert not text[ends[-1] :].strip()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("Mr. J. R. Smith met Dr. Ada.", ["Mr. J. R. Smith met Dr. Ada."]),
        ("It costs 3.50 crowns, e.g. daily. See No. 5.",
         ["It costs 3.50 crowns, e.g. daily.", "See No. 5."]),
        ("No. I won't. Go.", ["No.", "I won't.", "Go."]),
        ("At 5 p.m. The office closes.", ["At 5 p.m.", "The office closes."]),
        ("In the U.S. Army. So do I. Good.", ["In the U.S. Army.", "So do I.", "Good."]),
        ("On Jan. 5 we met. Bring May. She knows.",
         ["On Jan. 5 we met.", "Bring May.", "She knows."]),
        ('"Why?" he asked. She said "No." Then left...  Gone.',
         ['"Why?" he asked.', 'She said "No."', "Then left...", "Gone."]),
        ("A line that is\nwrapped. Next\none.", ["A line that is\nwrapped.", "Next\none."]),
        ("Steps:\n1. Open it. Wait.\n2. Close it.\n- Rest",
         ["Steps:", "1. Open it.", "Wait.", "2. Close it.", "- Rest"]),
        ("# Head\nText.\n\n| a. B | c |\n| d | e |",
         ["# Head", "Text.", "| a. B | c |", "| d | e |"]),
        ("Code:\n```\nA. B. C.\n\nD\n```\nEnd.", ["Code:", "```\nA. B. C.\n\nD\n```", "End."]),
        ("第一句。第二句\uff01「三\uff1f」End.",
         ["第一句。", "第二句\uff01", "「三\uff1f」", "End."]),
        ("", []),
        (" \n\t", []),
    ],
)  # fmt: skip
def test_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts

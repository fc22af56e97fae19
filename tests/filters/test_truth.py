import pytest

from domainforge.filters.checks import check_rows
from domainforge.filters.rows import FilterConfig
from tests.filters.passages import find_reason, make_row

QUESTION = "Who designed the bridge of nine arches?"
ANSWER = "The engineer Ilse Varga"


@pytest.mark.parametrize(
    "quote",
    [
        "The engineer Ilse Varga painted the bridge",
        "The engineer Ilse Varga designed the bridge of nine stone arch",
        "finished in 1,347 ... The engineer Ilse Varga",
        "",
        "...",
    ],
)
def test_quote_missing(quote: str) -> None:
    assert find_reason(make_row(QUESTION, ANSWER, quote=quote)) == "quote_missing"


@pytest.mark.parametrize(
    "quote",
    [
        "The engineer Ilse Varga designed the bridge of nine stone arches",
        "\u201cthe Engineer  ilse varga\ndesigned the bridge\u201d.",
        "**The engineer Ilse Varga** designed the bridge, of nine stone arches!",
        "The engineer Ilse Varga designed the bridge ... finished in 1,347",
    ],
)
def test_quotes_may_differ_in_case_punctuation_and_typography(quote: str) -> None:
    assert find_reason(make_row(QUESTION, ANSWER, quote=quote)) is None


def test_rows_of_tasks_without_a_quote_are_not_asked_for_one() -> None:
    assert find_reason(make_row(QUESTION, ANSWER, quote=None)) is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who designed the bridge?", "The mason Tove Lind"),
        ("When was the bridge finished?", "In 1348"),
        ("How many landings has the ferry?", "Eight landings"),
        ("What did the bridge cost?", "42 crowns"),
        ("What does the Rest serve?", "Smoked eel with 12 potatoes"),
        ("Who designed the bridge?", "She"),
    ],
)
def test_unsupported(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) == "unsupported"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("When was the bridge finished?", "In the year 1347"),
        ("How many landings has the ferry?", "7 landings"),
        ("What did the bridge cost?", "It cost 42,000 crowns."),
        ("What does the ferry cost?", "2.5 crowns"),
        ("Does the bridge have nine arches?", "Yes."),
        ("Where does Veltren lie?", "On the Osk's east banks"),
    ],
)
def test_supported_in_other_words(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) is None


def test_a_quote_must_carry_the_answer_itself() -> None:
    quote = "Veltren lies on the east bank of the river Osk"
    assert find_reason(make_row(QUESTION, ANSWER, quote=quote)) == "unsupported"


def test_an_answer_about_one_sentence_must_be_in_that_sentence() -> None:
    seen = "Veltren lies on the east bank of the river Osk."
    assert find_reason(make_row(QUESTION, ANSWER, asked_about=seen)) == "unsupported"


def test_what_the_question_said_is_no_claim_of_the_answer() -> None:
    row = make_row(
        "How many stone arches has the famous old bridge at Veltren?",
        "The famous old bridge at Veltren has nine stone arches and a copper dragon.",
    )
    # copper and dragon are new and missing, nine is new and there.
    assert row.support is not None
    assert row.support.share == pytest.approx(1 / 3)
    assert find_reason(row) == "unsupported"


def test_question_unrelated() -> None:
    off = make_row("Why do volcanoes erupt under the ocean?", ANSWER)
    assert find_reason(off) == "question_unrelated"
    assert find_reason(off, min_question_related_share=0) is None
    empty = make_row("What is it about?", ANSWER)
    assert find_reason(empty) == "question_unrelated"


def test_words_of_title_and_headings_are_related() -> None:
    row = make_row("What does the harbour almanac say of eel?", "Smoked eel every Thursday")
    assert find_reason(row, min_question_related_share=0.6) == "question_unrelated"
    titled = make_row(row.question, row.answer, context="Harbour almanac")
    assert find_reason(titled, min_question_related_share=0.6) is None


def test_min_support_share_is_read() -> None:
    row = make_row(QUESTION, "The engineer Ilse Varga in winter")
    assert find_reason(row, min_support_share=0.75) is None
    assert find_reason(row, min_support_share=0.76) == "unsupported"


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("Who designed the bridge?", "The engineer Ilse Varga with Tove", "name"),
        ("Who designed the bridge?", "The engineer Ilse Merchants", "name"),
        ("Where does Veltren lie?", "On the east bank of the river Osk in Paris", "name"),
        (
            "What does a landing cost?",
            "The ferry costs 2.50 dollars for each of the landings",
            "2.5 dollar",
        ),
    ],
)
def test_what_the_passage_has_not_is_named(question: str, answer: str, found: str) -> None:
    finding = check_rows([make_row(question, answer)], FilterConfig())[0]
    assert finding is not None
    assert finding.reason == "unsupported"
    assert found in finding.evidence


def test_require_names_is_read() -> None:
    row = make_row("Who designed the bridge?", "The engineer Ilse Varga with Tove")
    assert find_reason(row) == "unsupported"
    assert find_reason(row, require_names=False) is None


def test_min_similarity_is_read() -> None:
    row = make_row("What does the Rest serve?", "Thursday smoked eel")
    assert find_reason(row) is None
    assert find_reason(row, min_similarity=0.5) is None
    assert find_reason(row, min_similarity=1) == "unsupported"


def test_a_reason_or_a_deed_may_be_told_in_other_words() -> None:
    asked = "Why is the Rest at Veltren known for its eel?"
    assert find_reason(make_row(asked, "Cooks adore it.")) is None
    assert find_reason(make_row(asked, "Cooks adore it."), max_own_words=1) == "unsupported"
    assert find_reason(make_row(asked, "Cooks adore spicy chowder there.")) == "unsupported"
    # What a thing is called, they take over; and a quote must carry it.
    assert find_reason(make_row("What does the Rest serve at Veltren?", "Chowder")) == "unsupported"
    quote = "The Salt Merchants' Rest serves smoked eel every Thursday"
    assert find_reason(make_row(asked, "Cooks adore it.", quote=quote)) == "unsupported"


def test_words_that_begin_alike_are_kin() -> None:
    row = make_row("What is Ilse Varga's profession?", "Engineering and designs")
    assert find_reason(row) is None
    assert find_reason(make_row(row.question, "Drawing and mills")) == "unsupported"


def test_evidence_names_what_is_missing() -> None:
    finding = check_rows([make_row(QUESTION, "The mason Tove Lind")], FilterConfig())[0]
    assert finding is not None
    assert finding.evidence == "support 0.00 < 0.60; not in the passage: mason, tove, lind"

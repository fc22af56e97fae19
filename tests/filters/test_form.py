import pytest

from domainforge.filters.checks import check_rows
from domainforge.filters.rows import FilterConfig
from tests.filters.passages import VELTREN, find_reason, make_row, make_text

GOOD = ("Who designed the bridge of nine arches?", "The engineer Ilse Varga designed it.")


def test_a_good_row_is_kept() -> None:
    assert find_reason(make_row(*GOOD)) is None


@pytest.mark.parametrize(
    ("question", "answer"), [("", GOOD[1]), (GOOD[0], ""), (GOOD[0], " ... ?! "), (" - ", GOOD[1])]
)
def test_empty(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) == "empty"


def test_a_number_alone_is_not_empty() -> None:
    assert find_reason(make_row("When was the stone bridge finished?", "1347")) is None


def test_empty_text_rows() -> None:
    assert find_reason(make_text("***")) == "empty"


def test_too_short() -> None:
    assert find_reason(make_row("Who designed?", GOOD[1])) == "too_short"
    assert find_reason(make_row("Who designed bridges?", "Ilse Varga, the engineer")) is None
    assert find_reason(make_row(GOOD[0], "Ilse Varga"), min_answer_words=3) == "too_short"
    assert find_reason(make_row(GOOD[0], "Engineer Ilse Varga"), min_answer_words=3) is None
    assert find_reason(make_row(*GOOD), min_question_words=8) == "too_short"
    assert find_reason(make_text("Veltren on Osk")) == "too_short"
    assert find_reason(make_text("Veltren on Osk"), min_text_words=3) is None


def test_too_long() -> None:
    assert find_reason(make_row(*GOOD), max_question_words=6) == "too_long"
    assert find_reason(make_row(*GOOD), max_question_words=7) is None
    assert find_reason(make_row(*GOOD), max_answer_words=5) == "too_long"
    assert find_reason(make_row(*GOOD), max_answer_words=6) is None


def test_text_rows_may_be_as_long_as_they_are() -> None:
    assert find_reason(make_text(VELTREN), max_answer_words=5) is None


def test_repetition_of_a_word() -> None:
    stuck = make_row("When was the Salt Merchants' Rest Rest Rest founded?", "In 1347.")
    assert find_reason(stuck) == "repetition"
    assert find_reason(stuck, max_word_run=3) != "repetition"
    twice = make_row("Is it true that Veltren had had nine arches?", "Yes, the bridge has nine.")
    assert find_reason(twice) is None


def test_repetition_of_sequences() -> None:
    loop = "the ferry costs 2.50 crowns and " * 4
    row = make_row("What does the ferry cost?", loop)
    assert find_reason(row) == "repetition"
    assert find_reason(row, max_repeated_ngram_share=1, skip=("unfinished",)) is None
    assert find_reason(make_text(loop)) == "repetition"
    assert find_reason(make_text(VELTREN)) is None


def test_repetition_of_lines() -> None:
    row = make_row("What does the Rest serve?", "Smoked eel\nSmoked eel\nEel")
    assert find_reason(row) == "repetition"
    assert find_reason(row, max_repeated_line_share=0.4) is None
    assert find_reason(make_row("What does the Rest serve?", "Smoked eel\nEel")) is None


def test_not_a_question() -> None:
    statement = make_row("Ilse Varga and the bridge.", "She is the engineer of nine arches.")
    assert find_reason(statement) == "not_a_question"
    late = make_row("Ilse Varga designed the bridge of how many arches", "nine")
    assert find_reason(late) is None
    assert find_reason(statement, require_question=False) is None


@pytest.mark.parametrize(
    "question",
    [
        "Explain who designed the bridge.",
        "In which river town stands the bridge of stone?",
        "Wer hat die bridge designed",
        "¿Quién designed the bridge?",
    ],
)
def test_requests_and_other_languages_are_questions(question: str) -> None:
    row = make_row(question, "The engineer Ilse Varga of Veltren")
    assert find_reason(row) is None


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who designed the bridge?", "Who designed the bridge"),
        ("Veltren lies on the east bank of the river Osk?", "It lies by the ferry."),
        ("What is the bridge of nine stone arches?", "The bridge of nine stone arches."),
        ("What did Ilse Varga design for the bridge?", "Ilse Varga designed the bridge."),
    ],
)
def test_question_is_answer(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) == "question_is_answer"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the bridge or the ferry of stone?", "The bridge"),
        ("Did Ilse Varga design the bridge?", "Yes, Ilse Varga designed the bridge."),
        ("Which was finished in 1347?", "The bridge was finished in 1347."),
    ],
)
def test_choices_and_new_words_are_answers(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) is None


def test_questions_that_the_passage_itself_asks_are_no_copies() -> None:
    faq = "Lost the key of your locker? The harbour master keeps spare keys in the tower."
    row = make_row("Lost the key of your locker?", "The harbour master has spares.", passage=faq)
    assert find_reason(row) != "question_is_answer"
    clause = make_row(
        "Who had seven sons and a mill?",
        "a farmer",
        passage="There lived a farmer who had seven sons and a mill.",
    )
    assert find_reason(clause) is None


def test_evidence_says_what_was_seen() -> None:
    finding = check_rows([make_row(*GOOD)], FilterConfig(max_answer_words=2))[0]
    assert finding is not None
    assert finding.evidence == "answer of 6 words, at most 2 wanted"

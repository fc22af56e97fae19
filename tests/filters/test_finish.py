# ruff: noqa: RUF001 (punctuation of other scripts)
import pytest

from tests.filters.passages import VELTREN_IN_GERMAN, find_reason, make_row, make_text

ONLY_ENDINGS = ("repetition", "not_prose", "wrong_language", "template_leftover", "markup")
QUESTION = "Who designed the bridge of nine arches?"


@pytest.mark.parametrize(
    "answer",
    [
        "The engineer Ilse Varga designed the",
        "The bridge of nine arches and",
        "The bridge, which was finished in 1,347,",
        "The engineer designed the following:",
        "The bridge of stone (nine arches,",
        "The engineer Ilse Varga designed the bridge. It was finished in 1,347 and cost forty-two "
        "thousand",
        "# The bridge\n\nIlse Varga designed it.\n\n## The ferry",
    ],
)
def test_unfinished(answer: str) -> None:
    assert find_reason(make_row(QUESTION, answer)) == "unfinished"
    assert find_reason(make_row(QUESTION, answer), min_finished_words=None) != "unfinished"


@pytest.mark.parametrize(
    "answer",
    [
        "the engineer Ilse Varga of Veltren on the river Osk, who designed the bridge",
        "The engineer Ilse Varga designed it. The bridge cost 42,000 crowns in 1,347",
        "Ilse Varga designed the bridge. It was finished in 1,347. \u201cNine arches!\u201d",
        "Ilse Varga designed the bridge of stone. She wrote of nine arches. Best regards, Ilse",
        "Ilse Varga designed these for Veltren on the river Osk. All are of stone:\n"
        "- the bridge\n- the nine arches",
        "| designed | by |\n|---|---|\n| the bridge of nine stone arches | Ilse Varga |",
        "The bridge of nine arches stands,\nThe ferry costs two crowns,\nThe engineer of Veltren,",
        "The engineer designed the bridge. It is described at https://veltren.example/bridge/nine",
        "Vitamin A and vitamin DES",
    ],
)
def test_finished(answer: str) -> None:
    assert find_reason(make_row(QUESTION, answer)) != "unfinished"


def test_how_long_an_answer_must_be_to_need_an_end() -> None:
    row = make_row(QUESTION, "Ilse Varga did. She designed the bridge of stone")
    assert find_reason(row) is None
    assert find_reason(row, min_finished_words=9) == "unfinished"


def test_a_line_of_notes_costs_no_time() -> None:
    assert find_reason(make_text("[1]" * 100_000), skip=ONLY_ENDINGS) is None


def test_other_languages() -> None:
    broken = "Die Ingenieurin Ilse Varga entwarf die Brücke und"
    row = make_text(broken, passage=VELTREN_IN_GERMAN)
    assert find_reason(row) == "unfinished"
    # "des" is open in German; in a text in English it is a name.
    text = make_text("The bridge of nine arches is called des")
    assert find_reason(text) != "unfinished"
    thai = "สะพานมีเก้าโค้ง อิลเซ วาร์กา เป็นผู้ออกแบบสะพานนี้"
    assert find_reason(make_text(thai, passage=thai)) is None
    chinese = "这座桥有九个拱。它由伊尔莎设计。桥在一三四七年建成。"
    assert find_reason(make_text(chinese, passage=chinese)) is None
    assert find_reason(make_text(chinese + "费用是四万二千", passage=chinese)) == "unfinished"
    assert find_reason(make_text("桥有九个拱，", passage=chinese)) == "unfinished"

# ruff: noqa: RUF001
"""How answers are held against a text: names, dates, units, numbers in other words."""

import time

import pytest

from domainforge.filters.support import Support, measure_similarity, measure_support

TEXT = (
    "Dr. Ilse Maria Varga (born 3 May 1290) founded the Osk Ferry Company, the OFC, in Veltren, "
    "Canada.The ferry is 12 km long and was the third of its kind; Louis XIV saw it in 1685. "
    "Between 4 and 9 June it carries 500 kg of salt. The University of Lund awarded her a prize. "
    "She was astonished. It is 30 °C, as NASA says and the Royal Society of Salt."
)


def measured(answer: str, asked: str = "What is told?", text: str = TEXT) -> Support:
    support = measure_support(answer, asked, text, text)
    assert support is not None
    return support


def at_fault(answer: str, asked: str = "What is told?", text: str = TEXT) -> list[str]:
    """Return the numbers, names and facts that the text doesn't have."""
    support = measured(answer, asked, text)
    return [*support.numbers, *support.names, *support.facts]


@pytest.mark.parametrize(
    "answer",
    [
        "Ilse Varga",
        "Dr. Varga",
        "Professor Ilse M. Varga",
        "Varga, Ilse",
        "the Canadian ferry",
        "The Osk Ferry Company (OFC)",
        "Engineer Ilse Varga founded the OFC.",
        "Lund University",
        "Louis the 14th",
        "in the 17th century",
        "in the 1680s",
        "on May 3, 1290",
        "on 1290-05-03",
        "between June 4 and 9",
        "twelve kilometres",
        "12 kilometers, the 3rd one",
        "500 kilograms of salt",
        "30 degrees Celsius",
        "the National Aeronautics and Space Administration",
        "It was the RSS",
    ],
)
def test_the_same_in_other_words(answer: str) -> None:
    assert at_fault(answer) == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("It was Ilse Lind", "Ilse Lind"),
        ("It was Inge Vang", "Inge Vang"),
        ("It was Maria Veltren", "Maria Veltren"),
        ("the Osk Mill Company", "Osk Mill Company"),
        ("the Australian ferry", "Australian"),
        ("It was Louis the 13th", "13"),
        ("in the 15th century", "15"),
        ("in the 1690s", "1690"),
        ("on 9 May 1290", "9.5."),
        ("on 1290-05-13", "13"),
        ("12 miles", "12 mil"),
        ("30 degrees Fahrenheit", "Fahrenheit"),
        ("the National Aeroplane Institute", "National Aeroplane Institute"),
        ("It was the RSX", "RSX"),
        ("500 tonnes of salt", "500 ton"),
    ],
)
def test_what_is_not_there(answer: str, fault: str) -> None:
    assert fault in at_fault(answer)


def test_a_code_of_letters_and_digits_is_one_name() -> None:
    text = f"{TEXT} She drove the ferry WH40K of the line and the pump MX450II."
    for code in ("WH40K", "MX450II"):
        assert at_fault(f"It was the {code}.", text=text) == []
    assert at_fault("It was the WH40KX.", text=text) == ["WH40KX"]


def test_a_name_of_the_question_is_no_claim() -> None:
    assert at_fault("It was Tove Lind", "Was it Tove Lind or Ilse Varga?") == []
    assert at_fault("It was Tove Lind", "Who was it?") == ["Tove Lind"]


def test_a_word_with_a_capital_for_its_place_is_no_name() -> None:
    assert at_fault("Probably Ilse Varga. Certainly the ferry.") == []
    assert at_fault("She founded the OFC. Please ask Dr. Varga.") == []
    assert at_fault("That Someone saw the ferry") == []
    assert at_fault("It was Probably Ilse Varga.") == ["Probably Ilse Varga"]


def test_german_nouns_are_no_names() -> None:
    german = (
        "Die Stadt liegt am Ufer des Flusses, und die Brücke ist mit dem Turm verbunden. Der Turm "
        "ist von einem Meister und seinen Gesellen gebaut, die aus dem Norden kamen."
    )
    assert at_fault("Es liegt am Ufer des Flusses und am Wasser", text=german) == []
    assert at_fault("It lies by the River", text=TEXT) == ["River"]


def test_words_of_one_kin_count_and_others_do_not() -> None:
    assert measured("astonishment").share == 1
    assert measured("astrology").share == 0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "Город стоит на берегу. Мост построила инженер Ильзе Варга.",
            "Мост построен Ильзой Варгой",
        ),
        ("Kaupunki on joen rannalla, ja sen sillan suunnitteli Ilse Varga.", "Se on Vargan silta"),
    ],
)
def test_names_that_take_endings_are_not_held_to_their_letters(text: str, answer: str) -> None:
    assert at_fault(answer, text=text) == []


def test_similarity_sees_the_order_of_words() -> None:
    asked = "Who founded it?"
    assert measure_similarity("The Osk Ferry Company", asked, TEXT) == 1
    turned = measure_similarity("Company Ferry Osk", asked, TEXT)
    assert turned is not None
    assert 0.5 < turned < 1
    assert measure_similarity("A mill", asked, TEXT) == 0
    assert measure_similarity("Yes.", asked, TEXT) is None


@pytest.mark.parametrize("piece", ["Ilse Varga ", "A. ", "3 May ", "12 km ", "\u0130\u00df", "II "])
def test_much_of_anything_takes_little_time(piece: str) -> None:
    text = piece * 2000
    started = time.process_time()
    measure_support(text, "What?", text, text)
    measure_support(f"{text}Lind of Osk", "What?", text, text)
    assert time.process_time() - started < 5

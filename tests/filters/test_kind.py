import pytest

from tests.filters.passages import find_reason, make_row


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many arches has the bridge?", "The engineer designed stone arches."),
        ("When was the stone bridge finished?", "The engineer designed it of stone."),
        ("In which year was the bridge finished?", "The engineer Varga."),
        ("Who designed the bridge of stone?", "Nine."),
        ("Where does Veltren lie on the Osk?", "1,347"),
    ],
)
def test_an_answer_of_another_kind(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) == "wrong_kind"
    assert find_reason(make_row(question, answer), skip=("wrong_kind",)) != "wrong_kind"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many arches has the bridge?", "Nine stone arches."),
        ("How many landings has the ferry?", "Several landings."),
        ("When was the stone bridge finished?", "In 1,347."),
        ("When does the Rest serve smoked eel?", "Every Thursday."),
        ("Who designed the bridge?", "Ilse Varga, in 1,347."),
        ("What did the stone bridge cost?", "Forty-two thousand crowns."),
        ("When engineers design the stone bridge, what do they need?", "Arches of stone."),
        ("When was the stone bridge finished?", "At the end of the Osk war."),
        ("How many of the landings are of stone?", "The majority of the landings."),
    ],
)
def test_an_answer_of_the_kind_that_is_asked_for(question: str, answer: str) -> None:
    assert find_reason(make_row(question, answer)) != "wrong_kind"

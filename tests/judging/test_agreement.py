import pytest

from domainforge.judging.agreement import agree

MILL = "Who built the mill at Harrow Bend?"


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        (MILL, "The mill at Harrow Bend was built by Anselm Rook.", "Anselm Rook"),
        ("How many litres does it burn?", "Twelve litres.", "It burns 12 litres in a night"),
        ("Is the funnel red?", "Yes.", "Yes, it is red."),
        ("Which is older, the mill or the weir?", "The mill.", "the mill"),
        ("Wo steht die Mühle?", "Am Fluss bei Harrow Bend", "Bei Harrow Bend am Fluss."),
        ("钟在哪里?", "在教堂", "教堂"),
    ],
)
def test_answers_that_say_the_same_agree(question: str, first: str, second: str) -> None:
    assert agree(question, first, second) >= 0.5
    assert agree(question, second, first) == agree(question, first, second)


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        # The question's words in both don't count.
        (MILL, "The mill at Harrow Bend was built by Rook.", "The mill was built by Edda Crane."),
        ("When was it built?", "In May 1742.", "In May 1743."),
        ("Is the funnel red?", "Yes, the funnel is red.", "No, the funnel is red and white."),
        ("Who rings the bell?", "The keeper.", "not said"),
        ("Who rings the bell?", "The keeper.", ""),
        ("Who rings the bell?", "Nobody knows.", "I don't know."),
        ("Which is older, the mill or the weir?", "The mill.", "The weir."),
    ],
)
def test_answers_that_differ_do_not(question: str, first: str, second: str) -> None:
    assert agree(question, first, second) < 0.5

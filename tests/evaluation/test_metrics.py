import pytest

from domainforge.evaluation.metrics import exact_match, normalise_answer, token_f1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Eiffel Tower.", "eiffel tower"),
        ("  an   owl,\ta cat ", "owl cat"),
        ("Anna's theatre", "annas theatre"),
        ("1,347 crowns!", "1347 crowns"),
        ("the", ""),
    ],
)
def test_normalising_as_squad_does(text: str, plain: str) -> None:
    assert normalise_answer(text) == plain


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        ("the Denver Broncos", ["Denver Broncos"], 1, 1),
        ("Denver", ["Denver Broncos"], 0, 2 / 3),
        ("Ilse Varga designed it", ["Varga", "Ilse Varga"], 0, 2 / 3),
        ("varga", ["Ilse Varga", "Varga"], 1, 1),
        ("harbour", ["lighthouse"], 0, 0),
        ("", ["lighthouse"], 0, 0),
        ("the", ["a"], 1, 1),
        ("bell bell bell", ["bell"], 0, 0.5),
        ("in the year 1871", ["12 September 1871"], 0, 1 / 3),
    ],
)
def test_exact_match_and_f1(answer: str, golds: list[str], exact: float, f1: float) -> None:
    assert exact_match(answer, golds) == exact
    assert token_f1(answer, golds) == pytest.approx(f1)

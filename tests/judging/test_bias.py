from random import Random

import pytest

from domainforge.calibrate import describe_calibration
from domainforge.judging.bias import Bias
from domainforge.judging.calibration import Labelled, calibrate
from domainforge.judging.verdicts import Verdict


def bias_of(pairs: list[tuple[float, int]]) -> Bias:
    bias = Bias()
    for score, chars in pairs:
        bias.take(Verdict({"judge": score}), chars)
    return bias


def test_the_correlation_with_length_is_spearmans() -> None:
    from scipy.stats import spearmanr

    random = Random(5)
    pairs = [(float(random.randint(1, 5)), random.randint(1, 40)) for _ in range(60)]
    found = bias_of(pairs).figures()
    expected = spearmanr(*zip(*pairs, strict=True)).statistic
    assert found["length_correlation"] == pytest.approx(expected, abs=1e-3)
    assert (found["judged"], found["mean_score"]) == (60, pytest.approx(3, abs=0.5))


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(1 + n % 5, 10 * (n % 5)) for n in range(30)], "go with the length of answers"),
        ([(4, n) for n in range(30)], "gave all 30 rows the same score"),
        ([(5 - n % 5, 10 * (n % 5)) for n in range(30)], None),
        ([(1 + n % 5, 10 * (n % 5)) for n in range(29)], None),
        ([], None),
    ],
)
def test_what_is_told_of_it(pairs: list[tuple[float, int]], said: str | None) -> None:
    notes = bias_of(pairs).notes()
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


def test_a_judge_that_goes_by_the_place_is_told() -> None:
    bias = Bias()
    for number in range(10):
        by_position = number < 4
        bias.take(Verdict({"judge_pair": 0.5 if by_position else 1.0}, by_position=by_position), 9)
    assert bias.figures() == {"pairs": 10, "pairs_by_position": 4, "pairs_for_chosen": 6}
    (note,) = bias.notes()
    assert "of 10 pairs the judge named the same place in both orders in 4 (40%)" in note


def test_a_calibration_that_helps_says_what_to_set() -> None:
    rows = [Labelled(f"{n}", n % 3 > 0, 5.0 if n % 3 else 2.0, 40 + n) for n in range(30)]
    figures = {"teacher": "somebody", "pairs": 12, "pairs_by_position": 3}
    lines = "\n".join(describe_calibration(calibrate(rows, 7), figures))
    assert "30 labels, 20 good and 10 bad; judged by somebody" in lines
    assert "kappa 1.00, 95 % 1.00 to 1.00" in lines
    assert "agreement 100%; calling all rows alike would have 67%" in lines
    assert "length: among rows that you call alike, longer answers get +0.00" in lines
    assert "in 3 of 12 pairs the judge named the same place" in lines
    assert "to filter by it: --set judge.min_score=5" in lines

"""Kappa and its interval, the threshold that isn't flattered, and which rows are drawn."""

import warnings
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.errors import DataError
from domainforge.judging.calibration import Labelled, calibrate, choose_threshold, kappa_of
from domainforge.judging.sampling import draw_rows
from tests.judging.rows import make_row


def labelled(pairs: list[tuple[bool, float]], chars: int = 40) -> list[Labelled]:
    return [Labelled(f"{n:04}", good, score, chars) for n, (good, score) in enumerate(pairs)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    good, said = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both call all rows alike: not defined, 0 here
        expected = cohen_kappa_score(good, said)
    assert float(kappa_of(good, said)) == pytest.approx(0 if np.isnan(expected) else expected)


def test_a_judge_that_knows_is_found_and_its_threshold() -> None:
    random = Random(1)
    pairs = [(n % 2 == 0, random.choice([4, 5] if n % 2 == 0 else [1, 2, 3])) for n in range(40)]
    found = calibrate(labelled(pairs), seed=7)
    assert (found.threshold, found.kappa, found.fitted_kappa) == (4, 1, 1)
    assert found.usable
    assert (found.labels, found.good, found.accuracy, found.majority) == (40, 20, 1, 0.5)
    assert found.kept_share == 0.5


def test_a_judge_that_guesses_is_hardly_ever_called_usable() -> None:
    """By its own threshold it would look better than chance every time."""
    fitted, called = [], 0
    for seed in range(60):
        random = Random(seed)
        pairs = [(random.random() < 0.6, random.randint(1, 5)) for _ in range(40)]
        found = calibrate(labelled(pairs), seed)
        fitted.append(found.fitted_kappa)
        called += found.usable
    assert sum(fitted) / len(fitted) > 0.1, "what the left-out rows are for"
    assert called <= 4, "of 60; two and a half per cent is 1.5"


def test_a_judge_that_gives_everything_the_same_score_is_of_no_use() -> None:
    found = calibrate(labelled([(n < 10, 5.0) for n in range(30)]), seed=7)
    assert (found.threshold, found.kept_share, found.fitted_kappa) == (5, 1, 0)
    assert not found.usable


def test_a_love_of_length_shows_among_rows_that_are_called_alike() -> None:
    rows = [Labelled(f"{n}", n % 2 == 0, 2 + (n % 4 >= 2), 300 if n % 4 >= 2 else 20)
            for n in range(40)]  # fmt: skip
    assert calibrate(rows, 7).length_bias == pytest.approx(1)
    assert calibrate(labelled([(n % 2 == 0, 3.0) for n in range(40)]), 7).length_bias is None


@pytest.mark.parametrize("pairs", [[(True, 3.0)] * 9 + [(False, 1.0)] * 0, [(True, 3.0)] * 30])
def test_labels_that_say_nothing_are_refused(pairs: list[tuple[bool, float]]) -> None:
    with pytest.raises(DataError, match="good ones and bad ones; label some more"):
        calibrate(labelled(pairs), seed=7)


def test_of_several_thresholds_the_lowest_is_taken() -> None:
    good = np.array([True, True, False, False])
    assert choose_threshold(good, np.array([5.0, 5.0, 1.0, 1.0])) == 5
    assert choose_threshold(good, np.array([1.0, 1.0, 5.0, 5.0])) == 1, "the other way round: none"


def test_rows_are_drawn_evenly_and_by_the_seed_alone() -> None:
    rows = [
        make_row(
            id=f"{n:04}",
            scores={"judge": 5 if n < 180 else 1 + n % 4},
            reason="judged_low" if n % 3 == 0 else None,
        )
        for n in range(200)
    ]
    rows.append(make_row(id="none"))
    drawn = draw_rows(rows, 40, 7)
    assert len({row["id"] for row in drawn}) == 40
    kinds = Counter((row["scores"], row["reason"]) for row in drawn)
    assert len(kinds) == 10, "every score, kept and dropped"
    assert max(kinds.values()) <= 21, "not the 90 % that they are"
    assert draw_rows(rows[::-1], 40, 7) == drawn
    assert draw_rows(rows, 40, 8) != drawn
    assert len(draw_rows(rows, 500, 7)) == 200

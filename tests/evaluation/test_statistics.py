import numpy as np
import pytest

from domainforge.evaluation.statistics import MIN_QUESTIONS, paired_interval


def simulate(
    rng: np.random.Generator, documents: int, questions: int, between: float, mean: float
) -> tuple[list[float], list[str]]:
    luck = rng.normal(0, between, documents)
    values = [mean + luck[d] + rng.normal(0, 1) for d in range(documents) for _ in range(questions)]
    return values, [f"d{d}" for d in range(documents) for _ in range(questions)]


# Drawing questions within drawn documents counts the noise of questions twice, so the interval is
# wide where documents don't differ, and as wide as it says where they differ much.
@pytest.mark.parametrize(
    ("between", "least", "most"), [(0.0, 0.96, 1.0), (0.5, 0.93, 0.995), (1.5, 0.89, 0.97)]
)
def test_the_interval_covers_the_true_mean_about_as_often_as_it_says(
    between: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(300):
        values, names = simulate(rng, 12, 5, between, mean=0.4)
        interval = paired_interval(values, names, seed=trial, resamples=600)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 0.4 <= interval.high
    assert least <= covered / 300 <= most


def test_documents_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    values, names = simulate(rng, 8, 10, 2.0, 0.0)
    by_document = paired_interval(values, names, 7)
    # One document per question is what resampling questions alone would be.
    naive = paired_interval(values, [str(index) for index in range(len(values))], 7)
    assert by_document.mean == pytest.approx(naive.mean) == pytest.approx(np.mean(values))
    assert width(by_document) > 1.5 * width(naive)


def width(interval: object) -> float:
    return float(interval.high - interval.low)  # type: ignore[attr-defined]


def test_every_question_weighs_alike() -> None:
    values, names = [1.0] * 30 + [0.0] * 10, ["large"] * 30 + ["small"] * 10
    interval = paired_interval(values, names, 7)
    assert interval.mean == 0.75
    assert (interval.questions, interval.documents) == (40, 2)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_one_document_is_resampled_by_its_questions() -> None:
    values = list(np.random.default_rng(1).normal(1, 1, 100))
    interval = paired_interval(values, ["only"] * 100, 7)
    expected = 1.96 * float(np.std(values)) / 10
    assert interval.low == pytest.approx(interval.mean - expected, abs=0.05)
    assert interval.high == pytest.approx(interval.mean + expected, abs=0.05)


def test_equal_differences_leave_no_width() -> None:
    interval = paired_interval([0.5] * 12, list("aaabbbcccddd"), 7)
    assert (interval.low, interval.mean, interval.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("count", range(MIN_QUESTIONS))
def test_too_few_questions_give_no_interval(count: int) -> None:
    interval = paired_interval([2.0] * count, ["d"] * count, 7)
    assert (interval.low, interval.high, interval.questions) == (None, None, count)
    assert interval.mean == (2.0 if count else 0.0)


def test_the_seed_decides() -> None:
    values, names = simulate(np.random.default_rng(2), 6, 4, 1.0, 0.0)
    assert paired_interval(values, names, 7) == paired_interval(values, names, 7)
    assert paired_interval(values, names, 7) != paired_interval(values, names, 8)


def test_questions_and_documents_must_pair_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_interval([1.0] * 6, ["a"] * 5, 7)

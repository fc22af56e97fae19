import pytest

from tests.filters.passages import find_reason, make_row

QUESTION = "Who designed the bridge of nine arches?"
BETTER = "The engineer Ilse Varga"


@pytest.mark.parametrize("rejected", ["", "...", "the engineer: ILSE VARGA!"])
def test_no_contrast(rejected: str) -> None:
    assert find_reason(make_row(QUESTION, BETTER, rejected=rejected)) == "no_contrast"


@pytest.mark.parametrize(
    "rejected",
    ["The mason Tove Lind", "Ilse Varga", "I don't know.", "The engineer Ilse Varga in 12"],
)
def test_wrong_short_and_refusing_answers_are_a_contrast(rejected: str) -> None:
    assert find_reason(make_row(QUESTION, BETTER, rejected=rejected)) is None


def test_the_rejected_answer_may_not_be_the_truer_one() -> None:
    better = "The famous engineer Ilse Varga"
    rejected = "The engineer Ilse Varga, in stone, for forty-two thousand crowns"
    assert find_reason(make_row(QUESTION, better, rejected=rejected)) == "no_contrast"
    assert find_reason(make_row(QUESTION, better, rejected="The engineer Varga")) is None
    free = make_row(QUESTION, better, rejected=rejected, basis="free")
    assert find_reason(free) is None


def test_the_better_answer_is_checked_like_any() -> None:
    assert find_reason(make_row(QUESTION, "Tove Lind", rejected="Nobody")) == "unsupported"

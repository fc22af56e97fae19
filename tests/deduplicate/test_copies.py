from typing import Any

import pytest

from domainforge.deduplicate.copies import CopyFinder
from domainforge.records import GIVEN, NO_TEACHER

PASSAGE = (
    "The mill at Harrow Bend was built in 1742 by the carpenter Anselm Rook. It has two wheels, "
    "and the larger one turns only when the river Osk is high. Since 1903 it belongs to the town."
)
CHUNKS: dict[str, dict[str, Any]] = {
    "c": {"title": "The Mill", "headings": ["Origin"], "context": "", "text": PASSAGE},
    "e": {"title": "Bees", "headings": [], "context": None, "text": "Nine hives stand in rows."},
}


def row(text: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": "text", "teacher": "t", "prompt": "rephrase", "chunk_id": "c"}
    values |= {"also": None, "scores": None}
    return {**values, "text": text, **changes}


def find(text: str, most: Any = 0.9, **changes: Any) -> Any:
    return CopyFinder(CHUNKS, most).find(row(text, **changes))


def test_a_text_that_is_the_passage_again_is_found() -> None:
    found = find(f"# The Mill\n\n{PASSAGE.upper()}")
    assert (found.share, found.longest.count(" ") + 1) == (pytest.approx(0.95, abs=0.05), 37)
    sentence = find("It has two wheels, and the larger one turns only when the river Osk is high")
    assert sentence.share == 1
    assert str(sentence) == (
        "1.00 of it stands in its passage, 16 words on end: 'it has two wheels and the larger one "
        "turns only when the river osk is high'"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Anselm Rook, a carpenter, put up the mill at Harrow Bend in 1742.",
        # What an extractive summary is: a quote, and something said about it.
        'The Mill: when it runs. Half of it stands idle in dry summers. In its own words: "It has '
        'two wheels, and the larger one turns only when the river Osk is high."',
    ],
)
def test_own_words_stay(text: str) -> None:
    assert find(text) is None


def test_the_limit_is_read_and_short_texts_are_whole_or_not() -> None:
    half = "It has two wheels, and the larger one turns. Nobody has ever seen the smaller one move."
    assert find(half) is None
    assert find(half, 0.2).share == pytest.approx(0.42, abs=0.05)
    assert find("Anselm Rook") is not None
    assert find("Rook Anselm") is None
    assert find("") is None
    assert find("...", 0.0) is None


def test_only_texts_by_a_teacher_with_a_passage_are_looked_at() -> None:
    for changes in (
        {"teacher": NO_TEACHER},
        {"teacher": GIVEN},
        {"kind": "chat"},
        {"chunk_id": ""},
        {"chunk_id": "gone"},
        {"chunk_id": "e"},
        {"scores": '{"reviewed": 1.0}'},
    ):
        assert find(PASSAGE, **changes) is None
    assert find(PASSAGE, chunk_id="e", also=[{"chunk_id": "c"}]) is not None

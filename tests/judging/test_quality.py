import json
import random
from typing import Any

import pytest

from domainforge.judging.config import QualityConfig
from domainforge.judging.marks import mark_rows
from domainforge.judging.quality import (
    Learned,
    hash_lesson,
    learn_quality,
    read_lesson,
)
from domainforge.labels import Content, Label, Labels, label_row
from domainforge.records import answer_of
from tests.judging.rows import make_row

GOOD = ("Which {0} does the {1} of Harrow Bend keep?", "The {1} of Harrow Bend keeps the {0}.")
BAD = ("{0} {1}?", "It depends on several factors, such as the {0} and the {1}.")
_NOUNS = "ferry lamp bell oil tower market copper sailor bread bridge rope tide mill boat"
NOUNS = _NOUNS.split()


def make_rows(count: int, seed: int = 0, good: bool | None = None) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        question, answer = GOOD if (number % 2 == 0 if good is None else good) else BAD
        nouns = chance.sample(NOUNS, 2)
        chunk = f"c{chance.randrange(15)}"
        row = make_row(question.format(*nouns), f"{answer.format(*nouns)} {number}", chunk_id=chunk)
        rows.append({**row, "id": f"{seed}-{number}", "reason": None, "scores": '{"support":1}'})
    return rows


def labels_of(rows: list[dict[str, Any]], kept: list[bool]) -> list[Label]:
    pairs = zip(rows, kept, strict=True)
    return [label_row(row, "keep" if good else "drop", Labels()) for row, good in pairs]


def learn(labels: list[Label], least: float | None = 0.5) -> Learned:
    return learn_quality(QualityConfig(min_probability=least), Labels(labels), 0)


@pytest.fixture(scope="module")
def learned() -> Learned:
    rows = make_rows(40)
    return learn(labels_of(rows, [number % 2 == 0 for number in range(40)]))


def test_rows_like_those_that_were_dropped_go(learned: Learned) -> None:
    assert learned.scorer is not None
    assert learned.figures["quality_auc_low"] > 0.9
    assert learned.figures["quality_labels"] == 40
    assert learned.figures["quality_auc_by_length"] > 0.9
    assert "the length of the answer alone has" in learned.note
    good, bad = make_rows(5, 1, good=True), make_rows(5, 2, good=False)
    rows = mark_rows([*good, *bad], [learned.scorer])
    assert [row["reason"] for row in rows] == [None] * 5 + ["low_quality"] * 5
    assert all(0 <= json.loads(row["scores"])["quality"] <= 1 for row in rows)
    assert "< 0.50; AUC 1.00" in rows[-1]["evidence"]
    assert learned.scorer.score([]) == []


def test_a_row_that_a_person_kept_is_left_alone(learned: Learned) -> None:
    assert learned.scorer is not None
    (row,) = make_rows(1, 2, good=False)
    row["scores"] = '{"reviewed":1.0}'
    (marked,) = mark_rows([row], [learned.scorer])
    assert marked == row


def test_batches_change_nothing(learned: Learned) -> None:
    assert learned.scorer is not None
    rows = make_rows(7, 3)
    whole = learned.scorer.score(rows)
    assert whole == [mark for row in rows for mark in learned.scorer.score([row])]


def test_labels_that_a_coin_gave_neither_score_nor_drop() -> None:
    chance = random.Random(3)
    rows = make_rows(40, good=True)
    learned = learn(labels_of(rows, [chance.random() < 0.5 for _ in rows]))
    assert learned.scorer is None
    assert learned.figures["quality_auc_low"] < 0.5
    assert "can't be told from chance (AUC" in learned.note


@pytest.mark.parametrize(
    ("count", "dropped", "lack"),
    [
        (29, 14, "it needs 30 labels, and there are 29"),
        (40, 0, "it needs rows of 5 passages labelled drop, and there are 0"),
        (40, 38, "it needs rows of 5 passages labelled keep"),
    ],
)
def test_too_few_labels_are_told(count: int, dropped: int, lack: str) -> None:
    learned = learn(labels_of(make_rows(count), [at >= dropped for at in range(count)]))
    assert (learned.scorer, dict(learned.figures)) == (None, {})
    assert lack in learned.note


def test_an_edited_row_teaches_what_it_says_now() -> None:
    row = make_rows(1)[0]
    by_hand = [{**message, "content": "By hand."} for message in row["messages"]]
    edited = Content.model_validate({"messages": by_hand})
    kept = label_row(row, "keep", Labels(), edited=edited)
    dropped = label_row(row, "drop", Labels([kept]))
    remark = label_row(make_rows(2)[1], None, Labels(), comment="odd")
    assert answer_of(dict(read_lesson(Labels([kept, remark])).rows[0])) == "By hand."
    assert answer_of(dict(read_lesson(Labels([dropped])).rows[0])) == answer_of(row)
    hashes = {hash_lesson(Labels(given)) for given in ([kept], [dropped], [kept, remark])}
    assert len(hashes) == 2

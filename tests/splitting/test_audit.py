"""Every kind of leak, planted into written files, is found by the check that is there for it."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest

from domainforge.deduplicate.overlap import ExamItem
from domainforge.evaluation.exam import ExamQuestion
from domainforge.records import Chunk, Example
from domainforge.splitting.passages_as_rows import passage_rows
from domainforge.tables import example_table
from tests.stages.test_split import CHUNKS, EXAM, audit, chat, general, make_chunk, numbered, table

BENCHMARK = ExamItem("trivia:1", "Which guild of the salt hills owned the ferry of Kirren in 1347?")
QUIZ = make_chunk("a.md", f"An exercise. {BENCHMARK.question} Write two lines.")
NONE = table()
ROW = chat("a.md", "Where does Veltren lie?")
HELD = chat("c.md", "What does it cost?")
OTHERS = table(*numbered("b.md", 12))
LONG = "A ferry crosses every hour while the harbour bell rings over the water of the Osk"


def says(uri: str, question: str, answer: str, **changes: Any) -> Example:
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return chat(uri, question, messages=messages, **changes)


def passage(chunk: Chunk, side: str = "train") -> pa.Table:
    rows = passage_rows([{**vars(chunk), "id": chunk.id}])
    return rows.set_column(rows.column_names.index("side"), "side", pa.array([side]))


def twins(change: str) -> tuple[pa.Table, pa.Table]:
    """Return the same row on both sides, but for the end of what it says."""
    ours = says("a.md", "When does it cross?", LONG)
    theirs = says("c.md", "When does it cross?", LONG + change)
    return table(ours), table(theirs, side="test")


LEAKS = [
    ("sides", table(ROW, side="test"), NONE),
    ("sides", NONE, table(HELD)),
    ("general rows", NONE, table(general(1), side="test")),
    ("rows", table(ROW), table(ROW, side="test")),
    ("documents", table(ROW), table(chat("a.md", "Why?", chunk_id="x"), side="test")),
    ("chunks", table(ROW), table(chat("a.md", "Why?", document_id="x"), side="test")),
    ("clusters", table(chat("a.md", "Why?", "c")), table(chat("c.md", "So?", "c"), side="test")),
    ("texts", *twins("!")),
    ("near rows", *twins(" now.")),
    (
        "near passages",
        passage(make_chunk("a.md", LONG)),
        passage(make_chunk("c.md", LONG + "!"), "test"),
    ),
    ("exam, words in a row", table(says("a.md", "What?", f"He asked {EXAM[0].question}")), NONE),
    ("exam, words in a row", NONE, table(says("c.md", "So?", EXAM[0].question), side="test")),
    (
        "exam, asked alike",
        table(says("a.md", "Who planned the Veltren bridge of nine arches?", "Ilse Varga")),
        NONE,
    ),
    ("benchmarks, words in a row", table(says("a.md", "So?", BENCHMARK.question)), NONE),
    ("benchmarks, words in a row", passage(QUIZ), NONE),
    (
        "benchmarks, asked alike",
        table(says("a.md", "In 1347, the Kirren ferry of the salt hills: which guild?", "One.")),
        NONE,
    ),
]


def counts(
    train: pa.Table,
    test: pa.Table,
    exam: Sequence[ExamQuestion] = EXAM,
    passages: dict[str, str] | None = None,
) -> dict[str, int]:
    found = audit(train, NONE, test, exam, None, passages, [BENCHMARK], OTHERS)
    assert bool(found.findings) == bool(found.found)
    return {check.name: check.found for check in found.checks.values() if check.found}


@pytest.mark.parametrize(("check", "train", "test"), LEAKS)
def test_a_planted_leak_is_found_by_its_check(check: str, train: pa.Table, test: pa.Table) -> None:
    assert counts(train, test).get(check) == 1


def test_the_same_text_of_two_chunks_is_found() -> None:
    passages = {ROW.chunk_id: "The  ferry costs 2.50.", HELD.chunk_id: "the ferry costs 2.50"}
    assert counts(table(ROW), table(HELD, side="test"), passages=passages) == {"passages": 1}


def test_every_check_says_how_it_was_made_and_how_much_was_compared() -> None:
    train = pa.concat_tables([table(ROW), passage(CHUNKS["a.md"])])
    test = pa.concat_tables([table(HELD, side="test"), passage(CHUNKS["c.md"], "test")])
    passages = {chunk.id: chunk.text for chunk in CHUNKS.values()}
    found = audit(train, NONE, test, EXAM, None, passages, [BENCHMARK], OTHERS)
    assert (found.found, found.findings) == (0, [])
    rows = found.rows()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert {row["check"] for row in rows} >= {check for check, _, _ in LEAKS} | {"passages"}
    compared = {row["check"]: row["compared"] for row in rows}
    assert all(compared.values())
    assert (compared["sides"], compared["near rows"], compared["near passages"]) == (4, 2, 1)
    assert (compared["exam, asked alike"], compared["benchmarks, words in a row"]) == (2, 4)
    assert all(len(row["method"]) > 20 and row["found"] == 0 for row in rows)


def test_validation_is_held_against_train_and_test() -> None:
    for name, train, test in (
        ("rows", table(ROW), NONE),
        ("clusters", table(chat("a.md", "Why?", ROW.cluster)), NONE),
        ("documents", NONE, table(chat("a.md", "Why?", chunk_id="x"), side="test")),
    ):
        found = audit(train, table(ROW), test, (), dropped=OTHERS)
        assert found.checks[name].found == 1


def test_more_faults_are_counted_than_told() -> None:
    train = example_table(numbered("a.md", 60))
    found = audit(train, NONE, NONE, ())
    assert (found.checks["sides"].found, len(found.findings)) == (60, 20)

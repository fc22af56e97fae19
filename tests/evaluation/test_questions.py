from typing import Any

import pytest

from domainforge.evaluation.exam import ExamPassage, ExamQuestion
from domainforge.evaluation.questions import DISTRACTORS, prepare_items
from tests.evaluation.exams import fact, make_chunks, make_exam


def question(id: str, answer: str = "bell", **changes: Any) -> ExamQuestion:
    return ExamQuestion(
        **{
            "id": id,
            "question": f"What of {id}?",
            "answers": (answer,),
            "answer_kind": "thing",
            **changes,
        }
    )


def chunk(id: str, uri: str, text: str) -> dict[str, Any]:
    return {"id": id, "uri": uri, "text": text}


def test_passages_sides_and_slices() -> None:
    chunks = [
        chunk("c1", "a.md", "The bell is bronze.\nThe keeper rings  it."),
        chunk("c2", "b.md", "The lamp burns oil."),
        chunk("c3", "b.md", "The ferry is late."),
    ]
    exam = [
        question("one", passages=["the KEEPER rings it."]),
        question("two", passages=["The bell is bronze.", "The lamp burns oil."]),
        question("held", passages=["The ferry is late."]),
        question("half", passages=["The bell is bronze.", "The ferry is late."]),
        question("lost", passages=["Nobody wrote this."]),
        question("bare"),
    ]
    items = prepare_items(exam, chunks, {"c1": "train", "c2": "train", "c3": "test"})
    assert [item.slice for item in items] == [
        "one_passage",
        "two_passages",
        "held_out",
        "held_out",
        "one_passage",
        "one_passage",
    ]
    assert [item.document for item in items] == ["a.md", "a.md", "b.md", "a.md", "", ""]
    assert items[0].passage == chunks[0]["text"]
    assert items[1].passage == f"{chunks[0]['text']}\n\n{chunks[1]['text']}"
    assert items[4].passage is items[5].passage is None


@pytest.mark.parametrize(
    ("named", "uri"),
    [
        ("handbook/01-overview.md", "data/handbook/01-overview.md"),
        ("data/handbook/01-overview.md", "01-overview.md"),
        ("story-7", "stories.jsonl#story-7"),
        ("a.md", "a.md"),
    ],
)
def test_a_document_named_otherwise_in_the_exam(named: str, uri: str) -> None:
    chunks = [
        chunk("c0", "other.md", "The bell rings."),
        chunk("c1", uri, "The bell rings."),
        chunk("c2", uri, "The lamp burns."),
    ]
    exam = [
        question("a", passages=[ExamPassage(quote="The bell rings.", document=named)]),
        question("b", answer="lamp", document=named),
    ]
    first, second = prepare_items(exam, chunks, {"c1": "test"})
    assert (first.document, second.document) == (uri, uri)
    assert first.slice == "held_out"
    # Without a quote, the chunk of the document that has the answer.
    assert second.passage == "The lamp burns."


@pytest.mark.parametrize("named", ["1.md", "elsewhere/handbook.md", "#1"])
def test_a_document_of_another_name_is_not_taken_for_it(named: str) -> None:
    chunks = [chunk("c1", "handbook/01.md", "The bell rings.")]
    (item,) = prepare_items([question("a", document=named)], chunks, {})
    assert (item.document, item.passage) == (named, None)


def test_wrong_answers_are_of_the_same_kind_and_document_first() -> None:
    exam = [
        question("q", "bell", answers=("bell", "the old bell"), document="a.md"),
        question("same1", "lamp", document="a.md"),
        question("same2", "rope", document="a.md"),
        question("accepted", "The Old Bell!", document="a.md"),
        question("twice", "Lamp", document="b.md"),
        *(question(f"other{i}", f"boat {i}", document="b.md") for i in range(9)),
        question("kind", "1871", answer_kind="date", document="a.md"),
    ]
    chunks = [chunk("a", "a.md", "x"), chunk("b", "b.md", "y")]
    distractors = prepare_items(exam, chunks, {})[0].distractors
    assert len(distractors) == DISTRACTORS
    assert set(distractors[:2]) == {"lamp", "rope"}
    assert all(answer.startswith("boat") for answer in distractors[2:])
    # Not the same few for every question.
    chosen = {item.distractors for item in prepare_items(exam, chunks, {})[5:14]}
    assert len(chosen) > 1
    assert prepare_items(exam, chunks, {})[-1].distractors == ()


def test_wrong_answers_do_not_depend_on_the_order_of_the_exam() -> None:
    exam = make_exam(12)
    chunks = make_chunks(12)
    one = {item.question.id: item.distractors for item in prepare_items(exam, chunks, {})}
    two = {item.question.id: item.distractors for item in prepare_items(exam[::-1], chunks, {})}
    assert one == two
    assert all(fact(int(id[1:])) not in wrong for id, wrong in one.items())

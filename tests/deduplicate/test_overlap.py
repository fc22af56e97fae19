from domainforge.deduplicate.overlap import ExamIndex

EXAM = [
    ("e1", "Who designed the bridge of nine stone arches over the river Osk?"),
    ("e2", "What does the ferry cost?"),
]


def test_a_shared_run_of_words_is_a_match() -> None:
    text = "Say it.\nThe bridge, of nine stone arches over the Osk: who built it?"
    found = ExamIndex(EXAM, 7, 0.7).find("Say it.", text)
    assert found is not None
    assert found.exam_id == "e1"
    assert str(found) == (
        "exam question e1: 7 words in a row: 'the bridge of nine stone arches over'"
    )
    assert ExamIndex(EXAM, 9, 0.7).find("Say it.", text) is None


def test_alike_questions_are_a_match_in_any_order() -> None:
    found = ExamIndex(EXAM, 8, 0.7).find("The ferry: what does it cost?", "")
    assert found is not None
    assert (found.exam_id, found.rule) == ("e2", "words alike, jaccard 0.83")
    assert ExamIndex(EXAM, 8, 0.9).find("The ferry: what does it cost?", "") is None


def test_other_questions_on_the_same_thing_are_no_match() -> None:
    index = ExamIndex(EXAM, 8, 0.7)
    question = "How many landings does the ferry over the river Osk have?"
    assert index.find(question, f"{question}\nSeven landings") is None


def test_without_an_exam_nothing_matches() -> None:
    assert ExamIndex([], 8, 0.7).find("What does the ferry cost?", "What does it cost?") is None
    assert ExamIndex(EXAM, 8, 0.7).find("", "") is None


def test_to_name_a_document_is_no_give_away() -> None:
    title = "Finn the Giant and the Minister of Lund"
    asked = [("q1", f"In the story {title}: who built the church?")]
    said = f"Complete what {title} says: he hid behind the ____"
    assert ExamIndex(asked, 8, 0.7).find(said, said) is not None
    index = ExamIndex(asked, 8, 0.7, [title])
    assert index.find(said, said) is None
    assert index.find("", f"the minister of lund: who built the church? {title}") is not None

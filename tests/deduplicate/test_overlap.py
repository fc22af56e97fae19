from dataclasses import replace

import pytest

from domainforge.deduplicate.likeness import Asked, Frequencies, Names
from domainforge.deduplicate.overlap import (
    ALIKE,
    SEQUENCE,
    ExamIndex,
    ExamItem,
    Overlap,
    OverlapRules,
    Said,
    asked_by,
)

EXAM = [
    ExamItem("e1", "Who designed the bridge of nine stone arches over the river Osk?"),
    ExamItem("e2", "What does the ferry cost?", ("2.50 crowns",)),
    ExamItem("e3", "Why did the guild of Kirren move the salt house?", ("The river flooded it.",)),
]
RULES = OverlapRules(8, min_jaccard=0.7, min_cosine=0.95, min_answer_cosine=0.45)
# What rows of the same documents ask, so that their common words are known to be common.
OTHERS = [
    "How many landings does the ferry over the river Osk have?",
    "Who rings the bell of the harbour?",
    "What does the guild of Kirren sell?",
    "When was the salt house of Kirren built?",
    "Where does the river Osk rise?",
    "Why did the ferry stop in the winter of 1347?",
]


def find(
    question: str,
    answer: str = "",
    text: str = "",
    rules: OverlapRules = RULES,
    titles: tuple[str, ...] = (),
    exam: list[ExamItem] = EXAM,
) -> Overlap | None:
    asked = Asked(question, (answer,) if answer else ())
    frequencies = Frequencies(Names(titles))
    frequencies.count([asked, *map(asked_by, exam), *(Asked(other) for other in OTHERS)])
    index = ExamIndex(exam, rules, frequencies)
    (found,) = index.find([Said((asked,), text or f"{question}\n{answer}")])
    return found


def test_a_shared_run_of_words_is_a_match() -> None:
    text = "Say it.\nHe designed the bridge, of nine stone arches over the Osk."
    found = find("Say it.", text=text, rules=replace(RULES, ngram_words=7))
    assert found is not None
    assert (found.item.id, found.kind) == ("e1", SEQUENCE)
    assert str(found) == "e1: 7 words in a row: 'designed the bridge of nine stone arches'"
    assert find("Say it.", text=text, rules=replace(RULES, ngram_words=10)) is None


def test_alike_questions_are_a_match_in_any_order() -> None:
    strict = replace(RULES, min_cosine=1, min_answer_cosine=1)
    found = find("The ferry: what does it cost?", rules=strict)
    assert found is not None
    assert (found.item.id, found.kind) == ("e2", ALIKE)
    said = "e2: words alike, jaccard 0.83; it asks 'What does the ferry cost?'"
    assert str(found) == said
    assert find("The ferry: what does it cost?", rules=replace(strict, min_jaccard=0.9)) is None


@pytest.mark.parametrize(
    "question",
    [
        "What was the reason that the salt house was moved by the guild of Kirren?",
        "For what reason did the guild of Kirren shift the salt house?",
    ],
)
def test_other_words_with_the_same_answer_are_a_match(question: str) -> None:
    found = find(question, "The river had flooded it.")
    assert found is not None
    assert (found.item.id, found.kind) == ("e3", ALIKE)
    assert "e3: asks alike, cosine 0." in str(found)
    assert find(question, "Nobody in the town remembers.") is None
    strict = replace(RULES, min_answer_cosine=0.95)
    assert find(question, "The river had flooded it.", rules=strict) is None


def test_a_long_answer_that_holds_a_short_one_says_little() -> None:
    near = "What does a ticket for the ferry and the boat cost?"
    assert find(near, "2.50 crowns") is not None
    long = "Guests pay 2.50 crowns, children half, dogs nothing, and carts by weight after noon."
    assert find(near, long) is None


def test_slips_of_the_pen_make_no_other_question() -> None:
    strict = replace(RULES, min_jaccard=0.85, min_cosine=1, min_answer_cosine=1)
    typo = "Why did the guidl of Kirren moove the salt house?"
    found = find(typo, "Nobody knows.", rules=strict)
    assert found is not None
    assert "words alike, jaccard 1.00" in str(found)
    other = "Why did the girls of Kirren leave the salt house?"
    assert find(other, "Nobody knows.", rules=strict) is None


def test_eight_words_that_anybody_would_use_are_no_match() -> None:
    exam = [ExamItem("p", "What did the guild of Kirren do when the ferry sank off Veltren?")]
    same = "What did the guild of Kirren do when the winter came?"
    assert find(same, exam=exam) is None
    most = "What did the guild of Kirren do when the ferry sank off the harbour?"
    assert find(most, exam=exam) is not None


def test_yes_is_no_evidence_that_two_rows_say_the_same() -> None:
    exam = [ExamItem("e4", "Does the ferry cross the river Osk at night?", ("Yes",))]
    close = "Does the ferry cross the harbour in winter?"
    assert find(close, "Yes", exam=exam) is None
    named = [replace(exam[0], answers=("Ilse Varga",))]
    assert find(close, "Ilse Varga", exam=named) is not None


def test_a_short_question_inside_a_longer_one_of_the_exam_is_a_match() -> None:
    long = "In the town guide, as printed in May 1347: " + EXAM[1].question + " Tell it in words."
    exam = [replace(EXAM[1], question=long)]
    found = find("What does the ferry cost?", "2.50 crowns", exam=exam)
    assert found is not None
    assert str(found) == "e2: it holds the row's question: 'what does the ferry cost'"
    assert find("What does the ferry cost?", "Nothing for children.", exam=exam) is None
    assert find("What does it cost?", "2.50 crowns", exam=exam) is None


def test_other_questions_on_the_same_thing_are_no_match() -> None:
    assert find("How many landings does the ferry over the river Osk have?", "Seven") is None


def test_without_an_exam_nothing_matches() -> None:
    assert find("What does the ferry cost?", "2.50 crowns", exam=[]) is None
    assert find("", "") is None


def test_to_name_a_document_is_no_give_away() -> None:
    title = "Finn the Giant and the Minister of Lund"
    exam = [ExamItem("q1", f"In the story {title}: who built the church by night?", ("A giant",))]
    rules = replace(RULES, ngram_words=7)

    def named(
        question: str, titles: tuple[str, ...] = (title,), answer: str = "The bailiff"
    ) -> Overlap | None:
        return find(question, answer, rules=rules, titles=titles, exam=exam)

    said = f"Complete what {title} says: he hid behind the ____"
    assert named(said) is None
    assert named(f"In the story {title}: where did he hide?") is None
    assert named(f"the minister of lund: who built the church by night? {title}") is not None
    assert named("Who was it that built the church of Lund?", answer="A giant") is not None


def test_documents_match_only_what_they_hold_word_by_word() -> None:
    exam = [*EXAM, ExamItem("long", " ".join(f"word{n}" for n in range(40))), ExamItem("s", "Who?")]
    index = ExamIndex(exam, RULES, Frequencies(Names([])))
    texts = [
        f"An exercise: {EXAM[0].question} (two points)",
        "Who designed the bridge of nine stone arches, in 1347?",
        " ".join(f"word{n}" for n in range(20, 33)),
        " ".join(f"word{n}" for n in range(20, 32)),
        "Who? Ask the guild. What does a ferry cost?",
    ]
    found = [hit and hit.item.id for hit in index.find_verbatim(texts)]
    assert found == ["e1", None, "long", None, None]


def test_a_hostile_row_costs_no_more_than_another() -> None:
    assert find("x" * 2_000_000, "y" * 2_000_000, text="z" * 10) is None

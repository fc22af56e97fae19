import pytest

from domainforge.deduplicate.distinct import (
    Marks,
    are_other_facts,
    differ,
    read_marks,
    small_words,
)

SMALL = small_words(["the mill was built by a carpenter, and nobody knows the baker of the town"])


def marks(question: str, answer: str = "") -> Marks:
    return read_marks(f"{question}\n{answer}".strip(), len(answer), SMALL)


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (("When was the mill built?", "In 1742."), ("When was the mill built?", "In 1724."), "num"),
        (("How many arches?", "Nine arches."), ("How many arches?", "Seven arches."), "num"),
        (("Who built it?", "Anselm Rook."), ("Who built it?", "Ilse Varga."), "names"),
        (("Where did Rook live?", "here"), ("Where did Varga live?", "here"), "names"),
        (("Is it open?", "It is open."), ("Is it open?", "It isn't open."), "negation"),
        (("Does it float?", "Yes"), ("Does it float?", "No"), "negation"),
        (
            ("Ist sie offen?", "Sie ist offen"),
            ("Ist sie offen?", "Sie ist nicht offen"),
            "negation",
        ),
        (("What is the largest eel?", "grey"), ("What is the smallest eel?", "grey"), "opposites"),
        (("What do they eat?", "eel soup"), ("What do they eat?", "lamb stew"), "answer"),
        (
            ("Who is older, Rook or Varga?", "Rook"),
            ("Who is older, Rook or Varga?", "Varga is older than Rook"),
            "choice",
        ),
    ],
)
def test_rows_with_other_facts_are_kept_apart(
    one: tuple[str, str], other: tuple[str, str], what: str
) -> None:
    assert str(differ(marks(*one), marks(*other))).startswith(what)
    assert str(differ(marks(*other), marks(*one))).startswith(what)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            ("When was the mill of Harrow Bend built?", "In 1742."),
            ("In which year did they put up the mill of Harrow Bend?", "It was built in 1742."),
        ),
        (
            ("Who built the mill?", "The carpenter Anselm Rook."),
            ("For the mill, who was the carpenter?", "Anselm Rook"),
        ),
        (("How many pear trees?", "1,347 of them"), ("What number of pear trees?", "1347")),
        (("How many arches?", "nine"), ("What is the number of arches?", "9")),
        (("Nobody knows the baker.", ""), ("The baker is not known.", "")),
    ],
)
def test_other_words_for_the_same_are_not(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert differ(marks(*one), marks(*other)) is None


def test_the_key_is_that_of_numbers_and_negations_alone() -> None:
    assert marks("Built in 1742?").key == marks("Was it 1742 that they built it?").key
    assert marks("Built in 1742?").key != marks("Built in 1743?").key
    assert marks("Built in 1742?").key != marks("Not built in 1742?").key


def test_hostile_texts_are_read() -> None:
    assert marks("\ud800 \u0130\u0130 9.9.9 ,,, \ufdfa" * 50, "\ud800").key >= 0
    assert marks("", "") == marks(" ")


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("It has 24.", "It has 31.", True),
        ("In 1347.", "1374", True),
        ("Ilse Varga", "Otto Lind", True),
        ("In the Gannick Line.", "1986.", True),
        ("26 July 1979.", "On 26 July 1979", False),
        ("July 1979", "26 July 1979", False),
        ("six crowns", "The token is worth 6 crowns.", False),
        ("Marrendine", "Marendine", False),
        ("The engineer Ilse Varga", "Ilse Varga", False),
        ("", "1986", False),
    ],
)
def test_short_answers_that_are_other_facts(one: str, other: str, *, apart: bool) -> None:
    assert are_other_facts(one, other) is apart
    assert are_other_facts(other, one) is apart


def test_of_long_answers_nothing_is_said() -> None:
    long = "The council of the town met nine times before it let the engineer begin building"
    assert not are_other_facts(long + " in 1347", long + " in 1348")

import pytest

from domainforge.generation.names import find_names
from tests.generation.prompts import make_chunk


def names_of(*texts: str) -> dict[str, dict[int, int]]:
    chunks = [make_chunk(text, id=str(n)) for n, text in enumerate(texts)]
    return {name: dict(counts) for name, counts in find_names(chunks).items()}


def test_names_come_with_where_they_stand_the_most_frequent_first() -> None:
    found = names_of(
        "The lamp was lit by Maud Tarrant. Later Maud Tarrant left for the town of Veltren.",
        "In the town of Veltren everyone knew Maud Tarrant and her lamp.",
    )
    assert list(found.items()) == [("Maud Tarrant", {0: 2, 1: 1}), ("Veltren", {0: 1, 1: 1})]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Yesterday the lamp burned. Yesterday the lamp went out again.", []),
        ("It was the Lamp that burned. A lamp burns, and every lamp costs oil, the Lamp too.", []),
        ("He came in May and left again in May with the others.", []),
        ("Veltren lies far away from here. We all went to Veltren in the end.", ["Veltren"]),
        ("Then Orla came in. They saw Orla leave, and Orla's cat stayed.", ["Orla"]),
        ("They met St. Mary there, and they met St. Mary again at noon.", ["St. Mary"]),
        (
            "He met the Duke of the Isles once, and the Duke of the Isles sang.",
            ["Duke of the Isles"],
        ),
        ("We asked Captain Ann Rook first. We asked Ann Rook again later.", ["Ann Rook"]),
        ("# About Orla Veltren\n\nMany Old Orla Veltren Fair\n\n| Orla | Orla |", []),
        ("织女住在天河的东边。织女每天织布。", []),
    ],
)
def test_what_is_a_name(text: str, wanted: list[str]) -> None:
    assert list(names_of(text)) == wanted


def test_where_all_nouns_have_capitals_only_runs_are_names() -> None:
    text = (
        "Im Jahr 1742 baute der Zimmermann Anselm Rook die Mühle am Fluss. Die Mühle mahlt noch "
        "heute das Korn der Bauern. Am Sonntag kommt Anselm Rook zur Kirche und bringt das Brot."
    )
    assert list(names_of(text)) == ["Anselm Rook"]

import pytest

from domainforge.filters.words import contains_words, content_terms, count_words, stem


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("bridges", "bridge"),
        ("merchants", "merchant"),
        ("ferries", "ferry"),
        ("designed", "designing"),
        ("running", "run"),
        ("rivers", "river"),
        ("brücken", "brücke"),
        ("élevées", "elevee"),
    ],
)
def test_stem_folds_endings_and_accents(left: str, right: str) -> None:
    assert stem(left) == stem(right)


@pytest.mark.parametrize(("left", "right"), [("bridge", "bride"), ("salt", "silt"), ("eel", "ear")])
def test_stem_keeps_words_apart(left: str, right: str) -> None:
    assert stem(left) != stem(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1,347 crowns", "1347 crowns"),
        ("seven landings", "7 landings"),
        ("forty-two thousand", "42,000"),
        ("three hundred and forty", "340"),
        ("5 million", "5,000,000"),
        ("a hundred", "100"),
        ("2.50 crowns", "2,5 crowns"),
        ("07:05", "7:05"),
        ("twenty percent", "20 %"),
    ],
)
def test_numbers_compare_by_value(left: str, right: str) -> None:
    assert content_terms(left).keys() == content_terms(right).keys()


@pytest.mark.parametrize(
    ("left", "right"), [("1347", "1348"), ("2.5", "25"), ("seven", "eight"), ("42", "42,000")]
)
def test_different_numbers_stay_different(left: str, right: str) -> None:
    assert content_terms(left).keys().isdisjoint(content_terms(right).keys())


def test_a_list_of_number_words_is_no_sum() -> None:
    assert set(content_terms("two three twenty five")) == {"2", "3", "25"}


def test_dates_and_versions_fall_apart_into_their_numbers() -> None:
    assert set(content_terms("12.5.2024")) == {"12", "5", "2024"}


def test_function_words_and_the_pronoun_one_carry_nothing() -> None:
    assert not content_terms("It is the one that was on it, and who is he?")


def test_terms_remember_how_they_were_written() -> None:
    assert content_terms("The Bridges")[stem("bridge")] == "bridges"


def test_scripts_without_spaces_count_by_character() -> None:
    assert count_words("橋は石でできている") == 9
    assert set(content_terms("石橋")) == {"石", "橋"}


def test_contains_words_respects_word_borders() -> None:
    assert contains_words("The stone\n*bridge*, finished", "stone bridge")
    assert not contains_words("The stone bridges", "stone bridge")

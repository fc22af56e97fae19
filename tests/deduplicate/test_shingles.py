import numpy as np
import pytest

from domainforge.deduplicate.shingles import (
    Shingling,
    char_shingles,
    jaccard,
    text_jaccard,
    word_shingles,
)


def real_jaccard(left: set[str], right: set[str]) -> float:
    return len(left & right) / len(left | right)


def windows(text: str, size: int) -> set[str]:
    return {text[at : at + size] for at in range(max(len(text) - size + 1, 1))}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("the bridge of nine arches", "the bridge of ten arches"),
        ("the river osk", "an unrelated salt tax"),
        ("abcabcabcabc", "abcabc"),
        ("\u6a4b\u306f\u77f3\u3067\u3067\u304d", "\u6a4b\u306f\u6728\u3067\u3067\u304d"),
    ],
)
def test_hashed_shingles_measure_as_sets_of_strings_do(left: str, right: str) -> None:
    ours = jaccard(char_shingles(left.split(), 5), char_shingles(right.split(), 5))
    assert ours == pytest.approx(real_jaccard(windows(left, 5), windows(right, 5)))


def test_word_shingles_depend_on_order() -> None:
    one, other = word_shingles(["a", "b", "c"], 2), word_shingles(["c", "b", "a"], 2)
    assert jaccard(one, other) == 0
    assert jaccard(one, one) == 1


def test_a_text_shorter_than_a_shingle_is_one_shingle() -> None:
    assert char_shingles(["eel"], 5).size == 1
    assert word_shingles(["eel"], 3).size == 1
    assert char_shingles([], 5).size == 0
    assert jaccard(char_shingles([], 5), char_shingles(["eel"], 5)) == 0


def test_shingles_are_the_same_in_every_process() -> None:
    assert word_shingles(["salt"], 3).tolist() == [5642911413050009073]
    assert char_shingles(["salt"], 5).tolist() == [15126232284462925089]
    assert char_shingles(["salt"], 5).dtype == np.uint64


def test_long_texts_are_compared_by_words() -> None:
    left, right = "one two three four", "four three two one"
    by_words = Shingling(words=2, long_text_words=4)
    assert text_jaccard(left, right, by_words) == 0
    assert text_jaccard(left, right, Shingling(long_text_words=5)) > 0

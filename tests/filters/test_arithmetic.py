import pytest

from domainforge.filters.arithmetic import computed_numbers
from tests.filters.passages import VELTREN, find_reason, make_row

KNOWN = {"12", "9", "1347", "1402", "4", "2.5"}


@pytest.mark.parametrize(
    ("text", "computed"),
    [
        ("12 pears and 9 hives make 21.", {"21"}),
        ("From 1347 to 1402 are 55 years.", {"55"}),
        ("12 rows of 9 are 108.", {"108"}),
        ("12 and 9 and 4 are 25 together.", {"25"}),
        ("12 and 9 make 21, and with 4 more 25.", {"21", "25"}),
        ("Two crossings of 2.5 and 4 cost 6.5.", {"6.5"}),
        ("The captains Anna, Berta and Carl: 3 in all.", {"3"}),
        ("12 pears make 13.", set()),
        ("9 hives and 77 more make 86.", set()),
        ("The bridge, and it was built by her in the year of the flood, has 2 towers.", set()),
    ],
)
def test_computed_numbers(text: str, computed: set[str]) -> None:
    assert computed_numbers(text, KNOWN) == computed


def test_a_hostile_number_ends_nothing() -> None:
    assert computed_numbers(f"{'9' * 9000} and 12 and 9", KNOWN) == set()
    assert computed_numbers(f"{'hundred ' * 9000} and 12 and 9", KNOWN) == set()


QUESTION = "How many arches and landings has Veltren together, by the bridge and the ferry?"
ANSWER = "The bridge has nine arches. The ferry has seven landings. Nine and seven are 16."


def test_reasoning_may_compute_numbers_of_the_passage() -> None:
    quote = "the ferry costs 2.50 crowns for each of the seven landings"
    fields = {"reasoning": "The bridge has nine arches. The ferry has seven landings."}
    assert find_reason(make_row(QUESTION, ANSWER, quote=quote, fields=fields)) is None
    assert find_reason(make_row(QUESTION, ANSWER)) == "unsupported"
    wrong = ANSWER.replace("16", "17")
    assert find_reason(make_row(QUESTION, wrong, quote=quote, fields=fields)) == "unsupported"


def test_the_quote_of_a_reasoning_must_still_be_there() -> None:
    row = make_row(QUESTION, ANSWER, quote="Nine and seven are 16.", fields={"reasoning": "It is."})
    assert find_reason(row) == "quote_missing"


def test_a_passage_with_a_number_of_thousands_of_digits_ends_nothing() -> None:
    passage = f"{VELTREN} {'8' * 9000} and {'1' * 5000}.{'2' * 5000} and {'3' * 5000} thousand"
    row = make_row("Who designed the bridge of nine arches?", "Ilse Varga", passage=passage)
    assert find_reason(row) is None

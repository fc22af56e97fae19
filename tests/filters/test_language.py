import pytest
from pydantic import ValidationError

from domainforge.filters.rows import FilterConfig
from tests.filters.passages import VELTREN_IN_GERMAN, find_reason, make_row, make_text

GERMAN = (
    "Wer entwarf die Brücke mit den neun steinernen Bögen in Veltren?",
    "Die Ingenieurin Ilse Varga entwarf die Brücke, die im Jahr 1347 fertig wurde.",
)
ENGLISH = (
    "Who designed the bridge of nine stone arches in Veltren?",
    "The engineer Ilse Varga designed the bridge, which was finished in 1347.",
)


def test_wrong_language() -> None:
    assert find_reason(make_row(*GERMAN)) == "wrong_language"
    assert find_reason(make_row(*ENGLISH, passage=VELTREN_IN_GERMAN)) == "wrong_language"
    german_text = make_text(VELTREN_IN_GERMAN)
    assert find_reason(german_text) == "wrong_language"


def test_the_same_language_is_kept() -> None:
    assert find_reason(make_row(*ENGLISH)) is None
    assert find_reason(make_row(*GERMAN, passage=VELTREN_IN_GERMAN)) is None


def test_short_rows_are_not_judged() -> None:
    short = make_row("Wer entwarf die Brücke?", "Ilse Varga")
    assert find_reason(short) != "wrong_language"
    short_passage = make_row(*GERMAN, passage="Ilse Varga designed the bridge.")
    assert find_reason(short_passage) != "wrong_language"


def test_thresholds_are_read() -> None:
    assert find_reason(make_row(*GERMAN), min_language_confidence=None) != "wrong_language"
    assert find_reason(make_row(*GERMAN), min_language_confidence=1) != "wrong_language"
    assert find_reason(make_row(*GERMAN), min_language_words=40) != "wrong_language"
    five = make_row("Wer entwarf die schöne Brücke?", "Das war die Ingenieurin Ilse Varga.")
    assert find_reason(five, min_language_words=5) == "wrong_language"


def test_close_relatives_are_not_told_apart() -> None:
    norwegian = "Broen over elven ble bygget av en ingeniør fra byen, og den står der ennå i dag."
    danish = "Broen over floden blev bygget af en ingeniør fra byen, og den står der endnu i dag."
    row = make_text(norwegian, passage=danish)
    assert find_reason(row) is None


def test_a_language_that_is_set() -> None:
    german = make_row(*GERMAN, passage=VELTREN_IN_GERMAN)
    assert find_reason(german, language="de") is None
    assert find_reason(german, language="en") == "wrong_language"
    # Without a passage that says which it should be.
    free = make_row(*GERMAN, basis="free")
    assert find_reason(free) is None
    assert find_reason(free, language="en") == "wrong_language"
    given = make_row(*GERMAN, given=True, passage="")
    assert find_reason(given) is None
    assert find_reason(given, language="en") == "wrong_language"
    assert find_reason(make_text(VELTREN_IN_GERMAN), language="de") is None
    short = make_row("Wer entwarf die Brücke?", "Ilse Varga", basis="free")
    assert find_reason(short, language="en") is None


def test_what_is_no_language() -> None:
    assert FilterConfig(language=False).language == "no"  # what YAML 1.1 makes of `no`
    for unknown in ("german", "DE", "xx", "zxx", 1, ["de"]):
        with pytest.raises(ValidationError, match="ISO 639-1"):
            FilterConfig(language=unknown)

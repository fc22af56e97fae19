import random

import pytest

from domainforge.filters.limits import ProseConfig
from domainforge.filters.ngrams import find_repeated_share
from tests.filters.passages import VELTREN_IN_GERMAN, find_reason, make_row, make_text

PROSE = (
    "Veltren lies on the east bank of the river Osk, and most of its people live by the bridge. "
    "The engineer Ilse Varga designed it, with nine arches of grey stone that stand in deep water. "
    "It was finished in the year 1,347 and cost the town forty-two thousand crowns. The Salt "
    "Merchants' Rest has served smoked eel every Thursday ever since."
)
WORDS = PROSE.split()


def every(step: int, word: str) -> str:
    """Put a word behind every so many words of the text."""
    return " ".join(
        part for at, own in enumerate(WORDS) for part in (own, *([word] * (at % step == 0)))
    )


FAULTS = {
    "short words": "a b of we to it is an in on at by be or so " * 4,
    "long words": " ".join(f"Donaudampfschiff{n:02}fahrtsgesellschaft" for n in range(60)),
    "hash signs": every(4, "#osk"),
    "ellipses": every(4, "..."),
    "no letters": every(2, "--"),
    "no stop words": " ".join(
        f"{name} bridge ferry tower town river water stone arch salt eel crown"
        for name in ("Osk", "Ilse", "Varga", "Veltren", "Tove", "Lind")
    ).replace("bridge ferry", "ferry boat", 2),
    "braces": f"{PROSE} if (ferry) {{return crowns}}",
    "placeholder": f"{PROSE} Lorem ipsum dolor sit amet.",
    "notice": f"{PROSE} Please enable JavaScript to see the bridge.",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_not_prose(fault: str) -> None:
    text = make_text(FAULTS[fault])
    assert find_reason(text, skip=("repetition", "unfinished")) == "not_prose"
    answer = make_row("Who designed the bridge of nine arches?", FAULTS[fault])
    assert find_reason(answer, skip=("repetition", "unfinished")) == "not_prose"
    off = {"prose": ProseConfig(min_words=None), "skip": ("repetition", "unfinished")}
    assert find_reason(text, **off) != "not_prose"


def test_prose() -> None:
    assert find_reason(make_text(PROSE)) is None
    assert find_reason(make_text(f"{PROSE} JavaScript runs the bell {PROSE[:30]}.")) is None


def test_lists_and_dots() -> None:
    items = [f"- {' '.join(WORDS[at : at + 6])}" for at in range(0, 54, 6)]
    bullets = make_text("\n".join(items))
    assert find_reason(bullets) == "not_prose"
    with_heading = make_text("\n".join(["What Veltren is:", *items]))
    assert find_reason(with_heading, prose=ProseConfig(max_bullet_line_share=0.95)) is None
    listed = make_row("What is known of the bridge?", "\n".join(items))
    assert find_reason(listed, skip=("unsupported",)) is None
    dotted = make_text("\n".join(item.removeprefix("- ") + " ..." for item in items))
    quiet = {"max_symbol_share": 1.0}
    assert find_reason(dotted, prose=ProseConfig(**quiet)) == "not_prose"
    assert find_reason(dotted, prose=ProseConfig(**quiet, max_ellipsis_line_share=1)) is None


def test_code_tables_and_data_are_no_prose() -> None:
    code = "\n".join(f"    ferry_{n} = bridge[{n}] + {{'eel': {n}}}" for n in range(30))
    table = "\n".join(f"| {n} | {n * 7} | # |" for n in range(40))
    data = "[" + ", ".join(f'{{"arch": {n}}}' for n in range(40)) + "]"
    for text in (f"{PROSE}\n\n```python\n{code}\n```", f"{PROSE}\n\n{table}", code, data):
        assert find_reason(make_text(text)) != "not_prose"


def test_what_the_passage_is_like_is_no_fault() -> None:
    row = make_text(FAULTS["hash signs"], passage=FAULTS["hash signs"][:200])
    assert find_reason(row, skip=("repetition",)) is None


def test_stop_words_of_other_languages() -> None:
    german = f"{VELTREN_IN_GERMAN} " * 2
    wanted = {"prose": ProseConfig(min_words=20), "skip": ("repetition",)}
    assert find_reason(make_text(german, passage=VELTREN_IN_GERMAN), **wanted) is None
    names = "Ingenieurin Brücke Ufer Flusses Bögen steinernen östlichen entwarf liegt wurde " * 3
    row = make_text(names, passage=VELTREN_IN_GERMAN)
    assert find_reason(row, **wanted, min_language_confidence=None) == "not_prose"


def test_sequences_that_repeat() -> None:
    chance = random.Random(5)
    refrain = "the ferry of Veltren costs two crowns"
    verses = [f"{' '.join(chance.sample(WORDS, 9))} {refrain}" for _ in range(6)]
    song = ". ".join(verses) + "."
    loose = {"max_repeated_ngram_share": 1.0, "skip": ("unsupported", "not_prose")}
    assert find_reason(make_text(song), **loose) == "repetition"
    assert find_reason(make_text(song, passage=song), **loose) is None
    off = ProseConfig(max_duplicate_ngram_share=None, max_top_ngram_share=None)
    assert find_reason(make_text(song), **loose, prose=off) is None
    assert find_repeated_share(PROSE, ProseConfig(), 1) is None


def test_a_sequence_that_takes_too_much() -> None:
    text = f"{PROSE} " + "Varga Osk, " * 12
    only_top = ProseConfig(max_duplicate_ngram_share=None)
    found = find_repeated_share(text, only_top, 50)
    assert found is not None
    assert "'varga osk', 12 times" in found
    # A title that comes twice is none.
    assert find_repeated_share("Osk Varga ran. Osk Varga sat.", only_top, 1) is None


def test_a_script_without_spaces_repeats_names() -> None:
    chinese = "伊尔莎瓦尔加设计了桥。" * 3
    assert find_repeated_share(chinese, ProseConfig(), 1) is None

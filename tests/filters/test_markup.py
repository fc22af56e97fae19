import time

import pytest

from tests.filters.passages import VELTREN, find_reason, make_row, make_text

QUESTION = "Who designed the bridge of nine arches?"


@pytest.mark.parametrize(
    "answer",
    [
        "<p>Ilse Varga designed it.</p>",
        "Ilse Varga<br/>designed it.",
        '<a href="varga.html">Ilse Varga</a> designed it.',
        "Ilse Varga &amp; her bridge of nine arches.",
        "Ilse Varga&#39;s bridge has nine arches.",
        "Ilse Varga designed it.\\n\\nThe bridge has nine arches.",
        "Ilse Varga designed it.\\nThe bridge has nine arches.",
        'She designed the \\"bridge\\" of nine arches.',
        "The bridge \\u201cdesigned\\u201d by Ilse Varga",
        "Ilse Varga designed the br\ufffddge.",
        "Ilse Varga designed the \x08bridge.",
        "The bridge\u00e2\u20ac\u2122s engineer, Ilse Varga",
        "Die Br\u00c3\u00bccke of Ilse Varga",
        '{"answer": "Ilse Varga"}',
        '{"designed": "Ilse Varga", bridge',
        'Ilse Varga", "quote": "The engineer Ilse Varga designed the bridge"}',
        'Ilse Varga"}]',
    ],
)
def test_markup(answer: str) -> None:
    assert find_reason(make_row(QUESTION, answer)) == "markup"
    assert find_reason(make_text(answer), min_text_words=0) == "markup"


@pytest.mark.parametrize(
    "answer",
    [
        "Ilse Varga designed it for < 42,000 crowns & the ferry.",
        "Ilse <Varga> designed it",
        "Ilse Varga kept the drawing in C:\\notes\\temp\\bridge.",
        "Ilse Varga put `<br>` after the bridge.",
        "Ilse Varga put this:\n```html\n<p>bridge</p>\n```",
        "| bridge | by |\n|---|---|\n| nine arches | Ilse<br>Varga |",
        'Ilse Varga designed $\\nu \\"u$ arches.',
        '[{"name": "Ilse Varga", "sentence": "The engineer designed the bridge"}]',
        "The bridge [nine arches] {designed} by 'Ilse Varga'",
        "\u00c2ne and \u00c3o are written so by Ilse Varga.",
    ],
)
def test_signs_that_are_no_remains(answer: str) -> None:
    assert find_reason(make_row(QUESTION, answer)) not in ("markup", "template_leftover")


def test_what_the_passage_has_is_no_remains() -> None:
    page = f"{VELTREN} A line ends with <br> there, and &amp; stands for an ampersand."
    row = make_row("What ends a line in Veltren?", "A line ends with <br> there.", passage=page)
    assert find_reason(row) is None
    other = make_row("What ends a line in Veltren?", "A line ends with <hr> there.", passage=page)
    assert find_reason(other) == "markup"


def test_fences_that_open_nothing() -> None:
    wrapped = make_row(QUESTION, "```json\nIlse Varga\n```")
    assert find_reason(wrapped) == "template_leftover"
    assert find_reason(make_row(QUESTION, "Ilse Varga designed it.\n```")) == "template_leftover"
    program = make_row(QUESTION, "Ilse Varga, designed:\n```python\nbridge(9)\n```")
    assert find_reason(program, skip=("unsupported",)) is None


def test_white_space_without_end_costs_no_time() -> None:
    began = time.monotonic()
    assert find_reason(make_row(QUESTION, f'Ilse Varga"}}{" " * 2_000}designed it')) is None
    assert time.monotonic() - began < 2
    row = make_row(QUESTION, f'Ilse Varga designed it"}}{" " * 2_000}]')
    assert find_reason(row) == "markup"

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.markdown import headings_of, scan_lines, sections_of
from domainforge.records import Section

TEXT = """Before.

# Ferry

Intro.

## Fares

Two crowns.

### Dogs ##

Half.

Hours
-----

All day.

# Annex
"""


def test_sections_lie_in_one_another_with_exact_spans() -> None:
    sections = sections_of(TEXT)
    assert [(s.level, s.title) for s in sections] == [
        (1, "Ferry"),
        (2, "Fares"),
        (3, "Dogs"),
        (2, "Hours"),
        (1, "Annex"),
    ]
    texts = [TEXT[s.start : s.end] for s in sections]
    assert texts[0] == TEXT[TEXT.index("# Ferry") : TEXT.index("# Annex")]
    assert texts[1] == "## Fares\n\nTwo crowns.\n\n### Dogs ##\n\nHalf.\n\n"
    assert texts[2] == "### Dogs ##\n\nHalf.\n\n"
    assert texts[3] == "Hours\n-----\n\nAll day.\n\n"
    assert texts[4] == "# Annex\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "#tag and # mark",
        "####### seven",
        "#",
        "- item\n---",
        "wrapped\nover lines\n---",
        "```\n# comment\n```",
        "~~~ sh\n# comment\n````\n# more\n~~~~",
        "```\n# one ``` two\n```",
        "# " + "long " * 200,
    ],
)
def test_what_is_no_heading_makes_no_section(text: str) -> None:
    assert sections_of(text) == ()


def test_code_in_a_line_opens_no_block() -> None:
    assert [s.title for s in sections_of("```code``` in a line\n\n# A\n\n```\n# no\n```")] == ["A"]


def test_a_shorter_mark_closes_no_block() -> None:
    text = "````\n# no\n```\n# no\n````\n# A"
    assert sections_of(text) == (Section(1, "A", text.index("# A"), len(text)),)


def test_markup_is_no_part_of_a_title() -> None:
    text = "# The [*old* bridge](b.md) `x` {#bridge}\n## C# #\n### ![](i.png) #"
    assert [s.title for s in sections_of(text)] == ["The *old* bridge x", "C#"]


@settings(max_examples=200)
@given(st.text(alphabet="#=-`~ \tab\n\r|[](){}\u2003", max_size=80))
def test_sections_form_a_tree_and_lines_cover_the_text(text: str) -> None:
    lines = list(scan_lines(text))
    ends = [-1, *(line.end for line in lines)]
    assert all(line.start == end + 1 for line, end in zip(lines, ends, strict=False))
    assert ends[-1] >= len(text.removesuffix("\n")) or not text
    headings = headings_of(text)
    sections = sections_of(text)
    assert [s.start for s in sections] == [line.start for line in headings]
    for index, section in enumerate(sections):
        following = [s for s in sections[index + 1 :] if s.level <= section.level]
        assert section.end == (following[0].start if following else len(text))
        assert section.title.strip() == section.title != ""


@pytest.mark.parametrize(
    "text",
    [
        "```x\n" * 100_000,
        "".join(f"{'`' * (2000 - n)}x\n" for n in range(1997)),
        "````x\n```\n" * 50_000,
        "# a\n" * 200_000,
        "# " + " " * 2_000_000 + "a",
        "a" * 5_000_000,
        "#" * 1_000_000,
        "a\n" + "=" * 1_000_000 + "x",
        ("# " + "[](" * 150 + "\n") * 1000,
        ("# " + " {#" * 150 + "\n") * 1000,
        "| " * 1_000_000,
        "word and word\n" * 75_000,
    ],
    ids=range(12),
)
@pytest.mark.slow
def test_hostile_text_is_scanned_in_linear_time(text: str) -> None:
    began = time.process_time()
    sections_of(text)
    for _ in scan_lines(text):
        pass
    assert time.process_time() - began < 4

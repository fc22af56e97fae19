from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.generation.spans import Span, answer_spans, leave_gap
from domainforge.generation.units import asked_spans
from tests.generation.prompts import make_prompt, units_of

OVER_SPANS = """---
version: 1
purpose: A question for an answer.
over: span
reply: {question: str}
example: {kind: chat, messages: [{user: "{{ question }}"}, {assistant: "{{ span }}"}]}
completion:
  over: span
  fields: [question]
---
<!-- user -->
{{ fenced(chunk) }} {{ fenced(span) }} {{ span_kind }}

<!-- completion -->
{{ unit.text }} {{ span }}
Question:
"""


def spans(sentence: str) -> dict[str, str]:
    return {sentence[span.start : span.end]: span.kind for span in answer_spans(sentence)}


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        (
            "The orchard of Sellwick Abbey holds 312 pear trees and nine beehives.",
            {
                "312 pear trees": "number",
                "nine beehives": "number",
                "Sellwick Abbey": "name",
                "holds 312 pear trees and nine beehives": "deed",
                "The orchard": "thing",
            },
        ),
        (
            "On 4 May 1887 the keeper lit the lamp, because a ship had run aground.",
            {
                "4 May 1887": "date",
                "the keeper": "thing",
                "lit the lamp": "deed",
                "the lamp": "thing",
                "because a ship had run aground": "reason",
                "a ship": "thing",
            },
        ),
        (
            "She opened the chest by turning the brass key, when the guard slept.",
            {
                "the brass key": "thing",
                "the chest": "thing",
                "the guard": "thing",
                "when the guard slept": "time",
                "by turning the brass key": "manner",
            },
        ),
    ],
)
def test_what_can_be_asked_for(sentence: str, found: dict[str, str]) -> None:
    own = spans(sentence)
    assert {text: own.get(text) for text in found} == found


def test_titles_belong_to_names() -> None:
    assert spans("In May the giant told St. Lawrence and Mr. Finn his name.") == {
        "May": "date",
        "St. Lawrence": "name",
        "Mr. Finn": "name",
        "the giant": "thing",
        "his name": "thing",
        "told St. Lawrence and Mr. Finn his name": "deed",
    }


def test_no_clause_ends_within_a_number_or_behind_a_title() -> None:
    found = spans("They burned 3.5 kg of peat, because nearly 1,250 sacks were with Dr. Smith.")
    assert found["burned 3.5 kg of peat"] == "deed"
    assert found["because nearly 1,250 sacks were with Dr. Smith"] == "reason"
    assert (
        spans("Last week she gave the letter to Mr. Finn.")["gave the letter to Mr. Finn"] == "deed"
    )


@pytest.mark.parametrize(
    ("sentence", "said", "gapped"),
    [
        ("The mill burned in May.", "The mill", "____ burned in May."),
        ("The mill burned in May.", "May", "The mill burned in ____."),
        ("A cat saw a dog and the dog ran.", "dog", "A cat saw a ____ and the ____ ran."),
        ("In 12 of 312 houses he met Ann.", "12", "In ____ of 312 houses he met Ann."),
        ("She met Rook of Rookery Hall.", "Rook", "She met ____ of Rookery Hall."),
        (
            "a b c d e f g h i j k l x m n o p q r s t u v w",
            "x",
            "... c d e f g h i j k l ____ m n o p q r s t u v ...",
        ),
    ],
)
def test_a_gap_and_what_stands_around_it(sentence: str, said: str, gapped: str) -> None:
    start = sentence.index(said)
    assert leave_gap(sentence, Span(start, start + len(said), "thing")) == gapped


def test_a_span_is_not_most_of_the_sentence_and_comes_once() -> None:
    assert spans("The mill burned down.") == {"The mill": "thing"}
    assert [text.casefold() for text in spans("The dog saw the dog near the Dog.")] == ["the dog"]
    assert spans("") == spans("Yes.") == {}


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["the", "4", "May", ".", ",", "because", "Rook", "a"])).map(" ".join)
)
def test_spans_lie_in_the_sentence(sentence: str) -> None:
    for span in answer_spans(sentence):
        assert 0 <= span.start < span.end <= len(sentence)
        assert sentence[span.start : span.end].strip() == sentence[span.start : span.end]


@pytest.mark.slow
def test_long_sentences_take_linear_time() -> None:
    assert answer_spans("the carpenter walked, because " * 20_000)
    assert answer_spans("walked " * 50_000) == []


def test_of_a_passage_the_last_sentence_is_asked_about() -> None:
    texts = [each["span"] for each in asked_spans("Maud came.\nShe kept 12\nwicks.")]
    assert texts == ["12 wicks"]
    assert asked_spans(" ") == []


def test_each_span_is_asked_for_once(tmp_path: Path) -> None:
    prompt = make_prompt(tmp_path, OVER_SPANS)
    for form in ("chat", "completion"):
        units = units_of(prompt, samples=9, form=form)
        asked = [(unit.index, unit.variant["span"]) for unit in units]
        assert len(asked) == len(set(asked)) > 4
        assert all(unit.variant["span"] in " ".join(unit.text.split()) for unit in units)
        few = units_of(prompt, samples=1, form=form)
        assert [unit.variant["span"] for unit in few] == [
            unit.variant["span"] for unit in units if unit.sample == 0
        ]

from typing import Any

import pytest

from domainforge.prompt_header import reply_schema
from domainforge.reply_layout import (
    Layout,
    LayoutError,
    describe_layout,
    find_layout,
    parse_layout,
)

MARK = "kdbapgco"
SHAPE: dict[str, Any] = {
    "topic": "str",
    "count": "int",
    "share": "float",
    "sure": "bool",
    "tags": ["str"],
    "facts": [{"fact": "str", "where": {"quote": "str"}}],
    "last": {"word": "str", "of": {"all": "str"}},
}
REPLY = f"""=== {MARK} topic ===
The "mill" at
Harrow \\ Bend

=== {MARK} count ===
3
=== {MARK} share ===
0.5
=== {MARK} sure ===
true
=== {MARK} tags ===
mill
=== {MARK} tags ===
river
=== {MARK} facts.fact ===
It burned.
=== {MARK} facts.where.quote ===
It burned twice.
=== {MARK} facts.fact ===
It stands.
=== {MARK} facts.where.quote ===

=== {MARK} last.word ===
end of reply
=== {MARK} last.of.all ===
=== other topic ===
=== {MARK} end of reply ===
"""
VALUES = {
    "topic": 'The "mill" at\nHarrow \\ Bend',
    "count": 3,
    "share": 0.5,
    "sure": True,
    "tags": ["mill", "river"],
    "facts": [
        {"fact": "It burned.", "where": {"quote": "It burned twice."}},
        {"fact": "It stands.", "where": {"quote": ""}},
    ],
    "last": {"word": "end of reply", "of": {"all": "=== other topic ==="}},
}


def layout_of(shape: dict[str, Any]) -> Layout:
    layout = find_layout(reply_schema(shape))
    assert layout is not None
    return layout


def test_a_reply_is_read_back_as_it_was_meant() -> None:
    assert parse_layout(layout_of(SHAPE), MARK, REPLY) == VALUES


def test_what_is_described_is_what_is_read() -> None:
    """The form itself, filled in, is a reply."""
    told = describe_layout(layout_of(SHAPE), MARK)
    assert "Write the blocks facts.fact to facts.where.quote once for each of the facts" in told
    assert "Write the block tags once for each of the tags" in told
    form = told[told.index(f"=== {MARK}") :]
    for hint, value in (("a whole number", "1"), ("a number", "-2.5e3"), ("true or false", "true")):
        assert f"\n({hint})\n" in form
        form = form.replace(f"({hint})", value)
    fields = parse_layout(layout_of(SHAPE), MARK, form)
    assert fields["facts"] == [{"fact": "(text)", "where": {"quote": "(text)"}}]
    assert (fields["share"], fields["count"], fields["sure"]) == (-2500.0, 1, True)


def test_a_list_may_be_empty() -> None:
    layout = layout_of({"facts": [{"fact": "str"}], "topic": "str"})
    text = f"=== {MARK} topic ===\nmills\n=== {MARK} end of reply ==="
    assert parse_layout(layout, MARK, text) == {"facts": [], "topic": "mills"}


def changed(old: str, new: str) -> str:
    assert old in REPLY
    return REPLY.replace(old, new, 1)


FAULTS = {
    "Sure! Here it is.": "line 1 is none of the form's: Sure! Here it is.",
    "": "line 1 is none of the form's: ",
    f"Sure!\n{REPLY}": "line 1 is none of the form's: Sure!",
    f"{REPLY}\nI hope this helps.": "stands after the end: I hope this helps.",
    f"{REPLY}{REPLY}": "stands after the end",
    changed(f"=== {MARK} end of reply ===\n", ""): f"the line === {MARK} end of reply ===",
    changed(f"=== {MARK} count ===\n3\n", ""): f"=== {MARK} count === is due where === {MARK} sha",
    changed(f"=== {MARK} sure", f"=== {MARK} Sure"): "sure === is due where",
    changed(f"=== {MARK} sure ===", f"== {MARK} sure =="): f"has {MARK} in it",
    changed(f"=== {MARK} sure ===", f"**=== {MARK} sure ===**"): f"has {MARK} in it",
    changed(f"=== {MARK} facts.where.quote ===\nIt", "It"): "facts.where.quote === is due",
    changed("\n3\n", "\nthree\n"): "count: three is not a whole number",
    changed("\n3\n", "\n3.0\n"): "count: 3.0 is not a whole number",
    changed("\n3\n", f"\n{'7' * 5000}\n"): "is not a whole number",
    changed("0.5", "1e999"): "share: 1e999 is not a number",
    changed("0.5", "NaN"): "share: NaN is not a number",
    changed("0.5", "\u0663"): "is not a number",
    changed("true", "True"): "sure: True is not true or false",
}


@pytest.mark.parametrize("text", list(FAULTS))
def test_nothing_is_guessed(text: str) -> None:
    with pytest.raises(LayoutError) as caught:
        parse_layout(layout_of(SHAPE), MARK, text)
    assert FAULTS[text] in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_choice_is_told() -> None:
    schema = reply_schema({"mood": {"type": "string", "enum": ["glad", "calm"]}})
    layout = find_layout(schema)
    assert layout is not None
    assert "(one of: glad, calm)" in describe_layout(layout, MARK)


@pytest.mark.parametrize(
    "reply",
    [
        {"rows": [["str"]]},
        {"facts": [{"quotes": ["str"]}]},
        {"a field": "str"},
        {"a.b": "str"},
        {"text": {"type": "string", "minLength": 3}},
        {"text": {"type": ["string", "null"]}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "required": ["a"]},
        {"mood": {"type": "string", "enum": ["glad", 3]}},
        {"tags": {"type": "array"}},
        {"tags": {"type": "array", "items": {"type": "string"}, "minItems": 2}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": []},
        {"type": "object", "properties": {}},
        {"empty": {"type": "object", "properties": {}}},
    ],
)
def test_what_blocks_cannot_say_stays_json(reply: dict[str, Any]) -> None:
    assert find_layout(reply_schema(reply)) is None


@pytest.mark.slow
def test_a_hostile_reply_ends_soon() -> None:
    layout = layout_of({"facts": [{"fact": "str"}], "topic": "str"})
    text = f"=== {MARK} facts.fact ===\n" * 200_000
    with pytest.raises(LayoutError):
        parse_layout(layout, MARK, text)
    many = parse_layout(layout, MARK, f"{text}=== {MARK} topic ===\n=== {MARK} end of reply ===\n")
    assert len(many["facts"]) == 200_000

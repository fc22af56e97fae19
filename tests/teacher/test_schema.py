from typing import Any

import pytest
from jsonschema.validators import validator_for

from domainforge.prompt_header import reply_schema
from domainforge.teacher.transports.schema import response_format

TEXT = {"type": "string"}


def schema_of(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def sent(schema: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    asked = response_format(schema)
    assert (asked["type"], asked["json_schema"]["name"]) == ("json_schema", "reply")
    return asked["json_schema"]["strict"], asked["json_schema"]["schema"]


@pytest.mark.parametrize(
    "reply",
    [
        {"question": "str", "answer": "str"},
        {"tags": ["str"], "year": "int", "share": "float", "hard": "bool"},
        {"items": [{"question": "str", "source": {"page": "int"}}]},
    ],
)
def test_the_short_form_is_strict_as_it_is(reply: dict[str, Any]) -> None:
    schema = reply_schema(reply)
    assert sent(schema) == (True, schema)


def test_objects_that_leave_it_open_are_closed_at_every_depth() -> None:
    inner = {"type": "object", "properties": {"page": TEXT}, "required": ["page"]}
    open_one = {
        "type": "object",
        "properties": {
            "one": inner,
            "many": {"type": "array", "items": inner},
            "either": {"anyOf": [inner, {"type": "null"}]},
            "named": {"$ref": "#/$defs/inner"},
            # A key may have the name of a word.
            "properties": TEXT,
        },
        "required": ["one", "many", "either", "named", "properties"],
        "$defs": {"inner": inner},
    }
    before = str(open_one)
    strict, schema = sent(open_one)
    assert strict
    closed = {**inner, "additionalProperties": False}
    fields = schema["properties"]
    assert schema["additionalProperties"] is False
    assert fields["one"] == fields["many"]["items"] == fields["either"]["anyOf"][0] == closed
    assert schema["$defs"]["inner"] == closed
    assert fields["properties"] == TEXT
    assert str(open_one) == before, "the prompt's own schema stays as it is"
    # What fits the one that is sent, fits the one that was written.
    value = {
        "one": {"page": "1"},
        "many": [{"page": "2"}],
        "either": None,
        "named": {"page": "3"},
        "properties": "x",
    }
    for each in (schema, open_one):
        validator_for(each).check_schema(each)
        assert validator_for(each)(each).is_valid(value)


NOT_STRICT: dict[str, dict[str, Any]] = {
    "an optional key": schema_of({"question": TEXT, "date": TEXT}, required=["question"]),
    "none required": {"type": "object", "properties": {"question": TEXT}},
    "open on purpose": schema_of({"question": TEXT}, additionalProperties=True),
    "further keys of a type": schema_of({"question": TEXT}, additionalProperties=TEXT),
    "an open map": schema_of({"ages": {"type": "object"}}),
    "a word it lacks": schema_of({"question": {"type": "string", "minLength": 5}}),
    "a default": schema_of({"question": {"type": "string", "default": "x"}}),
    "all of": schema_of({"question": {"allOf": [TEXT]}}),
    "one of": schema_of({"question": {"oneOf": [TEXT, {"type": "null"}]}}),
    "no type": schema_of({"question": {}}),
    "any item": schema_of({"tags": {"type": "array"}}),
    "deep inside": schema_of({"one": {"anyOf": [schema_of({"a": TEXT}, required=[])]}}),
    "alternatives at the top": schema_of({"a": TEXT}, anyOf=[{"required": ["a"]}]),
}


@pytest.mark.parametrize("name", list(NOT_STRICT))
def test_what_strict_mode_refuses_goes_out_as_written_and_not_strict(name: str) -> None:
    schema = NOT_STRICT[name]
    assert sent(schema) == (False, schema)

from typing import Any

import pytest

from domainforge.teacher.dialect import SCHEMA, USUAL, Dialect, find_refused, read_dialect

REFUSALS: list[tuple[str, dict[str, Any]]] = [
    (
        "Invalid schema for response_format 'reply': In context=(), 'required' is required to be "
        "supplied and to be an array including every key in properties. Missing 'date'.",
        {"param": "response_format", "code": None},
    ),
    (
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
        "model.",
        {"param": None, "code": None},
    ),
    ("Unsupported value", {"param": "response_format", "code": "unsupported_value"}),
    ("Unknown parameter", {"param": "response_format.json_schema", "code": "unknown_parameter"}),
    ("This response_format type is unavailable now", {"code": "invalid_request_error"}),
    ("Failed to parse grammar", {"code": 400}),
    ("JSON schema conversion failed: Unrecognized schema", {"code": 400}),
]


@pytest.mark.parametrize(("text", "error"), REFUSALS)
def test_a_refused_schema_is_told_by_the_words_of_the_field(
    text: str, error: dict[str, Any]
) -> None:
    assert find_refused({"error": {"message": text, **error}}, text) == SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        "the request exceeds the context size",
        "max_tokens must be at least 1",
        "something in this request is wrong",
    ],
)
def test_other_complaints_are_none_of_a_schema(text: str) -> None:
    assert find_refused({"error": {"message": text, "param": "messages"}}, text) is None


def test_the_dialect_goes_without_a_schema_and_remembers_it() -> None:
    learnt = USUAL.without(SCHEMA)
    assert learnt == Dialect(left_out=frozenset({SCHEMA}))
    assert learnt.without(SCHEMA) is None
    body = {"model": "m", "max_tokens": 5, SCHEMA: {"type": "json_schema"}}
    assert learnt.translate(body) == {"model": "m", "max_tokens": 5}
    assert read_dialect(learnt.to_json()) == learnt

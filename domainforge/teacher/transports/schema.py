"""A reply's JSON schema as `response_format`, strict where the endpoint could hold it strictly."""

from collections.abc import Mapping
from typing import Any

# What OpenAI's strict mode takes ("Structured Outputs", Supported schemas). With any other word
# it refuses the request; without `strict` the same schema is a hint, and the reply is validated
# like any other. Servers that compile a grammar (vLLM, llama.cpp) pay no heed to `strict`.
_STRICT_WORDS = frozenset(
    {
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "definitions",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)
_NAMES_A_TYPE = frozenset({"type", "anyOf", "$ref"})
_MAPS_OF_SCHEMAS = ("properties", "$defs", "definitions")


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what asks an endpoint to hold a reply to a schema.

    Objects that say nothing of further keys are closed, as strict mode wants it: every reply that
    then fits, fits the schema as written too. Optional keys are not made required, since a teacher
    that has to fill them invents: such a schema goes out as it is, not strict.
    """
    closed = _close(schema)
    strict = _is_strict(closed) and "anyOf" not in closed
    sent = {"name": "reply", "schema": closed if strict else schema, "strict": strict}
    return {"type": "json_schema", "json_schema": sent}


def _close(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    closed = {name: _close_under(name, value) for name, value in schema.items()}
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _close_under(name: str, value: Any) -> Any:
    if name in _MAPS_OF_SCHEMAS and isinstance(value, Mapping):
        return {key: _close(part) for key, part in value.items()}
    if name == "anyOf" and isinstance(value, list):
        return [_close(part) for part in value]
    return _close(value) if name == "items" else value


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or not schema.keys() <= _STRICT_WORDS:
        return False
    if not schema.keys() & _NAMES_A_TYPE:
        return False
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if "object" in kinds or "properties" in schema:
        is_closed = schema.get("additionalProperties") is False
        names = schema.get("properties", {}).keys()
        if not is_closed or names != {*schema.get("required", ())}:
            return False
    if "array" in kinds and "items" not in schema:
        return False
    parts = [part for name in _MAPS_OF_SCHEMAS for part in schema.get(name, {}).values()]
    parts += schema.get("anyOf", [])
    parts += [schema["items"]] if "items" in schema else []
    return all(_is_strict(part) for part in parts)

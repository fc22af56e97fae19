"""Fields out of a reply: JSON by its schema, blocks, or labelled lines. Nothing is guessed."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domainforge.generation.forms import is_delimited, reply_marker
from domainforge.generation.requests import template_values
from domainforge.generation.units import Form, Unit
from domainforge.prompt_templates import render
from domainforge.prompts import PromptFile
from domainforge.records import canonical_json
from domainforge.reply_layout import LayoutError, parse_layout

_CODE_FENCE = re.compile(r"\A\s*```(?:json)?[^\S\n]*\n(.*)\n```\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Parsed:
    """Fields of a reply, or why there are none."""

    fields: Mapping[str, Any]
    fault: str | None = None


def parse_chat(
    unit: Unit, replies: Mapping[str, str], text: str, form: Form, fence: Callable[[str], str]
) -> Parsed:
    """Read the last reply of the chat form: one JSON object, or blocks; a code fence is no fault.

    Args:
        unit: What was asked about.
        replies: Texts of the earlier steps, by their names.
        text: The reply.
        form: How the teacher was asked.
        fence: Gives the marker of a chunk.
    """
    fenced = _CODE_FENCE.match(text)
    body = fenced[1] if fenced else text
    if not is_delimited(unit.prompt, form):
        return _parse_json(unit.prompt, body)
    return _parse_blocks(unit.prompt, body, reply_marker(unit, replies, fence))


def parse_completion(unit: Unit, asked: str, text: str, fence: Callable[[str], str]) -> Parsed:
    """Read `Label: value` lines, the first of which the request begins, and fill the other fields.

    Args:
        unit: What was asked about.
        asked: The text that was to be continued.
        text: How it goes on.
        fence: Gives the marker of a chunk.
    """
    completion = unit.prompt.header.completion
    assert completion is not None
    last_line = asked.rpartition("\n")[2]
    parsed = _parse_lines(f"{last_line}{text}", completion.fields)
    if parsed.fault:
        return parsed
    values = {**template_values(unit, {}, fence), **parsed.fields}
    made = {name: render(unit.prompt.path, t, values) for name, t in completion.set.items()}
    return Parsed({**parsed.fields, **made})


def _parse_json(prompt: PromptFile, body: str) -> Parsed:
    try:
        return _checked(prompt, json.loads(body))
    except json.JSONDecodeError as fault:
        return Parsed({}, f"not JSON: {fault.msg} at character {fault.pos}")
    except (RecursionError, ValueError) as fault:
        # A number of thousands of digits is a ValueError too.
        return Parsed({}, f"not usable: {type(fault).__name__}")


def _parse_blocks(prompt: PromptFile, body: str, marker: str) -> Parsed:
    assert prompt.layout is not None
    try:
        return _checked(prompt, parse_layout(prompt.layout, marker, body))
    except LayoutError as fault:
        return Parsed({}, f"not in its form: {fault}")
    except UnicodeError as fault:
        return Parsed({}, f"not usable: {type(fault).__name__}")


def _checked(prompt: PromptFile, value: Any) -> Parsed:
    """Hold a value to the schema.

    Raises:
        ValueError: No file could hold it: half of an escaped emoji is valid JSON.
        RecursionError: It is nested too deep.
    """
    from jsonschema.exceptions import best_match

    canonical_json(value).encode()
    error = best_match(prompt.validator.iter_errors(value))
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "the reply"
        return Parsed({}, f"{place}: {error.message}")
    return Parsed(value)


def _parse_lines(text: str, names: tuple[str, ...]) -> Parsed:
    """Read `Label: value` lines, in the order of the labels; each value is one line."""
    fields: dict[str, str] = {}
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    for index, name in enumerate(names):
        label = f"{name.replace('_', ' ').capitalize()}:"
        if index >= len(lines) or not lines[index].startswith(label):
            return Parsed({}, f"line {index + 1} does not begin with '{label}'")
        fields[name] = lines[index].removeprefix(label).strip()
    return Parsed(fields)

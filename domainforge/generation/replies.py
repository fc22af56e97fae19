"""How a reply becomes an example, or a dropped row with its reason."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domainforge.generation.repairs import BadReply
from domainforge.generation.requests import template_values
from domainforge.generation.units import Form, Unit, asks_completion
from domainforge.prompt_templates import render
from domainforge.prompts import PromptFile, fill_example
from domainforge.records import Example, canonical_json
from domainforge.teacher.request import Reply

_MOST_EVIDENCE = 2000


@dataclass(frozen=True)
class Parsed:
    """Fields of a reply, or why there are none."""

    fields: Mapping[str, Any]
    fault: str | None = None


def make_examples(
    unit: Unit,
    reply: Reply,
    keys: tuple[str, ...],
    form: Form,
    teacher: str,
    side: str,
    fence: Callable[[str], str],
    bad: BadReply | None = None,
) -> list[Example]:
    """Make the rows of a reply; one that can't teach is one row with its reason and evidence.

    That is one row, or one for each item where the prompt's `example` has `for_each`.

    Args:
        unit: What was asked about.
        reply: The last reply of the chain.
        keys: Ledger keys of the whole chain.
        form: How the teacher was asked.
        teacher: Its identity.
        side: The chunk's side.
        fence: Gives the marker of a chunk.
        bad: What the reply was to repair; None where it is the first of its kind.
    """
    sampling = {
        "temperature": reply.request.temperature,
        "max_tokens": reply.request.max_tokens,
        "stop": list(reply.request.stop),
        **({"repair": True} if bad is not None else {}),
    }
    asked = {"teacher": teacher, "sampling": sampling, "ledger_keys": keys, "side": side}
    lineage: dict[str, Any] = {**unit.lineage(), **asked}
    kind = unit.prompt.header.example["kind"]
    parsed = parse_reply(unit, reply, form, fence) if reply.status == "ok" else Parsed({})
    if reply.status != "ok" or parsed.fault:
        reason, evidence = _tell_fault(reply, parsed.fault, bad)
        return [Example(kind=kind, reason=reason, evidence=evidence, **lineage)]
    rows = _rows(unit.prompt, parsed.fields, form)
    if not rows:
        evidence = f"`{unit.prompt.items}` is empty; the reply: {reply.text}"[:_MOST_EVIDENCE]
        return [Example(kind=kind, reason="no_items", evidence=evidence, **lineage)]
    examples = []
    for index, (fields, at_hand) in enumerate(rows):
        values = {**template_values(unit, {}, fence), **at_hand}
        filled = vars(fill_example(unit.prompt, values))
        examples.append(Example(kind=kind, fields=fields, item=index, **filled, **lineage))
    return examples


def parse_reply(unit: Unit, reply: Reply, form: Form, fence: Callable[[str], str]) -> Parsed:
    """Read the fields out of a reply: JSON by its schema, or labelled lines. Nothing is guessed."""
    if not asks_completion(unit.prompt, form):
        return _parse_json(unit.prompt, reply.text)
    completion = unit.prompt.header.completion
    assert completion is not None
    assert reply.request.prompt is not None
    last_line = reply.request.prompt.rpartition("\n")[2]
    parsed = _parse_lines(f"{last_line}{reply.text}", completion.fields)
    if parsed.fault:
        return parsed
    values = {**template_values(unit, {}, fence), **parsed.fields}
    made = {name: render(unit.prompt.path, t, values) for name, t in completion.set.items()}
    return Parsed({**parsed.fields, **made})


def _rows(
    prompt: PromptFile, fields: Mapping[str, Any], form: Form
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return, for each row of a reply, its fields and what its templates can name of the reply."""
    if prompt.items is None:
        return [(dict(fields), dict(fields))]
    if asks_completion(prompt, form):  # lines are one item
        return [(dict(fields), {**fields, "item": dict(fields)})]
    shared = {name: value for name, value in fields.items() if name != prompt.items}
    return [
        (
            {**shared, **(item if isinstance(item, dict) else {"item": item})},
            {**fields, "item": item},
        )
        for item in fields.get(prompt.items) or ()  # a full schema may let it be left out
    ]


def find_fault(prompt: PromptFile, text: str) -> str | None:
    """Say why the text of a chat reply doesn't fit its prompt's schema; None where it does."""
    return _parse_json(prompt, text).fault


def _tell_fault(reply: Reply, fault: str | None, bad: BadReply | None) -> tuple[str, str]:
    """Return the reason of a row that can't teach, and its evidence: after a repair, of both."""
    if fault:
        reason, evidence = "off_schema", f"{fault}; the reply: {reply.text}"
    else:
        reason, evidence = reply.status, reply.detail or reply.text
    if bad is None:
        return reason, evidence[:_MOST_EVIDENCE]
    if reason not in ("off_schema", "failed"):
        # The unit's fault is the first reply's; what came of the repair is told beside it.
        reason, evidence = "off_schema", f"{reason}: {evidence}"
    last = f"; after a repair: {evidence}"[: _MOST_EVIDENCE // 2]
    first = f"{bad.fault}; the reply: {bad.text}"
    return reason, first[: _MOST_EVIDENCE - len(last)] + last


def _parse_json(prompt: PromptFile, text: str) -> Parsed:
    from jsonschema.exceptions import best_match

    body = re.sub(r"\A\s*```(?:json)?\s*\n(.*)\n```\s*\Z", r"\1", text, flags=re.DOTALL)
    try:
        value = json.loads(body)
        # Half of an escaped emoji is valid JSON, but no file could hold it.
        canonical_json(value).encode()
        error = best_match(prompt.validator.iter_errors(value))
    except json.JSONDecodeError as fault:
        return Parsed({}, f"not JSON: {fault.msg} at character {fault.pos}")
    except (RecursionError, ValueError) as fault:
        # A number of thousands of digits is a ValueError too.
        return Parsed({}, f"not usable: {type(fault).__name__}")
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

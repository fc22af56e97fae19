"""Try a prompt file on a sample passage, so that its faults show before anything is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domainforge.errors import PromptError
from domainforge.generation.requests import make_request
from domainforge.generation.requests import template_values as values_of
from domainforge.generation.units import Form, Task, Unit, plan_units
from domainforge.prompts import PromptFile, fill_example

_TEXT = (
    "The lamp of the Skerry Light was first lit on 4 May 1887 by the keeper Maud Tarrant. "
    "It burns 12 litres of oil in a night and is seen from 17 miles away."
)
_CHUNK: dict[str, Any] = {
    "id": "sample",
    "document_id": "sample",
    "uri": "sample/light.md",
    "title": "The Skerry Light",
    "headings": ["History"],
    "index": 0,
    "start": 0,
    "end": len(_TEXT),
    "text": _TEXT,
    "tokens": 40,
}
_FENCE = "0123456789abcdef"


@dataclass(frozen=True)
class Sample:
    """One text that the prompt makes: what is asked, or what a reply becomes."""

    title: str
    text: str


def try_prompt(prompt: PromptFile) -> list[Sample]:
    """Render every form and step of a prompt, and the example that comes of it.

    Raises:
        PromptError: A template names something that isn't at hand, or an expression fails.
    """
    samples = _render_form(prompt, "chat")
    if prompt.completion is not None:
        samples += _render_form(prompt, "completion")
    unit = _first_unit(prompt, "chat")
    reply = _invent(prompt.schema, "reply")
    if prompt.items is not None:
        reply["item"] = reply[prompt.items][0]
    values = {**values_of(unit, {}, _fence), **reply}
    filled = fill_example(prompt, values)
    shown = [f"{message['role']}: {message['content']}" for message in filled.messages]
    if filled.rejected is not None:
        shown.append(f"assistant, worse: {filled.rejected}")
    title = (
        "the example that a reply becomes" if prompt.steps else "an example, made without asking"
    )
    return [*samples, Sample(title, filled.text or "\n".join(shown))]


def _render_form(prompt: PromptFile, form: Form) -> list[Sample]:
    unit = _first_unit(prompt, form)
    if form == "completion":
        request = make_request(unit, form, 0, {}, _fence)
        return [Sample("completion, for a teacher that only continues text", request.prompt or "")]
    samples = []
    replies: dict[str, str] = {}
    for index, step in enumerate(prompt.steps):
        request = make_request(unit, form, index, replies, _fence)
        text = "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in request.messages)
        title = "chat" if len(prompt.steps) == 1 else f"chat, step {step.name}"
        samples.append(Sample(title, text))
        replies[step.name] = f"(the reply of step {step.name})"
    return samples


def _first_unit(prompt: PromptFile, form: Form) -> Unit:
    unit = next(plan_units([_CHUNK], [Task(prompt, 1)], form), None)
    if unit is None:
        raise PromptError(f"{prompt.path}: no variant fits the sample passage: {_TEXT}")
    return unit


def _fence(chunk_id: str) -> str:
    return _FENCE


def _invent(schema: Mapping[str, Any], name: str) -> Any:
    """Make a value of the schema's shape; texts say which field they stand for."""
    options = schema.get("enum")
    if options:
        return options[0]
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {key: _invent(part, key) for key, part in fields.items()}
        case "array":
            return [_invent(schema.get("items", {}), name)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
    return f"({name})"

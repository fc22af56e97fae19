"""What goes to the teacher: the request of one step, and what its templates can name."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domainforge.generation.forms import is_delimited, reply_marker
from domainforge.generation.units import Form, Unit, asks_completion
from domainforge.prompt_templates import render
from domainforge.prompts import PromptFile
from domainforge.records import stable_id
from domainforge.reply_layout import describe_layout
from domainforge.teacher.request import Request

_SAID_BY_KEYS = {"type", "properties", "required", "additionalProperties", "title", "$schema"}


def make_request(
    unit: Unit, form: Form, step: int, replies: Mapping[str, str], fence: Callable[[str], str]
) -> Request:
    """Render the request of one step.

    Args:
        unit: What is asked about.
        form: How this teacher is asked.
        step: Index of the step in a chain; 0 for the first.
        replies: Texts of the earlier steps, by their names.
        fence: Gives the marker that holds a chunk's passage apart from the prompt.

    Raises:
        PromptError: The template names something that isn't at hand.
    """
    prompt, header = unit.prompt, unit.prompt.header
    values = template_values(unit, replies, fence)
    completion = header.completion
    if asks_completion(prompt, form) and completion and prompt.completion:
        return Request(
            prompt=render(prompt.path, prompt.completion, values),
            temperature=completion.temperature,
            max_tokens=completion.max_tokens,
            stop=completion.stop,
            sample=unit.sample,
            tag=unit,
        )
    part = prompt.steps[step]
    user, schema = render(prompt.path, part.user, values), None
    if step == len(prompt.steps) - 1:
        layout = prompt.layout if is_delimited(prompt, form) else None
        if layout is None:
            schema, shape = prompt.schema, _describe_schema(prompt.schema)
        else:
            shape = describe_layout(layout, reply_marker(unit, replies, fence))
        user += f"\n\n{shape}"
    messages = [{"role": "user", "content": user}]
    if part.system:
        messages.insert(0, {"role": "system", "content": render(prompt.path, part.system, values)})
    return Request(
        messages=tuple(messages),
        schema=schema,
        temperature=header.temperature,
        max_tokens=header.max_tokens,
        sample=unit.sample,
        tag=unit,
    )


def template_values(
    unit: Unit, replies: Mapping[str, str], fence: Callable[[str], str]
) -> dict[str, Any]:
    """Return what a prompt's templates can name."""
    chunks = [
        {
            "id": chunk["id"],
            "title": chunk["title"],
            "text": chunk["text"],
            "headings": list(chunk["headings"]),
            "context": chunk.get("context") or "",
        }
        for chunk in unit.chunks
    ]

    def fenced(of: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str) -> str:
        if isinstance(of, str):
            return _between_markers(of, fence(unit.chunk["id"]), fence)
        if not isinstance(of, Mapping):
            return "\n\n".join(map(fenced, of))
        # Title, headings and a cut table's head are the document's words too: they stand inside.
        context = of.get("context")
        text = f"{context}\n{of['text']}" if context else of["text"]
        body = f"# {' > '.join([of['title'], *of['headings']])}\n\n{text}"
        return _between_markers(body, fence(of["id"]), fence)

    return {
        "document": {"title": unit.chunk["title"], "uri": unit.chunk["uri"]},
        "chunk": chunks[0],
        "chunks": chunks,
        "unit": {"text": " ".join(unit.text.split()), "index": unit.index},
        "sample": unit.sample,
        "focus": unit.focus,
        "fenced": fenced,
        **unit.attributes,
        **unit.variant,
        **replies,
    }


def _between_markers(body: str, marker: str, fence: Callable[[str], str]) -> str:
    while marker in body:  # nobody can aim for this; it must not happen by chance either
        marker = fence(marker)
    return f"<passage {marker}>\n{body}\n</passage {marker}>"


def count_steps(prompt: PromptFile, form: Form) -> int:
    """Return how many requests a unit of this prompt takes, repairs and continuations aside."""
    return 1 if asks_completion(prompt, form) else len(prompt.steps)  # none where nothing is asked


def _describe_schema(schema: Mapping[str, Any]) -> str:
    head = "Reply with one JSON object and nothing else."
    names = schema["properties"].keys()
    if schema.keys() <= _SAID_BY_KEYS and names == set(schema.get("required", ())):
        keys = json.dumps(schema["properties"], ensure_ascii=False)
        return f"{head} Its keys and their types: {keys}"
    # What may be left out, or refers to a definition, only the whole schema says.
    return f"{head} It fits this JSON Schema: {json.dumps(schema, ensure_ascii=False)}"


def plain_marker(seed: str) -> str:
    """Return a marker for passages that no teacher sees; nobody need be kept from guessing it.

    It differs from what it is made of: a passage may hold that.
    """
    return stable_id("marker", seed)

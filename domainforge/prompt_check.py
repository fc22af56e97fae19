"""Render a prompt file on a passage, so that its faults show before anything is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.errors import PromptError
from domainforge.generation.requests import make_request, plain_marker
from domainforge.generation.requests import template_values as values_of
from domainforge.generation.units import Form, Task, Unit, goes_over, plan_units
from domainforge.prompt_header import WITHIN_A_CHUNK
from domainforge.prompt_judging import AT_HAND
from domainforge.prompt_sections import Step
from domainforge.prompt_templates import holds
from domainforge.prompts import PromptFile, fill_example

_FIRST = (
    "The lamp of the Skerry Light was first lit on 4 May 1887 by the keeper Maud Tarrant. "
    "It burns 12 litres of oil in a night and is seen from 17 miles away."
)
_SECOND = (
    "For 31 years the keeper Maud Tarrant trimmed the lamp. Her log of the Skerry Light names "
    "every ship that passed, and lies in the chapel at Gannet Cove."
)


def _sample(name: str, start: int, text: str, **more: Any) -> Mapping[str, Any]:
    return {
        "id": name,
        "document_id": "sample",
        "uri": "sample/light.md",
        "title": "The Skerry Light",
        "headings": ["History"],
        "index": 0,
        "start": start,
        "end": start + len(text),
        "text": text,
        "tokens": 40,
        **more,
    }


def _sample_chat(name: str, question: str, answer: str) -> Mapping[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    text = f"**User:** {question}\n\n**Assistant:** {answer}"
    place = {"document_id": name, "uri": f"sample/{name}", "title": question, "headings": []}
    return _sample(name, 0, text, messages=messages, **place)


SAMPLE_CHUNKS: tuple[Mapping[str, Any], ...] = (
    _sample("sample", 0, _FIRST),
    _sample("sample-2", len(_FIRST) + 2, _SECOND, index=1),
    _sample(
        "sample-3",
        0,
        "Every Friday the bakers of Lund Square sell a dark loaf called brennick.",
        document_id="bakers",
        uri="sample/bakers.md",
        title="The bakers of Lund Square",
    ),
    _sample_chat("chat-1", "How far away is the Skerry Light seen?", "17 miles."),
    _sample_chat("chat-2", "Name the first keeper of the Skerry Light.", "Maud Tarrant."),
)
"""What a prompt is rendered on where there is no passage of the user's own."""

_SAMPLE_ROW = {
    "question": "How much oil does the lamp of the Skerry Light burn in a night?",
    "answer": "12 litres.",
    "first": "12 litres.",
    "second": "17 litres.",
    "quote": "It burns 12 litres of oil in a night and is seen from 17 miles away.",
    "basis": "passage",
}

_MOST_SHOWN_CHARS = 200


@dataclass(frozen=True)
class Sample:
    """One text that the prompt makes: what is asked, or what a reply becomes."""

    title: str
    text: str


def try_prompt(
    prompt: PromptFile,
    chunks: Sequence[Mapping[str, Any]] = SAMPLE_CHUNKS,
    chunk_id: str | None = None,
) -> list[Sample]:
    """Render every form and step of a prompt, and the example that comes of it.

    Args:
        prompt: The prompt file.
        chunks: What it can be asked about.
        chunk_id: The one to render it on; left out, the first that it fits.

    Raises:
        PromptError: A template names something that isn't at hand, an expression fails, or the
            prompt asks nothing about that passage.
    """
    unit = first_unit(prompt, "chat", chunks, chunk_id)
    samples = _render_chat(prompt, unit)
    if prompt.completion is not None:
        about = first_unit(prompt, "completion", chunks, chunk_id)
        request = make_request(about, "completion", 0, {}, plain_marker)
        title = "completion, for a teacher that only continues text"
        samples.append(Sample(title, request.prompt or ""))
    reply = _invent(prompt.schema, "reply")
    if prompt.header.judges is not None:
        shown = [f"{name}: {value}" for name, value in reply.items()]
        return [*samples, Sample("what is read in a reply; it makes no row", "\n".join(shown))]
    if prompt.items is not None:
        reply["item"] = reply[prompt.items][0]
    said = {step.name: _reply_of(step) for step in prompt.steps[:-1]}
    values = {**values_of(unit, said, plain_marker), **reply}
    if prompt.header.keep_if:
        holds(prompt.path, prompt.header.keep_if, values)  # an expression that fails shows now
    filled = fill_example(prompt, values)
    shown = [f"{message['role']}: {message['content']}" for message in filled.messages]
    if filled.rejected is not None:
        shown.append(f"assistant, worse: {filled.rejected}")
    title = (
        "the example that a reply becomes" if prompt.steps else "an example, made without asking"
    )
    return [*samples, Sample(title, filled.text or "\n".join(shown))]


def first_unit(
    prompt: PromptFile,
    form: Form,
    chunks: Sequence[Mapping[str, Any]] = SAMPLE_CHUNKS,
    chunk_id: str | None = None,
) -> Unit:
    """Return the first thing that a prompt asks about a passage.

    Args:
        prompt: The prompt file.
        form: How the teacher is asked.
        chunks: What it can be asked about.
        chunk_id: The one to ask about; left out, the first that it fits.

    Raises:
        PromptError: It asks nothing about that passage.
    """
    alone = [chunk for chunk in chunks if chunk["id"] == chunk_id]
    if prompt.header.judges is not None:
        chunk = (alone or [chunk for chunk in chunks if not chunk.get("messages")])[0]
        row = {name: _SAMPLE_ROW[name] for name in AT_HAND[prompt.header.judges]}
        return Unit(prompt, chunk, chunk["text"], chunk["start"], chunk["end"], 0, 0, row)
    task = Task(prompt, 1)
    # A prompt may go over several passages at once, which must all be there.
    if goes_over(prompt, form) in WITHIN_A_CHUNK:
        for unit in plan_units(alone, [task], form):
            return unit
    for unit in plan_units(chunks, [task], form):
        if chunk_id is None or chunk_id in [chunk["id"] for chunk in unit.chunks]:
            return unit
    about = (alone or [*chunks, *SAMPLE_CHUNKS])[0]["text"]
    shown = about if len(about) <= _MOST_SHOWN_CHARS else f"{about[:_MOST_SHOWN_CHARS]}..."
    raise PromptError(
        f"{prompt.path}: it asks nothing about this passage (no sentence of four words, or "
        f"nothing that its `over` and `variants` want): {shown}"
    )


def _render_chat(prompt: PromptFile, unit: Unit) -> list[Sample]:
    samples = []
    replies: dict[str, str] = {}
    for index, step in enumerate(prompt.steps):
        request = make_request(unit, "chat", index, replies, plain_marker)
        text = "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in request.messages)
        title = "chat" if len(prompt.steps) == 1 else f"chat, step {step.name}"
        samples.append(Sample(title, text))
        replies[step.name] = _reply_of(step)
    return samples


def _reply_of(step: Step) -> str:
    return f"(the reply of step {step.name})"


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

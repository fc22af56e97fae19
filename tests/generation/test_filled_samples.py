"""A reply written by hand for each prompt that asks: it passes the filter and stands in the docs.

So a prompt that asks for what the filter drops is found without a teacher.
"""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from domainforge.chunking import chunk_document
from domainforge.filters.filtering import filter_rows
from domainforge.filters.rows import FilterConfig
from domainforge.generation.requests import template_values
from domainforge.generation.units import Task, Unit, plan_units
from domainforge.prompt_templates import holds
from domainforge.prompts import PromptFile, fill_example, load_prompt, parse_prompt
from domainforge.records import Document, Example
from domainforge.sources.chats import make_chat, read_messages
from domainforge.tables import CHUNK_SCHEMA, example_table
from tests.generation.prompts import fence
from tests.generation.test_shipped_prompts import FOLDER, MAKING, NAMES

ROOT = FOLDER.parent
LINES = Path(__file__).with_name("filled_samples.jsonl").read_text(encoding="utf-8").splitlines()
SAMPLES = [json.loads(line) for line in LINES]
CHATS = (
    ("How do I keep rye bread fresh?", "Put it in a bag."),
    ("What is a tide?", "The rise and fall of the sea, mostly because of the Moon."),
)


@cache
def handbook() -> tuple[dict[str, Any], ...]:
    """Return the chunks of the shipped handbook, and of two chats."""
    rows = []
    for path in sorted((ROOT / "data" / "handbook").glob("*.md")):
        text = path.read_text()
        document = Document(path.name, text.splitlines()[0].lstrip("# "), text)
        chunks = chunk_document(document, lambda said: [*range(len(said.split()))], 256, 16)
        rows += [{**asdict(chunk), "id": chunk.id} for chunk in chunks]
    for question, answer in CHATS:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        chat = make_chat(f"chats#{question}", read_messages(turns), {})
        chunk = {"id": chat.id, "document_id": chat.id, "uri": chat.uri, "title": chat.title}
        place = {"headings": [], "index": 0, "start": 0, "end": len(chat.text), "tokens": 20}
        rows.append({**chunk, **place, "text": chat.text, "context": "", "messages": turns})
    return tuple(rows)


def find_unit(prompt: PromptFile, about: list[str], attributes: dict[str, str]) -> Unit:
    for unit in plan_units(handbook(), [Task(prompt, 24)], "chat"):
        said = f"{unit.text} {unit.variant}"
        names = [unit.variant[name] for name in ("entity", "other") if name in unit.variant]
        fits = set(names) == set(about) if names else all(words in said for words in about)
        if "span" in unit.variant:
            fits = unit.variant["span"] in about
        if fits and attributes.items() <= unit.attributes.items():
            return unit
    pytest.fail(f"{prompt.name}: nothing is asked about {about} with {attributes}")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["prompt"])
def test_what_it_asks_for_passes_the_filter(tmp_path: Path, sample: dict[str, Any]) -> None:
    prompt = load_prompt(sample["prompt"], tmp_path)
    unit = find_unit(prompt, sample["about"], sample["attributes"])
    reply = sample["reply"]
    prompt.validator.validate(reply)
    values = {**template_values(unit, {}, fence), **reply}
    assert prompt.header.keep_if is None or holds(prompt.path, prompt.header.keep_if, values)
    examples = []
    for item in reply[prompt.items] if prompt.items else [{}]:
        filled = vars(fill_example(prompt, {**values, "item": item}))
        kind, fields = prompt.header.example["kind"], {**reply, **item}
        row = Example(kind, teacher="hand", side="train", fields=fields, **filled, **unit.lineage())
        examples.append(row)
    chunks = pa.Table.from_pylist(list(handbook()), schema=CHUNK_SCHEMA)
    frame = "\n".join(f"{step.system or ''}\n{step.user}" for step in prompt.steps)
    found = filter_rows(
        example_table(examples), chunks, FilterConfig(), frames={prompt.hash: frame}
    )
    assert found.dropped.select(["reason", "evidence"]).to_pylist() == []
    assert found.kept.num_rows == len(examples)


def test_every_prompt_that_asks_has_a_filled_sample_and_the_docs_show_it() -> None:
    docs = (ROOT / "docs" / "shipped_prompts.md").read_text()
    asking = {name for name in MAKING if parse_prompt(FOLDER / f"{name}.md").header.asks}
    assert {sample["prompt"] for sample in SAMPLES} == asking
    for name in NAMES:
        assert f"`{name}`" in docs, f"the docs say nothing of {name}"
    shown = [sample["prompt"] for sample in SAMPLES if _longest(sample["reply"]) in docs]
    assert shown == [sample["prompt"] for sample in SAMPLES], "a sample that the docs don't show"


def _longest(value: Any) -> str:
    """Return the longest text in a reply, quotes aside; of several lines, the first."""
    if isinstance(value, str):
        return value.split("\n")[0]
    if isinstance(value, dict):
        value = [part for name, part in value.items() if name not in ("quote", "sentence")]
    return max(map(_longest, value), key=len, default="") if isinstance(value, list) else ""

"""Prompts and passages for the tests of asking."""

import hashlib
from pathlib import Path
from typing import Any

from domainforge.generation.units import Form, Task, Unit, plan_units
from domainforge.prompts import PromptFile, parse_prompt

QA = """---
version: 1
purpose: A question and its answer.
reply: {question: str, answer: str, quote: str}
example: {kind: chat, messages: [{user: "{{ question }}"}, {assistant: "{{ answer }}"}]}
temperature: 0.5
max_tokens: 200
completion:
  fields: [question, answer]
  set: {quote: "{{ unit.text }}"}
  stop: ["\\n\\n"]
  variants:
    - {start: " Who"}
    - {start: " When", needs: '\\d{4}'}
---
<!-- system -->
You write questions.

<!-- user -->
From "{{ document.title }}":
{{ fenced(chunk) }}
Question number {{ sample + 1 }}.

<!-- completion -->
Text: The orchard of Sellwick Abbey holds nine beehives.
Question: How many beehives does the orchard hold?
Answer: Nine beehives.

Text: {{ unit.text }}
Question:{{ start }}
"""
MANY = """---
version: 1
purpose: All facts at once, a question about each.
reply: {topic: str, facts: [{question: str, answer: str, quote: str}]}
example:
  kind: chat
  for_each: facts
  messages: [{user: "{{ topic }}: {{ item.question }}"}, {assistant: "{{ item.answer }}"}]
completion:
  fields: [question, answer]
  set: {quote: "{{ unit.text }}", topic: "mills"}
---
<!-- user -->
{{ fenced(chunk) }}
Every fact of it.

<!-- completion -->
Text: {{ unit.text }}
Question:
"""
CHAIN = """---
version: 1
purpose: A fact, then a question about it.
reply: {question: str, answer: str}
example: {kind: chat, messages: [{user: "{{ question }}"}, {assistant: "{{ answer }}"}]}
---
<!-- system -->
You write questions.

<!-- step: fact -->
{{ fenced(chunk) }}
Name one fact.

<!-- step: ask -->
{{ fenced(chunk) }}
Ask about this fact: {{ fact }}
"""
TEXT = (
    "The mill at Harrow Bend was built in 1742. It burned twice. "
    "The miller keeps two grey horses behind the house."
)


def make_prompt(folder: Path, text: str = QA, name: str = "ask") -> PromptFile:
    path = folder / f"{name}.md"
    path.write_text(text, encoding="utf-8")
    return parse_prompt(path)


def make_chunk(text: str = TEXT, start: int = 100, **changes: Any) -> dict[str, Any]:
    return {
        "id": "chunk-1",
        "document_id": "doc-1",
        "uri": "mill.md",
        "title": "The mill",
        "headings": ["History"],
        "start": start,
        "end": start + len(text),
        "text": text,
        "tokens": len(text.split()),
        **changes,
    }


def units_of(
    prompt: PromptFile, samples: int, form: Form = "chat", chunk: dict[str, Any] | None = None
) -> list[Unit]:
    return list(plan_units([chunk or make_chunk()], [Task(prompt, samples)], form))


def fence(chunk_id: str) -> str:
    return hashlib.sha256(chunk_id.encode()).hexdigest()[:16]

"""Every prompt file that ships: it renders on any passage, and reads all that it declares."""

import re
from pathlib import Path

import pytest
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from domainforge.generation.requests import make_request
from domainforge.generation.units import Form, Task, plan_units
from domainforge.prompt_check import try_prompt
from domainforge.prompts import PromptFile, fill_example, load_prompt, parse_prompt
from tests.generation.prompts import fence, make_chunk

FOLDER = Path(__file__).parents[2] / "prompts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
PASSAGES = (
    "The lamp of the Skerry Light was first lit on 4 May 1887 by the keeper Maud Tarrant.",
    "Im Jahr 1742 baute der Zimmermann Anselm Rook die Mühle am Fluss; sie mahlt noch heute.",
    "| pump | litres |\n|---|---|\n| A | 12 |\n| B | 30 |\n\nPump B is for winter {{ x }}.",
)


@pytest.mark.parametrize("name", NAMES)
def test_it_renders_on_three_passages(tmp_path: Path, name: str) -> None:
    prompt = load_prompt(name, tmp_path)
    forms: tuple[Form, ...] = ("chat", "completion") if prompt.completion else ("chat",)
    for form in forms:
        for text in PASSAGES:
            chunk = {**make_chunk(), "text": text}
            units = list(plan_units([chunk], [Task(prompt, 3)], form))
            assert units or prompt.header.over == "span", f"nothing is asked about {text}"
            if not prompt.header.asks:
                continue  # the example below is all there is
            for unit in units:
                request = make_request(unit, form, 0, {}, fence)
                asked = request.prompt or "\n".join(m["content"] for m in request.messages)
                assert " ".join(unit.text.split())[:40] in " ".join(asked.split())
                assert not re.search(r"\{%|\{\{(?! x)", asked)


@pytest.mark.parametrize("name", NAMES)
def test_all_that_it_declares_is_read(name: str) -> None:
    prompt = parse_prompt(FOLDER / f"{name}.md")
    asked = _names_in(*(part for step in prompt.steps for part in (step.system or "", step.user)))
    assert prompt.header.source, "where the recipe comes from"
    shown = _names_in(*_example(prompt))
    assert try_prompt(prompt)
    if not prompt.header.asks:
        assert prompt.header.attributes.keys() <= shown
        return
    assert "fenced" in asked, "the passage is told apart from the prompt"
    assert prompt.header.attributes.keys() <= asked
    unread = prompt.header.reply.keys() - shown - {"quote"}  # which the filter reads
    assert not unread, "the teacher is paid for fields that nothing reads"


def _example(prompt: PromptFile) -> list[str]:
    shape = prompt.header.example
    templates = [shape["text"]] if "text" in shape else []
    templates += [text for message in shape.get("messages", ()) for text in message.values()]
    named = [shape.get("for_each"), prompt.header.keep_if]
    return [*templates, *(f"{{{{ {name} }}}}" for name in named if name)]


def _names_in(*templates: str) -> set[str]:
    environment = ImmutableSandboxedEnvironment()
    found: set[str] = set()
    for template in templates:
        found |= meta.find_undeclared_variables(environment.parse(template))
    return found


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    said = {"caption": "Pumps.", "columns": ["pump|part", "litres"], "rows": [["A\nB", "1\\|2"]]}
    text = fill_example(parse_prompt(FOLDER / "table.md"), said).text
    lines = ["Pumps.", "", r"| pump\|part | litres |", "|---|---|", r"| A B | 1\|2 |"]
    assert text == "\n".join(lines)

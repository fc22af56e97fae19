"""Every prompt file that ships: it renders on any passage, and reads all that it declares."""

import re
from pathlib import Path

import pytest

from domainforge.generation.requests import count_steps, make_request
from domainforge.generation.subjects import Chunk
from domainforge.generation.units import Form, Task, Unit, plan_units
from domainforge.prompt_check import try_prompt
from domainforge.prompt_templates import names_in
from domainforge.prompts import PromptFile, fill_example, load_prompt, parse_prompt
from tests.generation.prompts import fence, make_chunk

FOLDER = Path(__file__).parents[2] / "prompts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
# Those that make no rows are tested in tests/judging/test_shipped_judges.py.
MAKING = [name for name in NAMES if parse_prompt(FOLDER / f"{name}.md").header.judges is None]
DOCUMENTS = (
    (
        "The lamp of the Skerry Light was first lit on 4 May 1887 by the keeper Maud Tarrant.",
        "For years Maud Tarrant trimmed the lamp and wrote the log of the Skerry Light.",
    ),
    (
        "Im Jahr 1742 baute der Zimmermann Anselm Rook die Mühle von Harrow Bend am Fluss.",
        "Die Mühle von Harrow Bend mahlt noch heute das Korn, wie es Anselm Rook wollte.",
    ),
    (
        "| pump | litres |\n|---|---|\n| A | 12 |\n\nIn winter Ilsa Morvenny runs pump B at Gull "
        "Rock {{ x }}.",
        "At Gull Rock the pump is greased by Ilsa Morvenny before winter {% y %}.",
    ),
)


def chunks_of(*passages: str) -> list[Chunk]:
    """Make a document of these passages, another one, and chats: something for every `over`."""
    chunks = [make_chunk(text, id=f"c{n}") for n, text in enumerate(passages)]
    other = {"id": "other", "uri": "other.md", "document_id": "other", "title": "Another"}
    chunks.append(make_chunk("Every Friday the bakers sell a dark loaf called brennick.", **other))
    for n, question in enumerate(("What is rye?", "Name a grain.", "Why is bread dark?")):
        said = [{"role": "user", "content": question}, {"role": "assistant", "content": "Rye."}]
        place = {"id": f"chat{n}", "uri": f"chat{n}", "document_id": f"chat{n}"}
        chunks.append(make_chunk(question, messages=said, **place))
    return chunks


@pytest.mark.parametrize("name", MAKING)
def test_it_renders_on_three_documents(tmp_path: Path, name: str) -> None:
    prompt = load_prompt(name, tmp_path)
    forms: tuple[Form, ...] = ("chat", "completion") if prompt.completion else ("chat",)
    for form in forms:
        for passages in DOCUMENTS:
            units = list(plan_units(chunks_of(*passages), [Task(prompt, 3)], form))
            assert units, f"nothing is asked about {passages}"
            for unit in units if prompt.header.asks else ():
                _check_requests(unit, form)


def _check_requests(unit: Unit, form: Form) -> None:
    about = unit.chunk["messages"][0]["content"] if unit.chunk.get("messages") else unit.text
    replies = {step.name: "A reply." for step in unit.prompt.steps[:-1]}
    for step in range(count_steps(unit.prompt, form)):
        request = make_request(unit, form, step, replies, fence)
        asked = request.prompt or "\n".join(m["content"] for m in request.messages)
        assert " ".join(about.split())[:40] in " ".join(asked.split())
        assert not re.search(r"\{%(?! y)|\{\{(?! x)", asked)
        if form == "completion":
            continue
        inside = re.findall(r"<passage (\w+)>\n(.*?)\n</passage \1>", asked, re.DOTALL)
        assert inside, "the document's words are told apart"
        for name in ("entity", "other", "topic", "span"):
            if name in unit.variant:  # names are a document's words too
                assert unit.variant[name] in [text for _, text in inside]


@pytest.mark.parametrize("name", MAKING)
def test_all_that_it_declares_is_read(name: str) -> None:
    prompt = parse_prompt(FOLDER / f"{name}.md")
    asked = names_in(part for step in prompt.steps for part in (step.system or "", step.user))
    assert prompt.header.source, "where the recipe comes from"
    shown = names_in(_example(prompt))
    assert try_prompt(prompt)
    if not prompt.header.asks:
        assert prompt.header.attributes.keys() <= shown
        return
    assert "fenced" in asked, "the passage is told apart from the prompt"
    assert prompt.header.attributes.keys() <= asked | shown
    unread = (
        prompt.header.reply.keys() - shown - {"quote", "answer_in_passage"}
    )  # the filter reads these
    assert not unread, "the teacher is paid for fields that nothing reads"


def _example(prompt: PromptFile) -> list[str]:
    shape = prompt.header.example
    templates = [shape["text"]] if "text" in shape else []
    templates += [text for message in shape.get("messages", ()) for text in message.values()]
    templates += [shape["rejected"]] if "rejected" in shape else []
    named = [shape.get("for_each"), prompt.header.keep_if]
    return [*templates, *(f"{{{{ {name} }}}}" for name in named if name)]


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    said = {"caption": "Pumps.", "columns": ["pump|part", "litres"], "rows": [["A\nB", "1\\|2"]]}
    text = fill_example(parse_prompt(FOLDER / "table.md"), said).text
    lines = ["Pumps.", "", r"| pump\|part | litres |", "|---|---|", r"| A B | 1\|2 |"]
    assert text == "\n".join(lines)

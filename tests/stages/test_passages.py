"""Prompts that go over several passages, or over given chats, from plan to filtered rows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from domainforge.errors import DataError
from domainforge.records import Document
from domainforge.run_folder import Inputs
from domainforge.stages import generate
from domainforge.stages.generate import GenerateConfig
from domainforge.teacher.config import TeacherConfig
from tests.stages.test_given import ANSWER, PAGE, QUESTION, Line, chat
from tests.support.teacher_server import TeacherServer

MILL = Document(
    "oil.md",
    "Oil",
    "The carpenter Anselm Rook pressed oil at the mill at Harrow Bend every winter.",
)
REPLY = "reply: {question: str, answer: str}\n"
ROW = 'example: {kind: chat, messages: [{user: "{{ question }}"}, {assistant: "{{ answer }}"}]}\n'


def write_prompt(folder: Path, over: str, more: str = "", example: str = ROW) -> dict[str, str]:
    (folder / "prompts").mkdir(exist_ok=True)
    head = f"version: 1\npurpose: A test.\nover: {over}\n{more}{REPLY}{example}"
    body = "{{ fenced(chunks) }}" if over != "example" else "{{ fenced(example.question) }}"
    (folder / "prompts" / f"{over}.md").write_text(f"---\n{head}---\n<!-- user -->\n{body}\n")
    return {"prompt": over}


def asking(line: Line, server: TeacherServer) -> Line:
    teacher = TeacherConfig(base_url=server.base_url, model="local-teacher")
    line.context = replace(line.context, teacher_config=teacher)
    return line


def test_rows_know_all_their_passages_and_the_plan_is_told_before(tmp_path: Path) -> None:
    tasks = tuple(write_prompt(tmp_path, over) for over in ("pair", "entity", "section"))
    with TeacherServer() as server:
        line = asking(Line(tmp_path, PAGE, MILL), server)
        inputs = Inputs({name: tmp_path / name for name in ("chunk", "assign")})
        config = GenerateConfig.model_validate({"tasks": tasks})
        planned = generate.plan_calls(config, inputs, line.context).count.planned
        result = line.generate(tasks)
    rows = line.rows("generate")
    assert result.account.total == planned == len(rows)
    pair = next(row for row in rows if row["prompt"] == "pair")
    assert {pair["uri"], *(other["uri"] for other in pair["also"])} == {"mill.md", "oil.md"}
    names = {row["prompt"] for row in rows if row["also"]}
    assert names == {"pair", "entity"}
    assert line.filter().account.total == len(rows)


def test_given_chats_are_gone_on_from_on_their_side(tmp_path: Path) -> None:
    example = (
        "example:\n  kind: preference\n  messages: [{user: '{{ example.question }}'}, "
        "{assistant: '{{ answer }}'}]\n  rejected: '{{ example.answer }} {{ question }}'\n"
    )
    task = write_prompt(tmp_path, "example", "basis: free\n", example)
    with TeacherServer() as server:
        line = asking(Line(tmp_path, chat("one", QUESTION, ANSWER), PAGE), server)
        line.generate((task,))
    row = next(row for row in line.rows("generate") if row["prompt"] == "example")
    assert (row["kind"], row["basis"], row["side"]) == ("preference", "free", "train")
    assert row["uri"] == "chats.jsonl#one"
    assert row["messages"][0]["content"] == QUESTION
    assert row["rejected"].startswith(ANSWER)
    assert json.loads(row["fields"]).keys() == {"question", "answer"}


def test_a_task_that_finds_nothing_is_told_and_one_that_cannot_is_refused(tmp_path: Path) -> None:
    topic = write_prompt(tmp_path, "topic", "topics: [the stars]\n")
    with TeacherServer() as server:
        line = asking(Line(tmp_path, PAGE), server)
        result = line.generate((topic, {"prompt": "qa"}))
        assert [note for note in result.notes if note.startswith("topic asks nothing")]
        tasks = (write_prompt(tmp_path, "pair"), {"prompt": "qa"})
        with pytest.raises(DataError, match="pair goes over pairs"):
            line.generate(tasks)
        inputs = Inputs({name: tmp_path / name for name in ("chunk", "assign")})
        config = GenerateConfig.model_validate({"tasks": tasks})
        with pytest.raises(DataError, match="pair goes over pairs"):
            generate.plan_calls(config, inputs, line.context)

"""The worked case of docs/prompts.md: the file on that page makes rows, as the page says."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from domainforge.cli import app
from domainforge.run_folder import RunFolder, read_table
from tests.support.command import ROOT
from tests.support.ledgers import make_ledger
from tests.support.small_run import make_tokenizer_only
from tests.support.teacher_faults import Answer
from tests.support.teacher_server import TeacherServer

PAGE = (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8")
CASE = PAGE.split("## A new kind, from nothing to a row\n")[1].split("\n## ")[0]


def block(language: str) -> str:
    """Return the one code block of the worked case in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", CASE, re.MULTILINE | re.DOTALL)
    return str(found)


def answer(text: str) -> Answer:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 300, "completion_tokens": 60, "total_tokens": 360}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    body = {"id": "r", "object": "chat.completion", "choices": choices, "usage": usage}
    return Answer(body=json.dumps(body).encode())


def set_up(folder: Path, base_url: str) -> None:
    """Make a project of the shipped page and pipeline, with a teacher and a student at hand."""
    (folder / "data" / "handbook").mkdir(parents=True)
    (folder / "pipelines").mkdir()
    shutil.copy(ROOT / "data" / "handbook" / "07-storm-drill.md", folder / "data" / "handbook")
    make_tokenizer_only(folder / "student")
    make_ledger(folder / "ledger.sqlite")
    values = yaml.safe_load((ROOT / "pipelines" / "endpoint.yaml").read_text(encoding="utf-8"))
    values["teacher"]["base_url"] = base_url
    values["train"] = {"student": "student", "mixture": {"replay": 0}}
    # Of this tokenizer's small pieces a section has more than of a real one's.
    values["chunk"] = {"max_tokens": 2000}
    (folder / "pipelines" / "endpoint.yaml").write_text(yaml.safe_dump(values))


def test_the_file_on_the_page_makes_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, reply, shown = block("markdown"), json.loads(block("json")), block("text")
    told = {**reply, "riddle": f"LONG GALE, hear: {reply['riddle']}"}  # says its own answer
    by_name = {"Grumbler": answer(json.dumps(reply)), "Long Gale": answer(json.dumps(told))}

    def reply_to(number: int, body: dict[str, object]) -> str | None:
        return next((name for name in by_name if f"\n{name}\n</passage " in last_turn(body)), None)

    with TeacherServer(reply_to, models=("your-model",), extra=by_name) as server:
        set_up(tmp_path, server.base_url)
        said = []
        for line in block("console").splitlines():
            program, *arguments = shlex.split(line.removeprefix("$ "))
            assert program == "domainforge"
            done = CliRunner().invoke(app, arguments, catch_exceptions=False)
            assert done.exit_code == 0, f"{line}: {done.output}"
            said.append(done.stdout)
            if arguments[:2] == ["prompts", "new"]:
                (tmp_path / "prompts" / "riddle.md").write_text(file, encoding="utf-8")
        asked = [seen for seen in server.seen if "Write a riddle" in last_turn(seen.body)]
    assert "prompts/riddle.md: good" in said[1]
    assert len(asked) == 5, "the page says that there are five names"
    # Ids depend on the endpoint's address.
    of_row, *lines = shown.splitlines()
    assert of_row.split()[1:] == said[-1].splitlines()[0].split()[1:]
    assert [line for line in lines if "cluster:" not in line] == [
        line for line in said[-1].splitlines()[1 : len(lines) + 1] if "cluster:" not in line
    ]
    run = RunFolder(tmp_path / "runs" / "endpoint")
    (row,) = [
        row
        for row in read_table(run.stage_folder("splits"), "train").to_pylist()
        if row["prompt"] == "riddle"
    ]
    assert row["messages"][0]["content"] == reply["riddle"]
    dropped = read_table(run.stage_folder("examples"), "dropped").to_pylist()
    given_away = [row["evidence"] for row in dropped if row["reason"] == "check_failed"]
    assert any("LONG GALE, hear" in evidence for evidence in given_away)


def last_turn(body: dict[str, object]) -> str:
    """Return the last turn of a request."""
    messages = body["messages"]
    assert isinstance(messages, list)
    return str(messages[-1]["content"])

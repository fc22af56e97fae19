"""A reply that was cut off, from the prompt file to the rows, the ledger and the plan."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from domainforge.run_folder import folder_hash
from domainforge.stages.generate import GenerateConfig, plan_calls
from domainforge.trace import read_exchange
from tests.generation.prompts import CHAIN, QA
from tests.stages.test_generate import Room
from tests.support.teacher_answers import Speaker
from tests.support.teacher_faults import Answer
from tests.support.teacher_server import TeacherServer

CONFIG = GenerateConfig.model_validate({"tasks": [{"prompt": "ask", "per_chunk": 4}]})


def is_continuation(body: dict[str, Any]) -> bool:
    return "Your reply was cut off" in body["messages"][-1]["content"]


class Cutter:
    """Cuts replies about house 1 off, and does as it is told when it is asked to go on."""

    def __init__(self, then: str | None = None, only: str = "house 1") -> None:
        self.then, self.only = then, only
        self.extra: dict[str, Answer] = {"": Answer()}
        self._whole: dict[str, str] = {}

    def __call__(self, number: int, body: dict[str, Any]) -> str | None:
        messages = body["messages"]
        if self.only not in str(messages):
            return None
        if not is_continuation(body):
            self._whole[str(messages)] = Speaker(body).chat()
            return "cut_off"
        if self.then is not None:
            return self.then
        whole, shown = self._whole[str(messages[:-2])], messages[-2]["content"]
        rest = " ".join(shown.split(" ")[-5:]) + whole[len(shown) :]
        choice = {"message": {"role": "assistant", "content": rest}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 50}
        completion = {"object": "chat.completion", "choices": [choice], "usage": usage}
        self.extra[f"rest {number}"] = Answer(body=json.dumps(completion).encode())
        return f"rest {number}"


@pytest.mark.parametrize("json_schema", ["yes", "no"])
def test_a_reply_that_was_cut_off_is_continued_and_all_is_replayed(
    tmp_path: Path, json_schema: str
) -> None:
    room, cutter = Room(tmp_path), Cutter()
    with TeacherServer(cutter, extra=cutter.extra) as server:
        result, output = room.run(server, json_schema=json_schema)
        assert len(server.seen) == 12 + 4
        asked = [seen.body for seen in server.seen if is_continuation(seen.body)]
        context = room.context(server, json_schema=json_schema)
        found = plan_calls(CONFIG, room.inputs, context).count
        again, second = room.run(server, "again", json_schema=json_schema)
        assert len(server.seen) == 16, "nothing is asked twice"
    assert len(asked) == 4
    assert not any("response_format" in body for body in asked)
    figures = result.figures
    assert (result.account.done, figures["asked"]) == (12, 16)
    assert (figures["continued"], figures["continue_failed"]) == (4, 0)
    assert (found.planned, found.in_ledger, found.to_ask) == (16, 16, 0)
    assert (again.figures["asked"], again.figures["replayed"]) == (0, 16)
    assert folder_hash(second) == folder_hash(output)
    for row in output.read().to_pylist():
        sampling, was_cut = json.loads(row["sampling"]), row["uri"] == "house-1.md"
        assert sampling.get("continued") == ([1] if was_cut else None)
        assert len(set(row["ledger_keys"])) == 1 + was_cut
        first = read_exchange(room.project / "ledger.sqlite", row["ledger_keys"][0])
        assert first.status == ("cut_off" if was_cut else "ok")


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("cut_off", "when continued: cut_off: reached max_tokens"),
        ("prose", "when continued: what came does not begin with the last words of the reply"),
        ("refusal", "when continued: refused: I can't help with that."),
        ("empty", "when continued: empty: no text"),
    ],
)
def test_a_continuation_that_is_no_use_is_the_last(tmp_path: Path, then: str, told: str) -> None:
    room = Room(tmp_path)
    with TeacherServer(Cutter(then)) as server:
        result, output = room.run(server)
        assert len(server.seen) == 12 + 4
    assert (result.account.done, dict(result.account.dropped)) == (8, {"cut_off": 4})
    assert result.account.balances
    assert (result.figures["continued"], result.figures["continue_failed"]) == (0, 4)
    for row in output.read("dropped").to_pylist():
        assert row["evidence"].startswith('reached max_tokens; the reply: {"question"')
        assert told in row["evidence"]
        assert len(set(row["ledger_keys"])) == 2


def test_a_continuation_without_a_reply_is_asked_for_again_another_time(tmp_path: Path) -> None:
    room, cutter = Room(tmp_path), Cutter("500")

    def count(server: TeacherServer) -> tuple[int, int, int]:
        found = plan_calls(CONFIG, room.inputs, room.context(server)).count
        return found.planned, found.in_ledger, found.to_ask

    with TeacherServer(cutter, extra=cutter.extra) as server:
        assert count(server) == (12, 0, 12)
        result, output = room.run(server)
        assert dict(result.account.failed) == {"http_500": 4}
        lost = output.read("failed").to_pylist()
        assert all("when continued: http_500" in row["evidence"] for row in lost)
        assert count(server) == (16, 12, 4)
        before, cutter.then = len(server.seen), None
        again, _ = room.run(server, "again")
        assert all(is_continuation(seen.body) for seen in server.seen[before:])
        assert len(server.seen) == before + 4
        assert count(server) == (16, 16, 0)
    assert (again.account.done, again.figures["continued"]) == (12, 4)


def test_many_continuations_are_noted_and_few_are_not(tmp_path: Path) -> None:
    room, cutter = Room(tmp_path), Cutter()
    with TeacherServer(cutter, extra=cutter.extra) as server:
        few, _ = room.run(server)
        many, _ = room.run(server, "many", per_chunk=12, novelty=None)
    assert not few.notes
    (note,) = many.notes
    assert note.startswith("12 replies to 36 requests reached `max_tokens` and were continued, 12")


def test_a_prompt_file_can_do_without_continuations(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("ask", QA.replace("temperature:", "continue: false\ntemperature:"))
    with TeacherServer(Cutter()) as server:
        result, output = room.run(server)
        assert len(server.seen) == 12
    assert dict(result.account.dropped) == {"cut_off": 4}
    assert all(
        row["evidence"] == "reached max_tokens" for row in output.read("dropped").to_pylist()
    )


def test_every_step_of_a_chain_is_continued(tmp_path: Path) -> None:
    room, cutter = Room(tmp_path), Cutter(only="Name one fact")
    room.prompt("chain", CHAIN)
    tasks = [{"prompt": "chain", "per_chunk": 2}]
    with TeacherServer(cutter, extra=cutter.extra) as server:
        result, output = room.run(server, tasks=tasks)
        assert len(server.seen) == 6 * 3
        config = GenerateConfig.model_validate({"tasks": tasks})
        found = plan_calls(config, room.inputs, room.context(server)).count
    assert (found.planned, found.in_ledger, found.to_ask) == (18, 18, 0)
    assert (result.account.done, result.figures["continued"]) == (6, 6)
    assert all(len(set(row["ledger_keys"])) == 3 for row in output.read().to_pylist())
    asked = [str(seen.body) for seen in server.seen if "Ask about" in str(seen.body)]
    whole = r"Ask about this fact: (The mill|Every Friday)[^.]* of house \d\."
    assert len(asked) == 6
    assert all(re.search(whole, body) for body in asked)

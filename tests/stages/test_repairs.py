"""The one repair attempt, from the prompt file to the rows, the ledger and the plan."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import DataError
from domainforge.run_folder import folder_hash
from domainforge.stages.generate import GenerateConfig, plan_calls
from domainforge.teacher.ledger import Ledger
from tests.generation.prompts import CHAIN, QA
from tests.stages.test_generate import Room, is_repair
from tests.support.teacher_server import TeacherServer

CONFIG = GenerateConfig.model_validate({"tasks": [{"prompt": "ask", "per_chunk": 4}]})
Plan = Callable[[int, dict[str, Any]], str | None]


def spoil(first: Mapping[str, str | None], then: Mapping[str, str | None] | None = None) -> Plan:
    """Give the requests about a house a fault, and their repairs another (or none)."""

    def plan(number: int, body: dict[str, Any]) -> str | None:
        faults = (then or {}) if is_repair(body) else first
        passage = str(body["messages"])
        return next((fault for name, fault in faults.items() if name in passage), None)

    return plan


def repairs_in(server: TeacherServer) -> list[dict[str, Any]]:
    return [seen.body for seen in server.seen if is_repair(seen.body)]


def test_a_reply_of_the_wrong_shape_is_asked_for_once_more(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer(spoil({"house 1": "wrong_schema"})) as server:
        result, output = room.run(server)
        assert len(server.seen) == 12 + 4
        bodies = repairs_in(server)
        firsts = [seen.body for seen in server.seen if not is_repair(seen.body)]
    assert len(bodies) == 4
    for body in bodies:
        *before, said, objection = body["messages"]
        (same,) = [first for first in firsts if first["messages"] == before]
        # All but the messages travels as before: schema, sampling, seed.
        assert {**body, "messages": before} == same
        assert said == {"role": "assistant", "content": '{"colour": "blue"}'}
        assert objection["role"] == "user"
        assert "'question' is a required property" in objection["content"]
        assert objection["content"].endswith("Reply again with one JSON object and nothing else.")
    assert (result.account.total, result.account.done) == (12, 12)
    assert result.account.balances
    figures = result.figures
    assert (figures["asked"], figures["repaired"], figures["repair_failed"]) == (16, 4, 0)
    rows = output.read().to_pylist()
    mended = [row for row in rows if row["uri"] == "house-1.md"]
    assert all(len(set(row["ledger_keys"])) == 2 and row["messages"] for row in mended)
    assert all(json.loads(row["sampling"])["repair"] is True for row in mended)
    others = [row for row in rows if row["uri"] != "house-1.md"]
    assert all(len(row["ledger_keys"]) == 1 for row in others)
    assert all("repair" not in json.loads(row["sampling"]) for row in others)


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ("prose", "after a repair: not JSON"),
        ("wrong_schema", "after a repair: the reply: 'question' is a required property"),
        ("refusal", "after a repair: refused: I can't help with that."),
        ("cut_off", "after a repair: cut_off: reached max_tokens"),
        ("empty", "after a repair: empty: no text"),
    ],
)
def test_a_repair_that_fails_is_the_last(tmp_path: Path, second: str, told: str) -> None:
    room = Room(tmp_path)
    plan = spoil({"house 1": "prose"}, {"house 1": second})
    with TeacherServer(plan) as server:
        result, output = room.run(server)
        assert len(server.seen) == 12 + 4
    assert (result.account.done, dict(result.account.dropped)) == (8, {"off_schema": 4})
    assert result.account.balances
    assert (result.figures["repaired"], result.figures["repair_failed"]) == (0, 4)
    for row in output.read("dropped").to_pylist():
        assert row["evidence"].startswith("not JSON: ")
        assert "the reply: Sure! Here is what you asked for." in row["evidence"]
        assert told in row["evidence"]
        assert len(set(row["ledger_keys"])) == 2


def test_a_repair_that_gets_no_reply_is_asked_for_again_another_time(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer(spoil({"house 1": "prose"}, {"house 1": "500"})) as server:
        result, output = room.run(server)
        assert dict(result.account.failed) == {"http_500": 4}
        assert result.account.balances
        lost = output.read("failed").to_pylist()
        assert all("not JSON" in row["evidence"] for row in lost)
        assert all("after a repair: http_500" in row["evidence"] for row in lost)
        before = len(server.seen)
        server.faults = None
        again, _ = room.run(server, "again")
        assert len(server.seen) == before + 4
        assert all(is_repair(seen.body) for seen in server.seen[before:])
    assert (again.figures["asked"], again.figures["replayed"]) == (4, 12)
    assert (again.account.done, again.figures["repaired"]) == (12, 4)


@pytest.mark.parametrize("fault", ["cut_off", "refusal", "filtered", "empty", "tool_calls", "500"])
def test_what_is_not_off_schema_is_not_repaired(tmp_path: Path, fault: str) -> None:
    room = Room(tmp_path)
    with TeacherServer(spoil({"house 1": fault})) as server:
        result, _ = room.run(server)
        assert not repairs_in(server)
    assert (result.account.done, result.figures["repair_failed"]) == (8, 0)


def test_a_prompt_file_can_do_without(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("ask", QA.replace("temperature:", "repair: false\ntemperature:"))
    with TeacherServer(spoil({"house 1": "prose"})) as server:
        result, output = room.run(server)
        assert len(server.seen) == 12
        found = plan_calls(CONFIG, room.inputs, room.context(server))
    assert dict(result.account.dropped) == {"off_schema": 4}
    assert all("repair" not in row["evidence"] for row in output.read("dropped").to_pylist())
    assert (found.count.planned, found.count.to_ask) == (12, 0)


def test_a_text_to_be_continued_is_not_repaired(tmp_path: Path) -> None:
    room = Room(tmp_path)
    # The test teacher knows no such label, so that no reply fits.
    room.prompt("ask", QA.replace("answer", "verdict").replace("Answer:", "Reply:"))
    with TeacherServer() as server:
        with pytest.raises(DataError, match=r"off_schema.*does not begin with 'Verdict:'"):
            room.run(server, form="completion", per_chunk=1)
        assert len(server.seen) == 6


def test_repairs_replay_and_leave_no_trace_of_the_order(tmp_path: Path) -> None:
    Ledger(tmp_path / "secret.sqlite").close()
    hashes = set()
    for name, concurrency in (("one", 1), ("many", 16)):
        (tmp_path / name).mkdir()
        room = Room(tmp_path / name)
        shutil.copy(tmp_path / "secret.sqlite", room.project / "ledger.sqlite")
        plan = spoil({"house 1": "prose", "house 2": "wrong_schema"}, {"house 2": "prose"})
        with TeacherServer(plan) as server:
            first, output = room.run(server, per_chunk=6, concurrency=concurrency)
            asked = len(server.seen)
            again, second = room.run(server, "again", per_chunk=6, concurrency=concurrency)
            assert len(server.seen) == asked == 18 + 12
        assert server.repeats == 0
        assert (first.figures["asked"], again.figures["asked"]) == (30, 0)
        assert (again.figures["replayed"], again.figures["repaired"]) == (30, 6)
        assert folder_hash(second) == folder_hash(output)
        hashes.add(folder_hash(output))
    assert len(hashes) == 1


def test_the_plan_follows_the_ledger_through_a_repair(tmp_path: Path) -> None:
    room = Room(tmp_path)

    def count(server: TeacherServer) -> tuple[int, int, int]:
        found = plan_calls(CONFIG, room.inputs, room.context(server)).count
        return found.planned, found.in_ledger, found.to_ask

    with TeacherServer(spoil({"house 1": "prose"}, {"house 1": "500"})) as server:
        assert count(server) == (12, 0, 12)
        room.run(server)
        # The four replies are there, and call for four repairs that are not.
        assert count(server) == (16, 12, 4)
        found = plan_calls(CONFIG, room.inputs, room.context(server))
        assert {unit.chunk["uri"] for unit in found.unfinished} == {"house-1.md"}
        server.faults = spoil({}, {"house 1": "prose"})
        room.run(server, "again")
        assert count(server) == (16, 16, 0)


def test_the_last_step_of_a_chain_is_repaired(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.prompt("chain", CHAIN)
    tasks = [{"prompt": "chain", "per_chunk": 2}]

    def plan(number: int, body: dict[str, Any]) -> str | None:
        return "prose" if "Ask about" in str(body) and not is_repair(body) else None

    with TeacherServer(plan) as server:
        result, output = room.run(server, tasks=tasks)
        assert len(server.seen) == 6 * 3
        config = GenerateConfig.model_validate({"tasks": tasks})
        found = plan_calls(config, room.inputs, room.context(server)).count
    assert (result.account.total, result.account.done, result.figures["repaired"]) == (6, 6, 6)
    assert (found.planned, found.in_ledger, found.to_ask) == (18, 18, 0)
    assert all(len(set(row["ledger_keys"])) == 3 for row in output.read().to_pylist())


def test_many_repairs_are_noted_and_few_are_not(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer(spoil({"house 1": "prose"})) as server:
        few, _ = room.run(server)
        many, _ = room.run(server, "many", per_chunk=12)
    assert not few.notes
    assert any(note.startswith("12 of 36 replies") and "mended 12" in note for note in many.notes)


def test_progress_counts_the_money_of_repairs(tmp_path: Path) -> None:
    room = Room(tmp_path)
    price = {"input_usd_per_million": 10, "output_usd_per_million": 100}
    with TeacherServer(spoil({"house": "prose"})) as server:
        result, _ = room.run(server, price=price, concurrency=2)
    told = [fields for kind, fields in room.events if kind == "progress"]
    assert told[-1]["done"] == told[-1]["total"] == 12
    assert told[-1]["usd_projected"] == pytest.approx(result.figures["usd"])


def test_a_repair_passes_the_privacy_gate(tmp_path: Path) -> None:
    room = Room(tmp_path)
    redact: dict[str, Any] = {"privacy": {"personal_data": "redact"}}
    refuse: dict[str, Any] = {"privacy": {"personal_data": "refuse"}}
    with TeacherServer(spoil({"house 1": "address"})) as server:
        result, _ = room.run(server, **redact)
        sent = json.dumps(repairs_in(server))
        found = plan_calls(CONFIG, room.inputs, room.context(server, **redact)).count
        (room.project / "ledger.sqlite").unlink()
        asked = len(server.seen)
        kept_back, output = room.run(server, "kept_back", **refuse)
        assert len(server.seen) == asked + 12
    assert "[e-mail removed]" in sent
    assert "maud.tarrant" not in sent
    assert (result.figures["repaired"], result.figures["redacted"]) == (4, 4)
    assert (found.planned, found.in_ledger, found.to_ask) == (16, 16, 0)
    assert (kept_back.account.done, dict(kept_back.account.dropped)) == (8, {"off_schema": 4})
    evidence = [row["evidence"] for row in output.read("dropped").to_pylist()]
    assert all("after a repair: withheld: not sent: it holds e-mail" in said for said in evidence)

"""Replies held to a schema: found out once, remembered, and done without where it is refused."""

from pathlib import Path
from typing import Any

import pytest

from domainforge.prompts import load_prompt
from domainforge.stages.generate import GenerateConfig, identify
from tests.generation.prompts import QA
from tests.stages.test_generate import Room
from tests.support.teacher_server import Seen, TeacherServer


def with_schema(server: TeacherServer) -> list[Seen]:
    return [seen for seen in server.seen if "response_format" in seen.body]


def notes_of(room: Room) -> list[str]:
    return [fields["text"] for kind, fields in room.events if kind == "note"]


def test_a_schema_is_sent_where_the_endpoint_holds_replies_to_it(tmp_path: Path) -> None:
    room = Room(tmp_path)
    with TeacherServer() as server:
        result, _ = room.run(server, json_schema="auto")
        assert len(server.seen) == len(with_schema(server)) == 1 + 12
        for name in ("again", "more"):
            room.run(server, name, per_chunk=5 if name == "more" else 4, json_schema="auto")
        assert len(server.seen) == 1 + 12 + 3, "the endpoint is probed once"
    asked = server.seen[1].body["response_format"]["json_schema"]
    assert asked["strict"] is True
    assert asked["schema"] == load_prompt("ask", tmp_path).schema
    assert result.account.done == 12


def ignore(number: int, body: dict[str, Any]) -> str | None:
    """Take a schema and pay no heed to it: only a prompt that says how gets what it wants."""
    return None if "=== " in str(body["messages"]) else "prose"


@pytest.mark.parametrize("kind", ["refuses", "ignores"])
def test_elsewhere_the_prompt_asks_for_blocks(tmp_path: Path, kind: str) -> None:
    room = Room(tmp_path)
    with TeacherServer(
        ignore if kind == "ignores" else None, json_schema=kind == "ignores"
    ) as server:
        result, output = room.run(server, json_schema="auto")
        assert len(with_schema(server)) == 1
        asked = [seen.body for seen in server.seen if "house" in str(seen.body)]
        room.run(server, "more", per_chunk=5, json_schema="auto")
        assert len(with_schema(server)) == 1, "it is remembered"
    assert len(asked) == 12
    assert all("Reply in the form below" in body["messages"][-1]["content"] for body in asked)
    assert not any("JSON" in str(body) for body in asked)
    assert (result.account.done, result.figures["repaired"]) == (12, 0)
    assert output.read().num_rows == 12


def test_what_the_user_says_of_schemas_is_in_the_fingerprint(tmp_path: Path) -> None:
    """Where it can change the rows, and nowhere else."""
    room, config = Room(tmp_path), GenerateConfig.model_validate({"tasks": [{"prompt": "ask"}]})

    def identities(**settings: str) -> list[dict[str, Any]]:
        said = ("auto", "no", "yes")
        with TeacherServer() as server:
            contexts = [room.context(server, json_schema=one, **settings) for one in said]
        return [identify(config, context) for context in contexts]

    auto, no, yes = identities()
    assert auto != no != yes != auto
    assert len({str(one) for one in identities(form="completion")}) == 1
    room.prompt("ask", QA.replace("version: 1", "version: 1\nreply_form: json"))
    assert len({str(one) for one in identities()}) == 1


def test_an_endpoint_that_forgets_schemas_costs_no_row(tmp_path: Path) -> None:
    room = Room(tmp_path)

    def forget(number: int, body: dict[str, Any]) -> str | None:
        return "400_response_format" if number >= 5 and "response_format" in body else None

    with TeacherServer(forget) as server:
        result, output = room.run(server, json_schema="auto", concurrency=2)
        refused = [seen for seen in server.seen if seen.fault]
        assert 1 <= len(refused) <= 2, "those in flight, and none after"
        assert len(server.seen) == 1 + 12 + len(refused)
        before = len(server.seen)
        room.run(server, "more", per_chunk=5, json_schema="auto")
        assert len(server.seen) == before + 3
        assert not any("response_format" in seen.body for seen in server.seen[before:])
        server.faults = None
        room.run(server, "insisted", per_chunk=6, json_schema="yes")
        assert all("response_format" in seen.body for seen in server.seen[before + 3 :])
        assert len(server.seen) == before + 6
    assert (result.account.done, dict(result.account.failed)) == (12, {})
    assert output.read().num_rows == 12
    (note,) = notes_of(room)
    assert "asks local-teacher without response_format from here on" in note


def test_optional_keys_are_not_sent_as_strict(tmp_path: Path) -> None:
    room = Room(tmp_path)
    reply = (
        "reply: {type: object, properties: {question: {type: string}, answer: {type: string}, "
        "quote: {type: string}}, required: [question, answer]}"
    )
    room.prompt("ask", QA.replace("reply: {question: str, answer: str, quote: str}", reply))
    with TeacherServer() as server:
        result, _ = room.run(server)
    asked = [seen.body["response_format"]["json_schema"] for seen in with_schema(server)]
    assert {schema["strict"] for schema in asked} == {False}
    assert asked[0]["schema"] == load_prompt("ask", tmp_path).schema
    assert result.account.done == 12

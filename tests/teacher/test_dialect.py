from pathlib import Path
from typing import Any

import pytest

from domainforge.teacher.dialect import USUAL, Dialect, find_refused, read_dialect
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import read_error
from domainforge.teacher.session import open_teacher
from tests.support.teacher_faults import Answer
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for
from tests.teacher.test_transports import each_transport

USE_THE_OTHER = "Use 'max_completion_tokens' instead."
REASONING = {"temperature": "", "seed": "", "max_tokens": USE_THE_OTHER}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (
            {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            },
            "max_tokens",
        ),
        (
            {
                "message": "Unsupported value: 'temperature' does not support 0 with this model. "
                "Only the default (1) value is supported.",
                "param": "temperature",
                "code": "unsupported_value",
            },
            "temperature",
        ),
        ({"message": "Unsupported parameter: 'top_p' is not supported"}, "top_p"),
        ({"message": "Model grok-4 does not support parameter stop."}, "stop"),
        ({"message": "property 'seed' is unsupported"}, "seed"),
        ({"message": 'Unknown name "seed": Cannot find field.'}, "seed"),
        ({"message": "`temperature` is deprecated for this model."}, "temperature"),
        ({"message": "temperature: Extra inputs are not permitted"}, "temperature"),
        ({"message": "openai does not support parameters: ['seed'], for model=o1"}, "seed"),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "x"}]}, "seed"),
        (
            {"message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}},
            "seed",
        ),
        ({"message": "temperature must be positive", "param": "temperature"}, None),
        ({"message": "max_tokens is too large: 9000. This model supports at most 4096"}, None),
        (
            {
                "message": "This model's maximum context length is 8192 tokens. However, you "
                "requested 9000 tokens. Please reduce 'max_tokens'.",
                "code": "context_length_exceeded",
            },
            None,
        ),
        ({"message": "Unsupported content: please stop here and plant a seed"}, None),
        ({"message": "Unknown model", "param": "model"}, None),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "model"]}]}, None),
        ({"detail": [{"type": "missing", "loc": ["body", "seed"]}]}, None),
    ],
)
def test_what_an_error_refuses(body: dict[str, Any], name: str | None) -> None:
    text = str(body.get("message", ""))
    assert find_refused(body, text) == name
    assert find_refused({"error": body}, text) == name


def test_bodies_of_any_shape_refuse_nothing() -> None:
    for parsed in (None, [], "no", {"error": "no"}, {"error": {"param": 7}}, {"detail": "no"}):
        assert find_refused(parsed, "no") is None


def test_only_complaints_about_the_request_are_read_so() -> None:
    body = b'{"error": {"message": "Unsupported parameter: \'seed\'"}}'
    endpoint = Endpoint("http://host/v1", "m")
    refused = {s: read_error(s, body, {}, endpoint).refused for s in (400, 422, 429, 500)}
    assert refused == {400: "seed", 422: "seed", 429: None, 500: None}


def test_a_dialect_gives_way_once() -> None:
    dialect = USUAL.without("seed")
    assert dialect == Dialect(frozenset({"seed"}))
    assert dialect.without("seed") is None
    assert dialect.without(None) is None
    other = dialect.without("max_tokens")
    assert other is not None
    assert other.translate({"seed": 1, "max_tokens": 5, "stop": ["x"]}) == {
        "max_completion_tokens": 5,
        "stop": ["x"],
    }
    assert other.without("max_tokens") is None
    assert read_dialect(other.to_json()) == other
    assert USUAL.joined(other) == other


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"left_out": 7}', '"x"'])
def test_what_the_ledger_can_not_tell_is_learnt_anew(text: str | None) -> None:
    assert read_dialect(text) == USUAL


def test_the_ledger_can_not_make_it_leave_out_what_bounds_the_cost() -> None:
    assert read_dialect('{"left_out": ["max_tokens", "messages", "stop"]}') == Dialect(
        frozenset({"stop"})
    )


@each_transport
def test_an_endpoint_that_refuses_settings_is_asked_without_them(
    ledger: Path, transport: str
) -> None:
    # LangChain's package for OpenAI sends `max_completion_tokens` in any case.
    refuses = {name: REASONING[name] for name in REASONING}
    said: list[str] = []
    with TeacherServer(refuses=refuses, delay_seconds=0.01) as server:
        config = config_for(server.base_url, transport=transport, concurrency=8)
        with open_teacher(config, ledger, FAST, say=said.append) as teacher:
            replies = list(teacher.ask(map(chat, range(30))))
            counts = teacher.counts
            keys = {teacher.key(chat(number)) for number in range(30)}
        assert {reply.status for reply in replies} == {"ok"}
        assert {reply.key for reply in replies} == keys
        assert (counts.asked, counts.retried, counts.failed, counts.faults) == (30, 0, 0, {})
        refused = len(server.seen) - 30
        assert len(refuses) - 1 <= refused <= 8 * len(refuses)
        assert len(said) == 1
        assert "without seed, temperature" in said[0]
        before = len(server.seen)
        with open_teacher(config, ledger, FAST, say=said.append) as teacher:
            list(teacher.ask(map(chat, range(30, 40))))
        assert len(said) == 1
        assert len(server.seen) == before + 10
        body = server.seen[-1].body
        assert body["max_completion_tokens"] == 300
        assert not body.keys() & refuses.keys()


def test_a_complaint_that_was_misunderstood_changes_nothing(ledger: Path) -> None:
    odd = Answer(400, b'{"error": {"message": "Unknown field \'seed\' in your garden"}}')
    said: list[str] = []

    def plan(_: int, body: dict[str, Any]) -> str | None:
        return "odd" if "Passage 1." in str(body) else None

    with TeacherServer(plan, extra={"odd": odd}) as server:
        with open_teacher(
            config_for(server.base_url, concurrency=1), ledger, FAST, say=said.append
        ) as teacher:
            statuses = {r.request.tag: r.status for r in teacher.ask(map(chat, range(4)))}
            assert statuses == {0: "ok", 1: "failed", 2: "ok", 3: "ok"}
            assert dict(teacher.counts.faults) == {"http_400": 1}
        asked = [entry.body for entry in server.seen]
        assert len(asked) == 5
        assert sum("seed" not in body for body in asked) == 1
    assert said == []


def test_what_was_not_sent_can_not_be_refused(ledger: Path) -> None:
    odd = Answer(400, b'{"error": {"message": "Unknown parameter: \'stop\'"}}')
    with TeacherServer(lambda *_: "odd", extra={"odd": odd}) as server:
        with open_teacher(config_for(server.base_url), ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
        assert reply.status == "failed"
        assert len(server.seen) == 1

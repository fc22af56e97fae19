"""Teachers that LangChain asks, with Anthropic's package and protocol."""

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domainforge.errors import ConfigError, TeacherError
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.fault import Fault, down_advice
from domainforge.teacher.prices import find_price
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_gate, open_teacher, teacher_identity
from tests.support.anthropic_server import AnthropicServer, Said, error, message
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, KEY, QA_SCHEMA, chat, config_for

MODEL = "anthropic:claude-for-tests"
THINKING = [
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "text", "text": "said"},
]
CALL = [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def claude(server: AnthropicServer, **settings: Any) -> TeacherConfig:
    given = {"base_url": server.base_url, "json_schema": "no", "max_retries": 0} | settings
    return TeacherConfig(transport="langchain", model=MODEL, **given)


@pytest.mark.slow
def test_a_provider_without_an_address(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TeacherConfig(transport="langchain", model=MODEL, json_schema="no")
    assert teacher_identity(config) == f"langchain:{MODEL}"
    assert open_gate(config).secrets == "redact"
    with AnthropicServer() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        with open_teacher(config, ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1, stop=("END",))])
        ((body, headers),) = server.seen
    assert (reply.status, reply.text, reply.finish_reason) == ("ok", "Osk.", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens) == (25, 7)
    assert body == {
        "model": "claude-for-tests",
        "messages": [dict(message) for message in chat(1).messages],
        "max_tokens": 300,
        "temperature": 0.0,
        "stop_sequences": ["END"],
    }
    assert KEY in str(headers)
    with open_teacher(config, ledger, FAST) as teacher:
        assert teacher.known(chat(1, stop=("END",)))


@pytest.mark.slow
def test_a_key_from_the_environment_reaches_no_file(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TeacherConfig(transport="langchain", model=MODEL, json_schema="no", max_retries=0)
    replies = [message(f"your key is {KEY}"), error(500, "api_error", f"no {KEY}")]
    with AnthropicServer(replies) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        with open_teacher(config, ledger, FAST) as teacher:
            texts = [str(reply) for number in (1, 2) for reply in teacher.ask([chat(number)])]
    assert ["[key removed]" in text for text in texts] == [True, True]
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert KEY.encode() not in stored
    assert KEY not in "".join(texts)


@pytest.mark.parametrize(
    ("said", "status", "text"),
    [
        (message(), "ok", "Osk."),
        (message("by fer", "max_tokens"), "cut_off", "by fer"),
        (message("No.", "refusal"), "refused", ""),
        (message(""), "empty", ""),
        (message(content=THINKING), "ok", "said"),
        (message(content=THINKING[:1], stop_reason="max_tokens"), "cut_off", ""),
        (message(content=CALL, stop_reason="tool_use"), "malformed", ""),
        (message(stop_reason="because"), "ok", "Osk."),
        (message(stop_reason=None), "ok", "Osk."),
        (message(usage=None), "ok", "Osk."),
    ],
)
def test_replies(ledger: Path, said: Said, status: str, text: str) -> None:
    with AnthropicServer([said]) as server:
        for replayed in (False, True):
            with open_teacher(claude(server), ledger, FAST) as teacher:
                (reply,) = teacher.ask([chat(1)])
            assert (reply.status, reply.text, reply.replayed) == (status, text, replayed)
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (error(400, "invalid_request_error", "prompt is too long: 9 tokens > 8"), "http_400"),
        (error(413, "request_too_large", "too large"), "http_413"),
        (error(429, "rate_limit_error", "slow"), "http_429"),
        (error(500, "api_error", "no"), "http_500"),
        (error(529, "overloaded_error", "Overloaded"), "http_529"),
        ((502, "<html>bad gateway"), "http_502"),
        # What others name `html`, `broken_json` and `error_body` is hidden by the package.
        ((200, "<html>bad gateway"), "unreadable"),
        ((200, '{"content": ['), "unreadable"),
        ((200, {"type": "error", "error": {"message": "no"}}), "unreadable"),
        (message(content=None), "unreadable"),
    ],
)
def test_faults(ledger: Path, said: Said, kind: str) -> None:
    with AnthropicServer([said]) as server:
        with open_teacher(claude(server), ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
        assert reply.status == "failed"
        assert dict(teacher.counts.faults) == {kind: 1}
        assert reply.detail.startswith(f"{kind}: ")
        assert len(server.seen) == 1


def test_a_refused_key_stops_the_run(ledger: Path) -> None:
    with (
        AnthropicServer([error(401, "authentication_error", "invalid x-api-key")]) as server,
        open_teacher(claude(server), ledger, FAST) as teacher,
        pytest.raises(TeacherError, match=r"refused the request with 401.*api_key_env"),
    ):
        list(teacher.ask([chat(1)]))


def test_a_parameter_that_the_model_refuses_is_left_out(ledger: Path) -> None:
    refusal = error(400, "invalid_request_error", "`temperature` is deprecated for this model.")
    said: list[str] = []
    with AnthropicServer([refusal, message()]) as server:
        with open_teacher(claude(server), ledger, FAST, say=said.append) as teacher:
            (reply,) = teacher.ask([chat(1)])
        assert (reply.status, dict(teacher.counts.faults)) == ("ok", {})
        assert ["temperature" in body for body, _ in server.seen] == [True, False]
        assert len(said) == 1


def test_a_schema_is_held_to_where_the_provider_can(ledger: Path) -> None:
    with AnthropicServer([message('{"mood": "glad"}')]) as server:
        config = claude(server, json_schema="auto")
        with open_teacher(config, ledger, FAST) as teacher:
            assert teacher.supports_schema
            (reply,) = teacher.ask([chat(1, schema=QA_SCHEMA)])
        assert reply.text == '{"mood": "glad"}'
        wanted = server.seen[-1][0]["output_config"]["format"]
        assert wanted["type"] == "json_schema"
        assert wanted["schema"]["properties"] == QA_SCHEMA["properties"]


def test_sessions_one_after_the_other_share_no_connection(ledger: Path) -> None:
    with AnthropicServer() as server:
        for number in range(3):
            with open_teacher(claude(server), ledger, FAST) as teacher:
                (reply,) = teacher.ask([chat(number)])
            assert reply.status == "ok", reply.detail


def test_nothing_is_traced_to_anyone_else(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from langsmith import utils

    with socket.create_server(("127.0.0.1", 0)) as spy, AnthropicServer() as server:
        spy.settimeout(0.5)
        port = spy.getsockname()[1]
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGSMITH_API_KEY", KEY)
        monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{port}")
        utils.get_env_var.cache_clear()
        try:
            assert utils.tracing_is_enabled()
            with open_teacher(claude(server), ledger, FAST) as teacher:
                (reply,) = teacher.ask([chat(1)])
        finally:
            utils.get_env_var.cache_clear()
        assert reply.status == "ok"
        with pytest.raises(TimeoutError):
            spy.accept()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "needs `model`"),
        ({"model": "claude"}, "the provider before the model: anthropic:claude"),
        ({"model": MODEL, "form": "completion"}, "chat models only"),
        ({"embedded": True}, "not for servers that we start"),
        ({"model": MODEL, "batch": True}, "Batch API"),
    ],
)
def test_what_can_not_go_together(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        TeacherConfig(transport="langchain", **settings)


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("mistralai:mistral-small", "can't be used yet.*langchain-mistralai"),
        ("nobody:model", "no provider 'nobody' .the part before the colon.*; it knows anthropic, "),
        ("antropic:model", "no provider 'antropic' .*did you mean 'anthropic:'"),
        ("openai:gpt-4o-mini", "api_key_env"),
    ],
)
def test_a_provider_that_can_not_be_used(
    ledger: Path, model: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = TeacherConfig(transport="langchain", model=model, json_schema="no")
    with (
        open_teacher(config, ledger, FAST) as teacher,
        pytest.raises(ConfigError, match=f"(?s)teacher.model.*{fault}"),
    ):
        list(teacher.ask([chat(1)]))


def test_a_text_to_continue_is_refused(ledger: Path) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url, transport="langchain")
        with (
            open_teacher(config, ledger, FAST) as teacher,
            pytest.raises(TeacherError, match=r"transport: direct"),
        ):
            list(teacher.ask([Request(prompt="Text: a\nAnswer:")]))


def test_prices_are_found_by_provider() -> None:
    assert find_price("langchain:anthropic:claude-sonnet-4-5", "").known
    assert not find_price("langchain:bedrock:claude-sonnet-4-5", "x").known
    assert not find_price("langchain:anthropic:nobody-1", "x").known


def test_advice_is_not_about_an_address_that_nobody_gave() -> None:
    fault = Fault("connection", "refused")
    assert "teacher.base_url" not in down_advice(f"langchain:{MODEL}", fault)
    assert "check the network" in down_advice(f"langchain:{MODEL}", fault)
    assert "check teacher.base_url" in down_advice("http://127.0.0.1:1/v1", fault)

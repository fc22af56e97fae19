"""One suite of faults for every transport: the same classes, the same counts."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.request import classify
from domainforge.teacher.session import open_teacher
from domainforge.teacher.transports.contract import Transport
from domainforge.teacher.transports.direct import DirectTransport
from domainforge.teacher.transports.langchain_chat import LangChainTransport
from domainforge.teacher.transports.openai_sdk import OpenAITransport
from tests.support.ledgers import stats
from tests.support.teacher_faults import Answer
from tests.support.teacher_server import TeacherServer
from tests.teacher.expected import FATAL, FINAL, LASTING, PASSING, UNREADABLE_TO_LANGCHAIN
from tests.teacher.quick import FAST, KEY, QA_SCHEMA, chat, config_for

TRANSPORTS = ("direct", "openai", "langchain")
MAKERS: dict[str, Callable[..., Transport]] = {
    "direct": DirectTransport,
    "openai": OpenAITransport,
    "langchain": LangChainTransport,
}
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)
# Needs a short timeout, which a slow machine meets with other replies too.
ALONE = "timeout"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def number_of(body: dict[str, Any]) -> int:
    """Return which `chat(number)` a body is."""
    return int(body["messages"][-1]["content"].split()[1].rstrip("."))


def test_the_suite_knows_every_transport() -> None:
    assert {*TRANSPORTS} == MAKERS.keys()


@each_transport
def test_every_odd_reply_has_its_class_and_is_counted(ledger: Path, transport: str) -> None:
    finals = dict(FINAL)
    faults = {name: kind for name, kind in {**PASSING, **LASTING}.items() if name != ALONE}
    if transport == "langchain":
        for name in UNREADABLE_TO_LANGCHAIN:
            del finals[name]
            faults[name] = "unreadable"
    names = [*finals, *faults]
    with TeacherServer(lambda _, body: names[number_of(body)]) as server:
        config = config_for(
            server.base_url,
            transport=transport,
            concurrency=4,
            max_retries=0,
            stop_after_failures=len(names),
            max_failed_share=1,
        )
        with open_teacher(config, ledger, FAST) as teacher:
            replies = {r.request.tag: r for r in teacher.ask(map(chat, range(len(names))))}
            counts = teacher.counts
    met = {}
    for number, name in enumerate(names):
        reply = replies[number]
        failed = reply.status == "failed"
        met[name] = reply.detail.split(":")[0] if failed else reply.status
    assert met == {**finals, **faults}
    assert counts.faults == Counter(faults.values())
    assert counts.statuses == Counter(finals.values()) + Counter(failed=len(faults))
    assert counts.asked == len(names)
    with Ledger(ledger) as file:
        assert stats(file).faults == Counter(faults.values())
        assert [*stats(file).completions.values()] == [len(finals)]
    said = {name: replies[names.index(name)].text for name in ("reasoning", "think_block")}
    assert said == {"reasoning": "said", "think_block": "said"}


@each_transport
def test_what_may_pass_is_asked_again_and_what_lasts_is_not(ledger: Path, transport: str) -> None:
    names = [name for name in (*PASSING, *LASTING) if name != ALONE]
    met: set[int] = set()

    def first_of_each(_: int, body: dict[str, Any]) -> str | None:
        number = number_of(body)
        if number in met:
            return None
        met.add(number)
        return names[number]

    with TeacherServer(first_of_each) as server:
        config = config_for(server.base_url, transport=transport, concurrency=4)
        with open_teacher(config, ledger, FAST) as teacher:
            replies = list(teacher.ask(map(chat, range(len(names)))))
            counts = teacher.counts
        failed = {names[reply.request.tag] for reply in replies if reply.status == "failed"}
        assert failed == LASTING.keys()
        assert {reply.status for reply in replies} == {"ok", "failed"}
        assert (counts.retried, counts.failed) == (len(PASSING) - 1, len(LASTING))
        assert len(server.seen) == len(names) + len(PASSING) - 1


@each_transport
def test_a_reply_that_takes_too_long(ledger: Path, transport: str) -> None:
    with TeacherServer(["timeout", None]) as server:
        config = config_for(server.base_url, transport=transport, timeout_seconds=0.6)
        with open_teacher(config, ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
        assert reply.status == "ok"
        assert dict(teacher.counts.faults) == {"timeout": 1}


@pytest.mark.parametrize("transport", ["openai", "langchain"])
@pytest.mark.parametrize(("fault", "advice"), FATAL.items())
def test_fatal_faults_stop_the_run(
    ledger: Path, transport: str, fault: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_FOR_TESTS", KEY)
    advice = advice.split(".*")[0] if transport == "langchain" else advice
    with TeacherServer(lambda number, body: fault) as server:
        config = config_for(server.base_url, transport=transport, api_key_env="KEY_FOR_TESTS")
        with (
            open_teacher(config, ledger, FAST) as teacher,
            pytest.raises(TeacherError, match=advice) as caught,
        ):
            list(teacher.ask([chat(1)]))
        assert teacher.counts.retried == 0
        assert KEY not in str(caught.value)


@each_transport
def test_an_endpoint_that_is_down(ledger: Path, transport: str) -> None:
    with TeacherServer() as server:
        url = server.base_url
    config = config_for(url, transport=transport, max_retries=0)
    with (
        open_teacher(config, ledger, FAST) as teacher,
        pytest.raises(TeacherError, match="does not answer"),
    ):
        list(teacher.ask(map(chat, range(9))))


@each_transport
def test_a_request_too_long_for_the_model_is_the_fault_of_its_row(
    ledger: Path, transport: str
) -> None:
    def plan(_: int, body: dict[str, Any]) -> str | None:
        return "400_context" if number_of(body) == 2 else None

    with TeacherServer(plan) as server:
        config = config_for(server.base_url, transport=transport)
        with open_teacher(config, ledger, FAST) as teacher:
            replies = {r.request.tag: r.status for r in teacher.ask(map(chat, range(6)))}
            assert replies == {number: "failed" if number == 2 else "ok" for number in range(6)}
            assert dict(teacher.counts.faults) == {"http_400": 1}
            assert teacher.counts.retried == 0
        assert len(server.seen) == 6


@each_transport
def test_the_key_is_sent_and_appears_nowhere_else(
    ledger: Path,
    transport: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("KEY_FOR_TESTS", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-someone")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-someone-else")
    caplog.set_level("DEBUG")
    faults = ["500", "html", "broken_json", "error_body", "echo_key", "400", None, "quota_body"]
    said = []
    with TeacherServer(faults) as server:
        config = config_for(
            server.base_url, transport=transport, api_key_env="KEY_FOR_TESTS", concurrency=1
        )
        with open_teacher(config, ledger, FAST) as teacher:
            try:
                said.extend(repr(reply) for reply in teacher.ask(map(chat, range(9))))
            except TeacherError as error:
                said.append(str(error))
        assert {entry.headers["authorization"] for entry in server.seen} == {f"Bearer {KEY}"}
        assert not any("openai-organization" in entry.headers for entry in server.seen)
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert b"[key removed]" in stored
    assert KEY.encode() not in stored
    assert KEY not in "".join(said)
    assert KEY not in caplog.text


@each_transport
def test_no_key_is_taken_from_the_environment_for_an_address(
    ledger: Path, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-someone-else")
    with TeacherServer() as server:
        config = config_for(server.base_url, transport=transport)
        with open_teacher(config, ledger, FAST) as teacher:
            list(teacher.ask([chat(1)]))
        assert "someone" not in str(server.seen[0].headers)


@each_transport
def test_what_is_asked_is_sent(ledger: Path, transport: str) -> None:
    request = chat(1, schema=QA_SCHEMA, stop=("\n\n",), top_p=0.9, temperature=0.7, sample=3)
    with TeacherServer() as server:
        config = config_for(server.base_url, transport=transport)
        with open_teacher(config, ledger, FAST) as teacher:
            (reply,) = teacher.ask([request])
        (seen,) = server.seen
    body = seen.body
    assert json.loads(reply.text).keys() == {"question", "answer", "quote"}
    assert body["messages"] == list(request.messages)
    wanted = {"model": "local-teacher", "temperature": 0.7, "top_p": 0.9, "seed": 3}
    assert wanted.items() <= body.items()
    assert body["stop"] == ["\n\n"]
    assert body.get("max_tokens", body.get("max_completion_tokens")) == 300
    sent = body["response_format"]["json_schema"]
    assert (sent["strict"], sent["schema"]["properties"]) == (True, QA_SCHEMA["properties"])


@each_transport
def test_tokens_are_counted_alike(ledger: Path, transport: str) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url, transport=transport)
        with open_teacher(config, ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
    asked = len(chat(1).messages[0]["content"].split())
    assert (reply.prompt_tokens, reply.completion_tokens) == (asked, len(reply.text.split()))
    assert reply.finish_reason == "stop"


@each_transport
@pytest.mark.parametrize("packed", [False, True])
def test_a_gigantic_reply_is_given_up(transport: str, packed: bool) -> None:
    completion = {
        "object": "chat.completion",
        "choices": [{"message": {"role": "assistant", "content": "x" * 50_000}}],
        "usage": {},
    }
    body = json.dumps(completion).encode()
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = Answer(body=gzip.compress(body) if packed else body, headers=headers)
    assert packed == (len(answer.body) < 20_000)
    with TeacherServer(lambda *_: "gigantic", extra={"gigantic": answer}) as server:
        name = "openai:local-teacher" if transport == "langchain" else "local-teacher"
        endpoint = Endpoint(server.base_url, name)

        async def ask(most_bytes: int) -> str:
            opened = MAKERS[transport](endpoint, 20, most_bytes)
            try:
                answer = await opened.send(chat(1), with_schema=False)
                return classify(answer.completion).text
            finally:
                await opened.close()

        assert len(asyncio.run(ask(100_000))) == 50_000
        with pytest.raises(Fault) as caught:
            asyncio.run(ask(20_000))
    fault = caught.value
    assert (fault.kind, fault.passing, fault.may_be_billed) == ("too_large", False, True)

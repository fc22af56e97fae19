import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import ConfigError, TeacherError
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_teacher
from tests.support.ledgers import stats
from tests.support.teacher_faults import BODIES, COMPLETIONS, DEEDS, ERRORS, PACKED
from tests.support.teacher_server import TeacherServer
from tests.teacher.expected import FATAL, FINAL, LASTING, PASSING, PATIENCE
from tests.teacher.quick import FAST, KEY, QA_SCHEMA, chat, config_for, first_time


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_every_fault_of_the_server_is_expected_somewhere() -> None:
    kinds = {*ERRORS, *COMPLETIONS, *BODIES, *PACKED, *DEEDS}
    assert kinds == FINAL.keys() | PASSING.keys() | LASTING.keys() | FATAL.keys()


@pytest.mark.parametrize(("fault", "status"), FINAL.items())
def test_odd_completions_are_final_and_replayed(ledger: Path, fault: str, status: str) -> None:
    with TeacherServer([fault]) as server:
        for replayed in (False, True):
            with open_teacher(config_for(server.base_url), ledger, FAST) as teacher:
                (reply,) = teacher.ask([chat(1)])
                assert (reply.status, reply.replayed) == (status, replayed)
                assert dict(teacher.counts.statuses) == {status: 1}
                json.dumps(reply.text, ensure_ascii=False).encode()
        assert len(server.seen) == 1


@pytest.mark.parametrize(("fault", "kind"), PASSING.items())
def test_passing_faults_are_mended_by_a_retry(ledger: Path, fault: str, kind: str) -> None:
    with TeacherServer([fault, fault, None]) as server:
        config = config_for(server.base_url, timeout_seconds=PATIENCE.get(fault, 30))
        with open_teacher(config, ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
            counts = teacher.counts
        assert reply.status == "ok"
        assert dict(counts.faults) == {kind: 2}
        assert (counts.asked, counts.retried, counts.failed) == (1, 2, 0)
        assert len(server.seen) == 3


@pytest.mark.parametrize(("fault", "kind"), {**PASSING, **LASTING}.items())
def test_lasting_faults_fail_and_are_asked_again_next_time(
    ledger: Path, fault: str, kind: str
) -> None:
    with TeacherServer(lambda number, body: fault if "Passage 1." in str(body) else None) as server:
        config = config_for(server.base_url, timeout_seconds=PATIENCE.get(fault, 30), max_retries=1)
        with open_teacher(config, ledger, FAST) as teacher:
            replies = list(teacher.ask([chat(0), chat(1)]))
            failed = next(reply for reply in replies if reply.status == "failed")
            assert failed.detail.startswith(f"{kind}: ")
            assert (failed.request.tag, failed.text) == (1, "")
            assert (teacher.counts.asked, teacher.counts.failed) == (2, 1), teacher.counts
            assert teacher.counts.faults == {kind: 1 if fault in LASTING else 2}
            assert not teacher.known(chat(1))
        before = len(server.seen)
        assert before == (2 if fault in LASTING else 3)
        server.faults = None
        with open_teacher(config, ledger, FAST) as teacher:
            assert {reply.status for reply in teacher.ask([chat(0), chat(1)])} == {"ok"}
            assert (teacher.counts.asked, teacher.counts.asked_again) == (1, 0)
        assert len(server.seen) == before + 1


@pytest.mark.parametrize(("fault", "advice"), FATAL.items())
def test_fatal_faults_stop_at_once_with_what_to_do(
    ledger: Path, fault: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_FOR_TESTS", KEY)
    with TeacherServer(lambda number, body: fault if number >= 10 else None) as server:
        config = config_for(server.base_url, concurrency=4, api_key_env="KEY_FOR_TESTS")
        with open_teacher(config, ledger, FAST) as teacher:
            with pytest.raises(TeacherError, match=advice) as caught:
                list(teacher.ask(chat(number) for number in range(1000)))
            assert teacher.counts.retried == 0
        assert 11 <= len(server.seen) <= 10 + 2 * 4
        assert KEY not in str(caught.value)
        with Ledger(ledger) as file:
            assert stats(file).completions.popitem()[1] == 10
            assert stats(file).faults
            assert file.interrupted() == 0


def test_replies_in_flight_with_a_fatal_one_are_kept(ledger: Path) -> None:
    def plan(number: int, body: dict[str, Any]) -> str | None:
        return "401" if "Passage 2." in str(body) else None

    with TeacherServer(plan, delay_seconds=0.2) as server:
        config = config_for(server.base_url, concurrency=4)
        with open_teacher(config, ledger, FAST) as teacher:
            with pytest.raises(TeacherError):
                list(teacher.ask(chat(number) for number in range(4)))
            assert [teacher.known(chat(number)) for number in range(4)] == [True, True, False, True]


def test_the_context_fault_of_every_request_ends_the_run(ledger: Path) -> None:
    with TeacherServer(lambda number, body: "400_context") as server:
        config = config_for(server.base_url, stop_after_failures=7, concurrency=2)
        with (
            open_teacher(config, ledger, FAST) as teacher,
            pytest.raises(TeacherError, match=r"7 requests in a row.*exceeds the context size"),
        ):
            list(teacher.ask(chat(number) for number in range(100)))
        assert 7 <= len(server.seen) <= 9


def test_failures_in_between_do_not_end_the_run(ledger: Path) -> None:
    with TeacherServer(lambda number, body: "400_context" if number % 2 else None) as server:
        config = config_for(
            server.base_url, stop_after_failures=5, max_failed_share=0.5, concurrency=1
        )
        with open_teacher(config, ledger, FAST) as teacher:
            replies = list(teacher.ask(chat(number) for number in range(40)))
    assert sum(reply.status == "failed" for reply in replies) == 20


def test_too_large_a_share_of_failures_ends_the_run(ledger: Path) -> None:
    with TeacherServer(lambda number, body: None if number % 3 else "400_context") as server:
        config = config_for(
            server.base_url, stop_after_failures=5, max_failed_share=0.3, concurrency=1
        )
        with (
            open_teacher(config, ledger, FAST) as teacher,
            pytest.raises(TeacherError, match=r"5 of 1\d requests failed.*max_failed_share \(0.3"),
        ):
            list(teacher.ask(chat(number) for number in range(100)))
        assert len(server.seen) < 30


def test_an_endpoint_that_is_down_is_named_soon(ledger: Path) -> None:
    with TeacherServer() as server:
        url = server.base_url
    with (
        open_teacher(config_for(url, max_retries=1), ledger, FAST) as teacher,
        pytest.raises(TeacherError, match=rf"{url} does not answer.*start it"),
    ):
        list(teacher.ask(chat(number) for number in range(100)))
    assert teacher.counts.asked <= 2 * 8 + 3


def test_an_endpoint_that_goes_down_is_named_after_enough_failures(ledger: Path) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url, max_retries=0, stop_after_failures=6, concurrency=1)
        with open_teacher(config, ledger, FAST) as teacher:
            assert [reply.status for reply in teacher.ask([chat(0)])] == ["ok"]
            server.stop()
            with pytest.raises(TeacherError, match="does not answer"):
                list(teacher.ask(chat(number) for number in range(1, 100)))
            assert 6 <= teacher.counts.failed <= 7


def test_retry_after_is_honoured(ledger: Path) -> None:
    with TeacherServer(["429_retry_after", None], retry_after="0.4") as server:
        started = time.monotonic()
        with open_teacher(config_for(server.base_url), ledger, FAST) as teacher:
            (reply,) = teacher.ask([chat(1)])
        assert reply.status == "ok"
        assert time.monotonic() - started >= 0.4


def test_a_waiting_retry_frees_its_slot(ledger: Path) -> None:
    with TeacherServer(["429_retry_after"], retry_after="0.5") as server:
        config = config_for(server.base_url, concurrency=1)
        with open_teacher(config, ledger, FAST) as teacher:
            order = [reply.request.tag for reply in teacher.ask([chat(0), chat(1)])]
        assert order == [1, 0]


def test_concurrency_is_used_and_kept(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.05) as server:
        config = config_for(server.base_url, concurrency=6)
        with open_teacher(config, ledger, FAST) as teacher:
            replies = list(teacher.ask(chat(number) for number in range(40)))
        assert {reply.request.tag for reply in replies} == set(range(40))
        assert server.most_at_once == 6


def test_requests_are_taken_lazily_and_in_the_callers_thread(ledger: Path) -> None:
    taken: list[int] = []

    def requests() -> Iterator[Request]:
        for number in range(100):
            assert threading.current_thread() is threading.main_thread()
            taken.append(number)
            yield chat(number)

    with TeacherServer() as server:
        config = config_for(server.base_url, concurrency=3)
        with open_teacher(config, ledger, FAST) as teacher:
            for count, _ in enumerate(teacher.ask(requests()), start=1):
                assert len(taken) <= count + 6


def test_replies_come_in_order_of_completion(ledger: Path) -> None:
    with (
        TeacherServer(first_time("429_retry_after", 0), retry_after="0.5") as server,
        open_teacher(config_for(server.base_url), ledger, FAST) as teacher,
    ):
        order = [reply.request.tag for reply in teacher.ask(chat(number) for number in range(5))]
    assert order[-1] == 0


def test_a_second_session_asks_nothing_and_needs_no_endpoint(ledger: Path) -> None:
    with TeacherServer() as server:
        config = config_for(server.base_url, json_schema="auto")
        with open_teacher(config, ledger, FAST) as teacher:
            first = {reply.request.tag: reply for reply in teacher.ask(map(chat, range(20)))}
            assert teacher.counts.prompt_tokens > 0
    with open_teacher(config, ledger, FAST) as teacher:
        assert teacher.known(chat(3))
        assert not teacher.known(chat(99))
        for reply in teacher.ask(map(chat, range(20))):
            assert reply.replayed
            assert reply.text == first[reply.request.tag].text
        counts = teacher.counts
    assert (counts.asked, counts.replayed, counts.prompt_tokens) == (0, 20, 0)


def test_identical_requests_are_asked_once_and_samples_apart(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.02) as server:
        with open_teacher(config_for(server.base_url), ledger, FAST) as teacher:
            requests = [chat(1), chat(1), chat(1, sample=1), chat(2), chat(1)]
            replies = list(teacher.ask(requests))
            assert (teacher.counts.asked, teacher.counts.replayed) == (3, 2)
        assert len(replies) == 5
        assert sum(reply.replayed for reply in replies) == 2
        assert sorted(entry.body["seed"] for entry in server.seen) == [0, 0, 1]
        assert len({reply.key for reply in replies}) == 3


def test_a_reply_is_in_the_ledger_before_it_is_seen(ledger: Path) -> None:
    with (
        TeacherServer() as server,
        Ledger(ledger) as other,
        open_teacher(config_for(server.base_url), ledger, FAST) as teacher,
    ):
        for reply in teacher.ask(chat(number) for number in range(30)):
            assert other.has(reply.key)


def test_stopping_early_keeps_what_was_in_flight(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.1) as server:
        config = config_for(server.base_url, concurrency=4)
        with open_teacher(config, ledger, FAST) as teacher:
            for _ in teacher.ask(chat(number) for number in range(100)):
                break
            sent = len(server.seen)
            assert sum(teacher.known(chat(number)) for number in range(100)) == sent
            time.sleep(0.2)
            assert len(server.seen) == sent
            assert {reply.status for reply in teacher.ask(map(chat, range(10)))} == {"ok"}


def test_what_is_cut_off_in_flight_is_told_when_asked_again(ledger: Path) -> None:
    with TeacherServer(first_time("timeout", 0)) as server:
        config = config_for(server.base_url)
        hasty = Pace(grace_seconds=0)
        with open_teacher(config, ledger, hasty) as teacher:
            for reply in teacher.ask([chat(0), chat(1)]):
                assert reply.request.tag == 1
                while len(server.seen) < 2:
                    time.sleep(0.01)
                break
        with open_teacher(config, ledger, FAST) as teacher:
            list(teacher.ask([chat(0), chat(1)]))
            assert (teacher.counts.asked, teacher.counts.asked_again) == (1, 1)


def test_an_error_of_the_callers_iterator_comes_through(ledger: Path) -> None:
    with (
        TeacherServer(delay_seconds=0.1) as server,
        open_teacher(config_for(server.base_url), ledger, FAST) as teacher,
    ):

        def requests() -> Iterator[Request]:
            yield chat(0)
            while not server.seen:
                time.sleep(0.01)
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            list(teacher.ask(requests()))
        assert teacher.known(chat(0))


def test_one_call_inside_another(ledger: Path) -> None:
    with (
        TeacherServer() as server,
        open_teacher(config_for(server.base_url, concurrency=2), ledger, FAST) as teacher,
    ):
        pairs = {
            outer.request.tag: [
                inner.status for inner in teacher.ask([chat(outer.request.tag + 50)])
            ]
            for outer in teacher.ask(map(chat, range(8)))
        }
    assert pairs == {number: ["ok"] for number in range(8)}


def test_a_ledger_that_fails_stops_the_run(ledger: Path) -> None:
    code = """
import resource
from tests.teacher.ask_many import main
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
main()
"""
    with TeacherServer() as server:
        command = [sys.executable, "-c", code, server.base_url, str(ledger), "1000"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"StorageError: {ledger}: the disk" in done.stderr
    keys = [line.split()[0] for line in done.stdout.splitlines()]
    with Ledger(ledger) as file:
        assert keys
        assert all(file.has(key) for key in keys)


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_key_is_named(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("KEY_FOR_TESTS", raising=False)
    if value is not None:
        monkeypatch.setenv("KEY_FOR_TESTS", value)
    config = config_for("http://127.0.0.1:9/v1", api_key_env="KEY_FOR_TESTS")
    with (
        open_teacher(config, ledger, FAST) as teacher,
        pytest.raises(ConfigError, match=r"export KEY_FOR_TESTS=\.\.\."),
    ):
        list(teacher.ask([chat(1)]))


def test_the_key_is_sent_and_appears_nowhere_else(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KEY_FOR_TESTS", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-someone")
    caplog.set_level(logging.DEBUG)
    faults = ["500", "html", "broken_json", "error_body", "echo_key", "400", None, "quota_body"]
    said = []
    with TeacherServer(faults) as server:
        config = config_for(server.base_url, api_key_env="KEY_FOR_TESTS", concurrency=1)
        with open_teacher(config, ledger, FAST) as teacher:
            said.append(repr(teacher.__dict__))
            try:
                said.extend(repr(reply) for reply in teacher.ask(map(chat, range(9))))
            except TeacherError as error:
                said.append(str(error))
            said.append(repr(teacher.__dict__))
        assert {entry.headers["authorization"] for entry in server.seen} == {f"Bearer {KEY}"}
        assert not any("openai-organization" in entry.headers for entry in server.seen)
    assert any("[key removed]" in text for text in said)
    stored = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert b"[key removed]" in stored
    assert KEY.encode() not in stored
    assert KEY not in "".join(said)
    assert KEY not in caplog.text


def test_what_is_sent(ledger: Path) -> None:
    with TeacherServer() as server:
        with open_teacher(config_for(server.base_url), ledger, FAST) as teacher:
            request = chat(1, schema=QA_SCHEMA, stop=("\n\n",), top_p=0.9, temperature=0.7)
            (reply,) = teacher.ask([request])
            assert json.loads(reply.text).keys() == {"question", "answer", "quote"}
        with open_teacher(config_for(server.base_url, json_schema="no"), ledger, FAST) as teacher:
            list(teacher.ask([chat(2, schema=QA_SCHEMA), Request(prompt="Text: a\nAnswer:")]))
    bodies = [entry.body for entry in sorted(server.seen, key=lambda entry: "prompt" in entry.body)]
    wanted = {"name": "reply", "strict": True, "schema": QA_SCHEMA}
    assert bodies[0] == {
        "model": "local-teacher",
        "messages": list(request.messages),
        "max_tokens": 300,
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 0,
        "stop": ["\n\n"],
        "response_format": {"type": "json_schema", "json_schema": wanted},
    }
    assert "response_format" not in bodies[1]
    assert bodies[2]["prompt"] == "Text: a\nAnswer:"

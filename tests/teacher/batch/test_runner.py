import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.batch.journal import Handed, Journal
from domainforge.teacher.batch.runner import BatchDesk
from domainforge.teacher.batch.terms import Done
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.prices import Price, Rates
from domainforge.teacher.request import Request, request_text
from domainforge.teacher.session import open_teacher
from tests.support.batch_server import BatchServer, Fate
from tests.support.ledgers import stats
from tests.support.teacher_server import TeacherServer
from tests.teacher.batch.desk import (
    IDENTITY,
    QUICK,
    UNPRICED,
    answer,
    chats,
    keyed,
    open_ledger,
)
from tests.teacher.quick import FAST, KEY, QA_SCHEMA, chat, config_for, first_time

NOBODY = "http://127.0.0.1:9/v1"
ROW_FAULTS = {
    "429": "http_429",
    "500": "http_500",
    "408": "http_408",
    "html": "html",
    "error_body": "error_body",
    "json_list": "broken_json",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def deed(call: str, what: str | list[str | None]) -> Callable[[str, int], str | None]:
    """Let the first calls of a kind go wrong."""
    steps = [what] if isinstance(what, str) else what
    return lambda name, number: steps[number] if name == call and number < len(steps) else None


def all_answered(told: dict[str, Done], count: int) -> bool:
    return len(told) == count and all(done.response is not None for done in told.values())


def open_batches(path: Path) -> int:
    with open_ledger(path) as ledger:
        return int(ledger.read("SELECT count(*) FROM batches WHERE status = 'open'")[0][0])


def test_a_batch_brings_the_rows_of_the_live_path(path: Path) -> None:
    requests = [*chats(4), chat(9, schema=QA_SCHEMA, stop=("pier",), top_p=0.5, sample=3)]
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        told = answer(server.base_url, path, requests)
        config = config_for(teacher.base_url, same_as="lab")
        with open_teacher(config, path.with_name("live.sqlite"), FAST) as live:
            asked = {reply.key: reply.text for reply in live.ask(requests)}
    with open_teacher(config_for(NOBODY, same_as="lab"), path, FAST) as replaying:
        assert replaying.identity == IDENTITY
        replies = list(replaying.ask(requests))
    assert all(reply.replayed for reply in replies)
    assert {reply.key: reply.text for reply in replies} == asked
    assert told.keys() == asked.keys()


def test_requests_are_cut_into_batches_and_each_is_executed_once(path: Path) -> None:
    progress: list[str] = []
    with TeacherServer() as teacher, BatchServer(teacher, {1: Fate(looks=2)}) as server:
        told = answer(server.base_url, path, chats(25), progress=progress, max_requests=10)
        assert all_answered(told, 25)
        assert all(done.fresh for done in told.values())
        assert server.executed == Counter(told.keys())
        assert [batch.total for batch in server.batches.values()] == [10, 10, 5]
        headers = [seen.headers.get("authorization") for seen in teacher.seen]
        assert headers == [None] * 25
    assert re.fullmatch(r"batch 1 of [123]: 0 of 10 done, next look in 0 s", progress[0])
    assert "batch 3 of 3: 5 of 5 done, completed" in progress
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        again = answer(server.base_url, path, chats(25))
        assert all_answered(again, 25)
        assert not any(done.fresh for done in again.values())
        assert server.calls == Counter()


def test_no_file_is_larger_than_allowed(path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        told = answer(server.base_url, path, chats(9), max_bytes=1200)
        assert all_answered(told, 9)
        assert len(server.batches) > 1
        sizes = [len(server.files[batch.input_file_id]) for batch in server.batches.values()]
        assert max(sizes) <= 1200
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        (done,) = answer(server.base_url, path, [chat(99)], max_bytes=100).values()
        assert done.fault is not None
        assert done.fault.kind == "too_large"
        assert server.calls == Counter()


def test_texts_to_continue_go_to_the_other_address(path: Path) -> None:
    requests = [*chats(2), Request(prompt="The ferry to Osk leaves at")]
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        assert all_answered(answer(server.base_url, path, requests), 3)
        urls = sorted(batch.url for batch in server.batches.values())
        assert urls == ["/v1/chat/completions", "/v1/completions"]


@pytest.mark.parametrize(
    ("fate", "repeated", "kind"),
    [
        (Fate(stop_after=4), 0, "batch_expired"),
        (Fate(drop=frozenset({0, 7})), 2, "batch_missing"),
        (Fate(damage=frozenset({3})), 1, "batch_missing"),
        (Fate(shuffle=True), 0, None),
        (Fate(stop_after=3, drop=frozenset({1}), shuffle=True), 1, "batch_expired"),
    ],
)
def test_what_did_not_come_back_goes_into_the_next_batch(
    path: Path, fate: Fate, repeated: int, kind: str | None
) -> None:
    with TeacherServer() as teacher, BatchServer(teacher, {0: fate}) as server:
        told = answer(server.base_url, path, chats(10))
        assert all_answered(told, 10)
        assert server.executed.total() == 10 + repeated
        assert len(server.batches) == (1 if kind is None else 2)
    texts = {str(done.response) for done in told.values()}
    assert all(f"at {number} past" in str(texts) for number in range(10))
    met = Counter(kind for done in told.values() for kind in done.faults)
    assert set(met) == ({kind} if kind else set())


@pytest.mark.parametrize(("fault", "kind"), ROW_FAULTS.items())
def test_rows_with_passing_faults_are_handed_over_again(path: Path, fault: str, kind: str) -> None:
    with TeacherServer(first_time(fault, 2)) as teacher, BatchServer(teacher) as server:
        told = answer(server.base_url, path, chats(5))
        assert all_answered(told, 5)
        assert sorted(server.executed.values()) == [1, 1, 1, 1, 2]
    assert [done.faults for done in told.values() if done.faults] == [(kind,)]
    with open_ledger(path) as ledger:
        assert stats(ledger).faults == {kind: 1}


def test_lasting_and_unceasing_faults_end_as_failed(path: Path) -> None:
    def plan(number: int, body: dict[str, Any]) -> str | None:
        text = str(body)
        return "400" if "Passage 1." in text else "500" if "Passage 2." in text else None

    with TeacherServer(plan) as teacher, BatchServer(teacher) as server:
        config = config_for(server.base_url, max_retries=2)
        told = answer(server.base_url, path, chats(4), config=config)
        assert sorted(server.executed.values()) == [1, 1, 1, 3]
    failed = {done.fault.kind: done.faults for done in told.values() if done.fault}
    assert failed == {"http_400": ("http_400",), "http_500": ("http_500",) * 3}
    assert open_batches(path) == 0


def test_when_all_fail_it_stops_with_the_reason(path: Path) -> None:
    with TeacherServer({"400": 1.0}) as teacher, BatchServer(teacher) as server:
        config = config_for(server.base_url, stop_after_failures=4)
        with pytest.raises(TeacherError, match=r"6 requests in a row failed.*http_400"):
            answer(server.base_url, path, chats(6), config=config)


@pytest.mark.parametrize(
    ("fault", "advice"), [("insufficient_quota", "add credit"), ("403", "KEY_FOR_TESTS")]
)
def test_a_fatal_row_stops_and_the_others_are_kept(path: Path, fault: str, advice: str) -> None:
    with TeacherServer(first_time(fault, 3)) as teacher, BatchServer(teacher) as server:
        with pytest.raises(TeacherError, match=advice):
            answer(server.base_url, path, chats(5))
        told = answer(server.base_url, path, chats(5))
        assert all_answered(told, 5)
        assert sorted(server.executed.values()) == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("fate", "batches"),
    [(Fate("invalid_request", (2, 4)), 2), (Fate("server_error"), 2), (Fate("", (99,)), 2)],
)
def test_a_refused_file_costs_nothing_and_the_rest_goes_again(
    path: Path, fate: Fate, batches: int
) -> None:
    with TeacherServer() as teacher, BatchServer(teacher, {0: fate}) as server:
        told = answer(server.base_url, path, chats(5))
        assert len(server.batches) == batches
        assert set(server.executed.values()) == {1}
    wrong = [done.fault for done in told.values() if done.fault]
    named = [line for line in fate.refuse_lines if line <= 5]
    assert [fault.kind for fault in wrong] == ["batch_refused"] * len(named)
    assert len(told) == 5
    assert KEY not in str(wrong)


def test_a_full_queue_is_waited_for_and_met_with_smaller_batches(path: Path) -> None:
    full = Fate("token_limit_exceeded")
    fates = {1: full}
    with TeacherServer() as teacher, BatchServer(teacher, fates) as server:
        told = answer(server.base_url, path, chats(12), max_requests=6)
        assert all_answered(told, 12)
        assert set(server.executed.values()) == {1}
        totals = [batch.total for batch in server.batches.values()]
        assert totals == [6, 6, 6]
    fates = dict.fromkeys(range(3), full)
    with TeacherServer() as teacher, BatchServer(teacher, fates) as server:
        told = answer(server.base_url, path, [chat(n) for n in range(20, 28)])
        assert [batch.total for batch in server.batches.values()] == [8, 4, 4, 2, 2, 2, 2]
        assert all_answered(told, 8)
    with TeacherServer() as teacher, BatchServer(teacher, dict.fromkeys(range(99), full)) as server:
        config = config_for(server.base_url, stop_after_failures=3)
        with pytest.raises(TeacherError, match=r"took no batch.*refused"):
            answer(server.base_url, path, [chat(50)], config=config)


def test_a_batch_that_someone_cancelled_stops_the_run(path: Path) -> None:
    fate = Fate(stop_after=3, stop_as="cancelled")
    with TeacherServer() as teacher, BatchServer(teacher, {0: fate}) as server:
        with pytest.raises(TeacherError, match=r"batch_0 was cancelled.*the 3 replies.*other 5"):
            answer(server.base_url, path, chats(8))
        told = answer(server.base_url, path, chats(8))
        assert all_answered(told, 8)
        assert set(server.executed.values()) == {1}


@pytest.mark.parametrize("call", ["upload", "create", "look", "content"])
def test_calls_are_repeated_after_passing_faults(path: Path, call: str) -> None:
    faults: list[str | None] = ["429", "500", "html", "drop", "lose"]
    with (
        TeacherServer() as teacher,
        BatchServer(teacher, deeds=deed(call, faults), retry_after="0.01") as server,
    ):
        assert all_answered(answer(server.base_url, path, chats(3)), 3)
        assert set(server.executed.values()) == {1}
        assert len(server.batches) == 1
        assert server.calls[call] > len(faults) - (call == "create")


@pytest.mark.parametrize("with_metadata", [True, False])
def test_a_batch_whose_answer_was_lost_is_found_in_a_long_list(
    path: Path, with_metadata: bool
) -> None:
    with (
        TeacherServer() as teacher,
        BatchServer(
            teacher, deeds=deed("create", [None, None, "lose"]), with_metadata=with_metadata, page=1
        ) as server,
    ):
        told = answer(server.base_url, path, chats(12), max_requests=3)
        assert all_answered(told, 12)
        assert set(server.executed.values()) == {1}
        assert len(server.batches) == 4


def test_where_batches_are_not_listed_a_lost_one_may_run_twice_and_the_log_says_so(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def deeds(call: str, number: int) -> str | None:
        return "404" if call == "list" else deed("create", "lose")(call, number)

    with TeacherServer() as teacher, BatchServer(teacher, deeds=deeds) as server:
        assert all_answered(answer(server.base_url, path, chats(3)), 3)
        assert set(server.executed.values()) == {2}
    assert "lists no batches: a lost one can't be found" in caplog.text


def test_a_key_that_is_refused_stops_at_once_and_stays_secret(path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher, deeds=deed("upload", "401")) as server:
        with pytest.raises(TeacherError, match="KEY_FOR_TESTS") as caught:
            answer(server.base_url, path, chats(3))
        assert KEY not in str(caught.value)
        assert all_answered(answer(server.base_url, path, chats(3)), 3)
        assert set(server.executed.values()) == {1}
    assert KEY.encode() not in path.read_bytes()


def test_an_endpoint_without_a_batch_api_is_named_as_such(path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        url = f"{server.base_url}/elsewhere"
        with pytest.raises(TeacherError, match=r"no Batch API; set teacher\.batch to false"):
            answer(url, path, chats(3))


def test_looks_that_fail_for_too_long_leave_the_batch_to_the_next_run(path: Path) -> None:
    failing: list[str | None] = ["500"] * 4
    with (
        TeacherServer() as teacher,
        BatchServer(teacher, deeds=deed("look", failing)) as server,
    ):
        config = config_for(server.base_url, stop_after_failures=4)
        with pytest.raises(TeacherError, match=r"4 looks in a row at batch batch_0.*goes on"):
            answer(server.base_url, path, chats(3), config=config)
        assert all_answered(answer(server.base_url, path, chats(3)), 3)
        assert set(server.executed.values()) == {1}


def test_a_batch_that_the_endpoint_lost_is_handed_over_again(path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:

        def lose(call: str, number: int) -> str | None:
            if (call, number) == ("look", 1):
                server.batches["forgotten"] = server.batches.pop("batch_0")
            return None

        server.deeds = lose
        server.fates = {0: Fate(looks=5)}
        told = answer(server.base_url, path, chats(2))
        assert all_answered(told, 2)
        assert set(server.executed.values()) == {2}
        assert {done.faults for done in told.values()} == {("batch_lost",)}


def test_a_batch_of_another_key_is_not_paid_for_again(path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        with open_ledger(path) as ledger:
            journal = Journal(ledger, IDENTITY, server.base_url)
            ((key, request),) = keyed([chat(1)])
            with journal.working("s"):
                journal.claim("s", [Handed(key, request_text(request))])
                journal.set_file("s", "file-x")
                journal.set_batch("s", "batch_x")
        with pytest.raises(TeacherError, match="use the key that it was started with"):
            answer(server.base_url, path, [chat(1)])
        assert not server.executed
        assert all_answered(answer(server.base_url, path, [chat(1)], gone_hours=0.0), 1)


def test_files_that_are_gone_mean_asking_again(path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:

        def clean(call: str, number: int) -> str | None:
            if (call, number) == ("content", 0):
                del server.files["file-1"]
            return None

        server.deeds = clean
        told = answer(server.base_url, path, chats(2))
        assert all_answered(told, 2)
        assert {done.faults for done in told.values()} == {("batch_missing",)}


def start_and_leave(base_url: str, path: Path, requests: list[Request], caplog: Any) -> None:
    """Hand requests over and go when the batch has been looked at once."""
    endpoint = Endpoint(base_url, "local-teacher", KEY)

    async def run() -> None:
        seen = asyncio.Event()
        with open_ledger(path) as ledger:
            desk = BatchDesk(
                endpoint,
                IDENTITY,
                config_for(base_url),
                ledger,
                FAST,
                UNPRICED,
                terms=QUICK,
                on_progress=lambda progress: seen.set(),
            )
            task = asyncio.create_task(desk.answer(keyed(requests), True, lambda done: None))
            await seen.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await desk.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())


def test_stopping_leaves_the_batch_running_and_says_so(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TeacherServer() as teacher, BatchServer(teacher, {0: Fate(looks=3)}) as server:
        start_and_leave(server.base_url, path, chats(4), caplog)
        assert "1 of the batches" in caplog.text
        assert "run the same command again" in caplog.text
        told = answer(server.base_url, path, chats(6))
        assert all_answered(told, 6)
        assert set(server.executed.values()) == {1}
        assert [batch.total for batch in server.batches.values()] == [4, 2]


def test_replies_of_an_earlier_batch_are_kept_unasked(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with TeacherServer() as teacher, BatchServer(teacher, {0: Fate(looks=2)}) as server:
        start_and_leave(server.base_url, path, chats(4), caplog)
        told = answer(server.base_url, path, [chat(77)], first_look_seconds=0.1)
        assert all_answered(told, 1)
        with open_ledger(path) as ledger:
            assert stats(ledger).completions == {IDENTITY: 5}
    assert open_batches(path) == 0


def test_replies_are_charged_once_at_the_price_of_batches(path: Path) -> None:
    live = (Rates(Fraction(100), Fraction(100), Fraction(400)),)
    half = (Rates(Fraction(50), Fraction(50), Fraction(200)),)
    price = Price("here", tiers=live, batch=half)
    fates = {0: Fate(drop=frozenset({1}))}
    with TeacherServer() as teacher, BatchServer(teacher, fates) as server:
        told = answer(server.base_url, path, chats(3), price=price)
        assert sorted(server.executed.values()) == [1, 1, 2]
    usages = [done.response["usage"] for done in told.values() if done.response]
    worst = price.for_batch().worst_case(chat(1)).nano_usd
    spent = sum(50 * u["prompt_tokens"] + 200 * u["completion_tokens"] for u in usages)
    with open_ledger(path) as ledger:
        assert ledger.spent("run-1").nano_usd == spent + worst
    assert sum(done.nano_usd for done in told.values()) == spent + worst


def test_a_budget_can_forbid_the_repetition(path: Path) -> None:
    fates = {0: Fate(stop_after=1)}
    told: dict[str, Done] = {}
    with TeacherServer() as teacher, BatchServer(teacher, fates) as server:

        async def run() -> None:
            endpoint = Endpoint(server.base_url, "local-teacher", KEY)
            with open_ledger(path) as ledger:
                config = config_for(server.base_url)
                desk = BatchDesk(endpoint, IDENTITY, config, ledger, FAST, UNPRICED, terms=QUICK)
                await desk.answer(
                    keyed(chats(3)),
                    True,
                    lambda done: told.update({done.key: done}),
                    lambda key: False,
                )
                await desk.close()

        asyncio.run(run())
        assert server.executed.total() == 1
    kinds = [done.fault.kind for done in told.values() if done.fault]
    assert kinds == ["batch_expired", "batch_expired"]

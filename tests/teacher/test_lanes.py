import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import TeacherError
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.request import Reply, Request
from domainforge.teacher.session import open_teacher
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for, first_time

KEYS = {"FIRST_KEY": "sk-first-0123456789", "SECOND_KEY": "sk-second-0123456789"}
FIXED: dict[str, Any] = {"concurrency": 4}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


def group(*servers: TeacherServer, **settings: Any) -> TeacherConfig:
    """Return a config for servers of one group."""
    first, *others = (server.base_url for server in servers)
    entries = [{"base_url": url} for url in others]
    return config_for(first, same_as="group", endpoints=entries, **{**FIXED, **settings})


def ask(
    config: TeacherConfig, ledger: Path, count: int, said: list[str] | None = None
) -> tuple[list[Reply], Counter[str]]:
    """Ask so many different requests; return the replies, and what was counted."""
    notes = [] if said is None else said
    with open_teacher(config, ledger, FAST, say=notes.append) as teacher:
        replies = list(teacher.ask(map(chat, range(count))))
        counts = teacher.counts
    totals = Counter({"asked": counts.asked, "failed": counts.failed, "replayed": counts.replayed})
    return replies, totals


def check_all_there(replies: list[Reply], count: int) -> None:
    assert Counter(reply.status for reply in replies) == {"ok": count}
    assert sorted(reply.request.tag for reply in replies) == list(range(count))


def authorizations(server: TeacherServer) -> Counter[str]:
    return Counter(entry.headers.get("authorization", "none") for entry in server.seen)


@pytest.mark.usefixtures("keys")
def test_two_keys_at_one_address_share_the_work(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.01) as server:
        config = config_for(
            server.base_url,
            api_key_env="FIRST_KEY",
            endpoints=[{"api_key_env": "SECOND_KEY"}],
            **FIXED,
        )
        replies, totals = ask(config, ledger, 200)
        check_all_there(replies, 200)
        seen = authorizations(server)
        assert server.repeats == 0
        assert server.most_at_once == 8
    assert seen.keys() == {f"Bearer {key}" for key in KEYS.values()}
    assert min(seen.values()) >= 60
    assert totals["asked"] == 200


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("second_key", ["SECOND_KEY", None])
def test_a_key_goes_to_its_own_address_only(ledger: Path, second_key: str | None) -> None:
    with TeacherServer({"500": 0.2}) as first, TeacherServer({"drop": 0.2}) as second:
        entry = {"base_url": second.base_url, "api_key_env": second_key}
        config = config_for(
            first.base_url, api_key_env="FIRST_KEY", same_as="group", endpoints=[entry], **FIXED
        )
        check_all_there(ask(config, ledger, 100)[0], 100)
        assert authorizations(first).keys() == {f"Bearer {KEYS['FIRST_KEY']}"}
        own = f"Bearer {KEYS[second_key]}" if second_key else "none"
        assert authorizations(second).keys() == {own}


@pytest.mark.slow
def test_each_does_as_much_as_it_sustains(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.02) as fast, TeacherServer(delay_seconds=0.2) as slow:
        replies, _ = ask(group(slow, fast), ledger, 330)
        check_all_there(replies, 330)
        assert 6 <= len(fast.seen) / len(slow.seen) <= 14


@pytest.mark.parametrize("settings", [{}, {"concurrency": None}])
@pytest.mark.parametrize("fault", ["401", "403", "402", "500", "drop", "html", "429"])
def test_one_that_always_fails_costs_no_row(
    ledger: Path, fault: str, settings: dict[str, Any]
) -> None:
    said: list[str] = []
    with TeacherServer(lambda *_: fault) as bad, TeacherServer(delay_seconds=0.002) as good:
        config = group(bad, good, max_retries=2, **settings)
        replies, totals = ask(config, ledger, 200, said)
        check_all_there(replies, 200)
        assert (totals["asked"], totals["failed"]) == (200, 0)
        assert len(good.seen) == 200
        assert len(bad.seen) <= 40
        if fault != "429":
            assert len(said) == 1
            assert bad.base_url in said[0]
            named = {"402": "add credit", "drop": "connection"}
            assert named.get(fault, fault) in said[0]


@pytest.mark.slow
def test_one_that_dies_midway_costs_no_row(ledger: Path) -> None:
    said: list[str] = []
    with TeacherServer(delay_seconds=0.01) as dying, TeacherServer(delay_seconds=0.01) as good:
        config = group(dying, good, max_retries=2)
        tags = []
        with open_teacher(config, ledger, FAST, say=said.append) as teacher:
            for reply in teacher.ask(map(chat, range(400))):
                assert reply.status == "ok"
                tags.append(reply.request.tag)
                if len(tags) == 100:
                    dying.stop()
            assert (teacher.counts.asked, teacher.counts.failed) == (400, 0)
            # All that flew, and one probe now and then.
            assert teacher.counts.faults["connection"] <= 12
        assert sorted(tags) == list(range(400))
    assert len(said) == 1
    assert re.search(
        rf"{dying.base_url} fails \(connection: .*other endpoints do its work", said[0]
    )


def test_one_that_comes_back_is_used_again(ledger: Path) -> None:
    def plan(number: int, body: dict[str, Any]) -> str | None:
        return "500" if 20 <= number < 24 else None

    with (
        TeacherServer(plan, delay_seconds=0.005) as shaky,
        TeacherServer(delay_seconds=0.05) as good,
    ):
        check_all_there(ask(group(shaky, good), ledger, 300)[0], 300)
        # It rested for a second, in which the other did 80.
        assert len(shaky.seen) > 120


def test_one_that_hangs_costs_no_row(ledger: Path) -> None:
    said: list[str] = []
    with TeacherServer(lambda *_: "timeout") as hanging, TeacherServer() as good:
        config = group(hanging, good, timeout_seconds=0.5, max_retries=2)
        started = time.monotonic()
        check_all_there(ask(config, ledger, 300, said)[0], 300)
        assert time.monotonic() - started < 3
        assert len(hanging.seen) <= 8
    assert [hanging.base_url in note for note in said] == [True]


@pytest.mark.parametrize("fault", ["401", "500", "html"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_dead_one_beside_one_that_always_fails_ends_the_run(
    ledger: Path, fault: str, order: int
) -> None:
    with TeacherServer() as dead, TeacherServer(lambda *_: fault) as bad:
        dead.stop()
        config = group(*(dead, bad)[::order], max_retries=2)
        started = time.monotonic()
        with pytest.raises(TeacherError) as caught:
            ask(config, ledger, 1000)
        assert time.monotonic() - started < 5
    said = str(caught.value)
    assert dead.base_url in said
    assert "start it" in said or "mend that" in said


def test_all_that_refuse_the_key_are_named(ledger: Path) -> None:
    with TeacherServer(lambda *_: "401") as first, TeacherServer(lambda *_: "403") as second:
        with pytest.raises(TeacherError, match=r"teacher\.api_key_env") as caught:
            ask(group(first, second), ledger, 100)
        assert first.base_url in str(caught.value)
        assert second.base_url in str(caught.value)


def test_requests_that_all_fail_end_a_run_with_several_endpoints_too(ledger: Path) -> None:
    with (
        TeacherServer(lambda *_: "400_context") as first,
        TeacherServer(lambda *_: "400") as second,
    ):
        config = group(first, second, stop_after_failures=7)
        with pytest.raises(TeacherError, match=r"7 requests in a row failed|max_failed_share"):
            ask(config, ledger, 1000)
        assert len(first.seen) + len(second.seen) <= 40


def test_the_ledger_is_one_whoever_answered(ledger: Path) -> None:
    with TeacherServer() as first, TeacherServer() as second:
        config = group(first, second)
        replies, _ = ask(config, ledger, 60)
        assert first.seen
        assert second.seen
    texts = {reply.request.tag: (reply.key, reply.text) for reply in replies}
    # Both are gone, in either order, or only one of them is named.
    for other in (group(second, first), group(first), group(second)):
        replayed, totals = ask(other, ledger, 60)
        assert totals["asked"] == 0
        assert {reply.request.tag: (reply.key, reply.text) for reply in replayed} == texts


@pytest.mark.parametrize("fault", ["401", "500"])
def test_a_first_one_that_fails_does_not_keep_the_rest_from_opening(
    ledger: Path, fault: str
) -> None:
    said: list[str] = []
    with TeacherServer(lambda *_: fault) as bad, TeacherServer() as good:
        config = group(bad, good, json_schema="auto", max_retries=2)
        check_all_there(ask(config, ledger, 50, said)[0], 50)
    assert [bad.base_url in note for note in said][:1] == [True]
    assert len(said) <= 2


def test_a_slow_reply_holds_nobody_back(ledger: Path) -> None:
    plan = first_time("timeout", 0)
    with TeacherServer(plan, delay_seconds=0.02, hang_seconds=0.8) as server:
        config = config_for(server.base_url, **FIXED)
        order, times = [], []
        started = time.monotonic()
        with open_teacher(config, ledger, FAST) as teacher:
            for reply in teacher.ask(map(chat, range(60))):
                order.append(reply.request.tag)
                times.append(time.monotonic() - started)
    assert sorted(order) == list(range(60))
    # 59 replies of 20 ms through the other three slots.
    assert order[-1] == 0
    assert times[-2] < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"concurrency": 4}, {}])
@pytest.mark.parametrize("fault", [None, {"429_retry_after": 0.3}])
def test_a_source_without_end_is_not_drained_ahead(
    ledger: Path, settings: dict[str, Any], fault: dict[str, float] | None
) -> None:
    taken = 0

    def requests() -> Iterator[Request]:
        nonlocal taken
        for number in range(1_000_000):
            taken += 1
            yield chat(number)

    with TeacherServer(fault, delay_seconds=0.005, retry_after="0.2") as server:
        config = config_for(server.base_url, **settings)
        with open_teacher(config, ledger, FAST) as teacher:
            for count, _ in enumerate(teacher.ask(requests()), start=1):
                limit = max(4, server.most_at_once)
                assert taken - count <= 17 * limit
                if count == 300:
                    break
        assert taken <= 300 + 17 * server.most_at_once


def test_tokens_a_minute_are_kept_at_an_endpoint_that_costs_nothing(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.2) as server:
        # Each request may take more than what is granted for two seconds, so one leaves at a time
        # until it is known how little they take.
        config = config_for(server.base_url, tokens_per_minute=3000, **FIXED)
        check_all_there(ask(config, ledger, 3)[0], 3)
        assert server.most_at_once < 3


def test_what_was_in_flight_at_a_dead_endpoint_is_not_counted_as_interrupted(ledger: Path) -> None:
    with TeacherServer(lambda *_: "drop") as bad, TeacherServer() as good:
        ask(group(bad, good), ledger, 100)
    with Ledger(ledger) as file:
        assert file.interrupted() == 0

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import BudgetError, TeacherError
from domainforge.teacher.batch.terms import BatchTerms
from domainforge.teacher.client import Teacher
from domainforge.teacher.config import PriceConfig, TeacherConfig
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.prices import find_price
from domainforge.teacher.request import Reply, Request
from domainforge.teacher.session import open_teacher
from tests.support.batch_server import BatchServer, Fate
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for

TERMS = BatchTerms(
    max_requests=10, first_look_seconds=0.005, longest_look_seconds=0.02, group_rows=3
)
PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0, "batch_share": 0.5}


def ask(
    server: BatchServer, path: Path, count: int, said: list[str] | None = None, **settings: Any
) -> list[Reply]:
    config = config_for(server.base_url, batch=True, same_as="lab", **settings)
    return ask_config(config, path, count, said)


def ask_config(
    config: TeacherConfig, path: Path, count: int, said: list[str] | None = None
) -> list[Reply]:
    say = (said if said is not None else []).append
    with open_teacher(config, path, FAST, account="run", say=say, batch_terms=TERMS) as teacher:
        return list(teacher.ask(chat(number) for number in range(count)))


def test_a_teacher_asks_in_batches_and_replays_them_live(tmp_path: Path) -> None:
    said: list[str] = []
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        replies = ask(server, tmp_path / "l", 25, said)
        assert [batch.total for batch in server.batches.values()] == [10, 10, 5]
        assert {reply.request.tag for reply in replies} == set(range(25))
        assert Counter(reply.status for reply in replies) == {"ok": 25}
        again = ask_config(config_for(teacher.base_url, same_as="lab"), tmp_path / "l", 25)
        assert [reply.replayed for reply in again] == [True] * 25
        texts = {reply.request.tag: reply.text for reply in replies}
        assert {reply.request.tag: reply.text for reply in again} == texts
        assert set(server.executed.values()) == {1}
    assert any("batch 1 of" in line and "10 of 10 done" in line for line in said)


def test_what_expires_comes_in_the_next_batch(tmp_path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher, {0: Fate(stop_after=4)}) as server:
        replies = ask(server, tmp_path / "l", 10)
        assert Counter(reply.status for reply in replies) == {"ok": 10}
        assert [batch.total for batch in server.batches.values()] == [10, 6]


def test_batches_cost_their_share_and_keep_to_the_cap(tmp_path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        config = config_for(
            server.base_url, batch=True, price=PRICE, budget={"max_usd": 0.01}, same_as="lab"
        )
        options: dict[str, Any] = {"account": "run", "batch_terms": TERMS}
        with open_teacher(config, tmp_path / "l", FAST, **options) as asked:
            replies = list(asked.ask(chat(number) for number in range(10)))
        billed = sum(
            reply.prompt_tokens * 500 + reply.completion_tokens * 1000 for reply in replies
        )
        spent = asked.budget.spent.nano_usd
        assert 0 < spent - billed < 50_000, (
            "one small request, live, tells how it wants to be asked"
        )
        with Ledger(tmp_path / "l") as ledger:
            assert spent == ledger.spent("run").nano_usd
        assert asked.budget.reserved == (0, 0)
        tight = config.model_copy(
            update={"budget": config.budget.model_copy(update={"max_usd": 0.002})}
        )
        with (
            open_teacher(tight, tmp_path / "l", FAST, **options) as poor,
            pytest.raises(BudgetError, match="max_usd"),
        ):
            list(poor.ask(chat(number) for number in range(10, 100)))
        assert poor.budget.spent.nano_usd <= 2_000_000


def test_a_setting_that_is_refused_is_learnt_before_a_batch_leaves(tmp_path: Path) -> None:
    refuses = {"temperature": "", "max_tokens": "Use 'max_completion_tokens' instead."}
    said: list[str] = []
    with TeacherServer(refuses=refuses) as teacher, BatchServer(teacher) as server:
        replies = ask(server, tmp_path / "l", 5, said)
        assert Counter(reply.status for reply in replies) == {"ok": 5}
        assert set(server.executed.values()) == {1}
        assert all("max_completion_tokens" in seen.body for seen in teacher.seen[-5:])
    assert any("refuses some settings" in line for line in said)


def test_live_requests_that_are_in_an_open_batch_are_not_paid_twice(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with TeacherServer() as teacher, BatchServer(teacher, {0: Fate(looks=10**6)}) as server:
        config = config_for(server.base_url, batch=True, same_as="lab")
        with open_teacher(config, path, FAST, batch_terms=TERMS) as asked:
            source = asked.ask(chat(number) for number in range(10))

            def follow() -> None:
                with suppress(TeacherError):
                    next(source)

            thread = threading.Thread(target=follow, daemon=True)
            thread.start()
            while not server.batches:
                time.sleep(0.01)
        thread.join()
        live = config_for(teacher.base_url, same_as="lab")
        while len(teacher.seen) < 11:  # a probe, and the rows that the provider works on
            time.sleep(0.01)
        seen = len(teacher.seen)
        with pytest.raises(TeacherError, match=r"in a batch at the provider.*teacher.batch=true"):
            ask_config(live, path, 10)
        assert len(teacher.seen) == seen
        others = [chat(number) for number in range(100, 103)]
        with open_teacher(live, path, FAST) as asked:
            assert [reply.status for reply in asked.ask(others)] == ["ok"] * 3


def test_a_cap_that_leaves_a_trickle_stops_instead_of_batches_of_one(tmp_path: Path) -> None:
    with TeacherServer() as teacher, BatchServer(teacher) as server:
        with pytest.raises(BudgetError, match="too few for a batch"):
            ask(server, tmp_path / "l", 200, price=PRICE, budget={"max_usd": 0.003})
        assert len(server.batches) <= 4
        with Ledger(tmp_path / "l") as ledger:
            assert ledger.spent("run").nano_usd <= 3_000_000
            assert ledger.read("SELECT count(*) FROM batch_requests") == [(0,)]


def worst_case_nano_usd() -> int:
    """Return what one of the requests may cost in a batch."""
    price = find_price(None, None, PriceConfig(**PRICE)).for_batch()
    return price.worst_case(chat(1)).nano_usd


@contextmanager
def open_capped(server: BatchServer, path: Path, requests: float) -> Iterator[Teacher]:
    """Open a teacher with room for the worst case of so many requests."""
    cap = {"max_usd": requests * worst_case_nano_usd() / 1e9}
    config = config_for(server.base_url, batch=True, same_as="lab", price=PRICE, budget=cap)
    options: dict[str, Any] = {"account": "run", "batch_terms": TERMS}
    with open_teacher(config, path, FAST, say=lambda text: None, **options) as teacher:
        yield teacher


def breaks_off_after(count: int) -> Iterator[Request]:
    """Give so many requests, then fail."""
    for number in range(count):
        yield chat(number)
    raise OSError("of the caller")


@pytest.mark.timeout(20)
def test_a_batch_that_loses_rows_keeps_to_the_cap(tmp_path: Path) -> None:
    lost = Fate(drop=frozenset(range(10)))
    with (
        TeacherServer() as teacher,
        BatchServer(teacher, dict.fromkeys(range(6), lost)) as server,
        open_capped(server, tmp_path / "l", 11) as asked,
    ):
        replies = list(asked.ask(chat(number) for number in range(10)))
        assert {reply.status for reply in replies} == {"failed"}
        assert len(server.batches) == 1
        assert asked.budget.spent.nano_usd <= 11 * worst_case_nano_usd()
        assert asked.budget.reserved == (0, 0)


@pytest.mark.timeout(20)
def test_what_a_broken_off_call_had_gathered_is_free_again(tmp_path: Path) -> None:
    with (
        TeacherServer() as teacher,
        BatchServer(teacher) as server,
        open_capped(server, tmp_path / "l", 1.5) as asked,
    ):
        with pytest.raises(OSError, match="of the caller"):
            list(asked.ask(breaks_off_after(1)))
        assert asked.budget.reserved == (0, 0)
        assert not server.batches
        assert [reply.status for reply in asked.ask([chat(2)])] == ["ok"]


@pytest.mark.timeout(20)
def test_what_a_broken_off_call_had_handed_over_is_paid_once(tmp_path: Path) -> None:
    with (
        TeacherServer() as teacher,
        BatchServer(teacher, dict.fromkeys(range(2), Fate(looks=10))) as server,
        open_capped(server, tmp_path / "l", 22) as asked,
    ):

        def source() -> Iterator[Request]:
            yield from (chat(number) for number in range(19))
            # What was taken leaves after a request that took its time.
            time.sleep(0.01)
            yield chat(19)
            deadline = time.monotonic() + 10
            while len(server.batches) < 2 and time.monotonic() < deadline:
                time.sleep(0.005)
            raise OSError("of the caller")

        with pytest.raises(OSError, match="of the caller"):
            list(asked.ask(source()))
        assert len(server.batches) == 2
        assert asked.budget.reserved.nano_usd >= 20 * worst_case_nano_usd()
        replies = list(asked.ask(chat(number) for number in range(20)))
        assert Counter(reply.status for reply in replies) == {"ok": 20}
        assert set(server.executed.values()) == {1}
        assert asked.budget.reserved == (0, 0)


@pytest.mark.timeout(20)
def test_the_same_request_of_two_calls_is_in_one_batch(tmp_path: Path) -> None:
    with (
        TeacherServer() as teacher,
        BatchServer(teacher) as server,
        open_capped(server, tmp_path / "l", 100) as asked,
    ):
        barrier = threading.Barrier(2)
        statuses: list[str] = []

        def source() -> Iterator[Request]:
            yield chat(1)
            barrier.wait(5)
            yield chat(2)

        def run() -> None:
            statuses.extend(reply.status for reply in asked.ask(source()))

        threads = [threading.Thread(target=run, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert statuses == ["ok"] * 4
        assert set(server.executed.values()) == {1}
        assert asked.budget.reserved == (0, 0)

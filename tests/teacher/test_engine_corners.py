import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from sqlite3 import IntegrityError, connect
from typing import Any

import pytest

from domainforge.errors import BudgetError, TeacherError
from domainforge.teacher.client import Teacher
from domainforge.teacher.config import PriceConfig
from domainforge.teacher.jobs import Call
from domainforge.teacher.ledger import Entry, Ledger, Written
from domainforge.teacher.pace import Pace
from domainforge.teacher.prices import find_price
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_teacher
from tests.support.ledgers import stats
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import FAST, chat, config_for

pytestmark = pytest.mark.timeout(20)

PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}
WORST = find_price(None, None, PriceConfig(**PRICE)).worst_case(chat(1)).nano_usd
IMPATIENT = Pace(base_seconds=0.005, cap_seconds=0.02, grace_seconds=0.05)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def capped(requests: float) -> dict[str, Any]:
    """Return settings that leave room for the worst case of so many requests."""
    return {"price": PRICE, "budget": {"max_usd": requests * WORST / 1e9}}


def one_hangs(number: int, body: dict[str, Any]) -> str | None:
    """Say nothing to the request of `chat(5)`."""
    return "timeout" if "Passage 5." in str(body) else None


def wait_for(there: Callable[[], object]) -> None:
    """Return when it is there."""
    deadline = time.monotonic() + 10
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def break_off(teacher: Teacher, server: TeacherServer, number: int) -> None:
    """Ask, and end the call with an error while the request is at the server."""
    arrived = len(server.seen)

    def source() -> Iterator[Request]:
        yield chat(number)
        wait_for(lambda: len(server.seen) > arrived)
        raise OSError("of the caller")

    with pytest.raises(OSError, match="of the caller"):
        list(teacher.ask(source()))


def together(*acts: Callable[[], object]) -> list[Any]:
    """Do things at the same time; return what they returned, or the errors they ended with."""
    barrier, came = threading.Barrier(len(acts)), [None for _ in acts]

    def run(place: int, act: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            came[place] = act()
        except TeacherError as error:
            came[place] = error  # type: ignore[call-overload]

    threads = [
        threading.Thread(target=run, args=(place, act), daemon=True)
        for place, act in enumerate(acts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "it waits for what will not come"
    return came


def charged(ledger: Path) -> int:
    """Return what the ledger says was spent, in billionths of a dollar."""
    with Ledger(ledger) as file:
        return file.spent("").nano_usd


def test_asking_after_a_fatal_stop_says_so_again(ledger: Path) -> None:
    with (
        TeacherServer(lambda number, body: "401") as server,
        open_teacher(config_for(server.base_url), ledger, FAST) as teacher,
    ):
        for number in range(2):
            with pytest.raises(TeacherError, match="401"):
                list(teacher.ask([chat(number)]))
        assert len(server.seen) == 1


def test_a_stop_that_is_looked_into_while_the_call_ends_is_told_to_the_next(ledger: Path) -> None:
    with (
        _no_model_and_a_list_that_hangs() as (base_url, asked_for_list),
        open_teacher(config_for(base_url, price=PRICE), ledger, IMPATIENT) as teacher,
    ):

        def source() -> Iterator[Request]:
            yield chat(1)
            assert asked_for_list.wait(10)
            raise OSError("of the caller")

        with pytest.raises(OSError, match="of the caller"):
            list(teacher.ask(source()))
        assert teacher.budget.reserved == (0, 0)
        with Ledger(ledger) as file:
            assert (stats(file).faults, file.interrupted()) == ({"http_404": 1}, 0)
        with pytest.raises(TeacherError, match="no model"):
            list(teacher.ask([chat(2)]))


@contextmanager
def _no_model_and_a_list_that_hangs() -> Iterator[tuple[str, threading.Event]]:
    asked_for_list, stopping = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            asked_for_list.set()
            stopping.wait(10)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b'{"error": {"message": "no model", "code": "model_not_found"}}')

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", asked_for_list
        finally:
            stopping.set()
            server.shutdown()


def test_a_request_cut_off_is_charged_once_and_frees_its_reservation(ledger: Path) -> None:
    with TeacherServer(one_hangs) as server:
        config = config_for(server.base_url, **capped(2.5))
        with open_teacher(config, ledger, IMPATIENT) as teacher:
            break_off(teacher, server, 5)
            assert teacher.budget.reserved == (0, 0)
            assert teacher.budget.spent.nano_usd == WORST
            assert [reply.status for reply in teacher.ask([chat(1)])] == ["ok"]
        spent = teacher.budget.spent.nano_usd
        assert charged(ledger) == spent < 2 * WORST
        server.faults = None
        with open_teacher(config, ledger, IMPATIENT) as teacher:
            assert teacher.budget.spent.nano_usd == spent
            assert [reply.status for reply in teacher.ask([chat(5)])] == ["ok"]
            assert teacher.counts.asked_again == 1
        assert spent < charged(ledger) < spent + WORST


def test_what_was_cut_off_counts_against_the_cap_of_the_next_teacher(ledger: Path) -> None:
    with TeacherServer(one_hangs) as server:
        config = config_for(server.base_url, **capped(1.5))
        with open_teacher(config, ledger, IMPATIENT) as teacher:
            break_off(teacher, server, 5)
            with pytest.raises(BudgetError, match="max_usd"):
                list(teacher.ask([chat(1)]))
        with (
            open_teacher(config, ledger, IMPATIENT) as teacher,
            pytest.raises(BudgetError, match="max_usd"),
        ):
            list(teacher.ask([chat(1)]))
        assert len(server.seen) == 1


def test_a_ledger_that_refused_leaves_nothing_set_aside_and_goes_on(ledger: Path) -> None:
    refuse = "CREATE TRIGGER no BEFORE INSERT ON started BEGIN SELECT RAISE(ABORT, 'no room'); END"
    with TeacherServer() as server:
        config = config_for(server.base_url, concurrency=4, **capped(4.5))
        with open_teacher(config, ledger, FAST) as teacher, closing(connect(ledger)) as file:
            file.execute(refuse)
            with pytest.raises(IntegrityError, match="no room"):
                list(teacher.ask(chat(number) for number in range(10)))
            assert teacher.budget.reserved == (0, 0)
            assert server.seen == []
            file.execute("DROP TRIGGER no")
            assert [reply.status for reply in teacher.ask([chat(2)])] == ["ok"]


def test_the_same_request_in_two_threads_is_asked_once_and_charged_once(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.01) as server:
        config = config_for(server.base_url, concurrency=8, price=PRICE)
        with open_teacher(config, ledger, FAST) as teacher:

            def ask() -> list[tuple[object, str]]:
                replies = teacher.ask(chat(number) for number in range(20))
                return sorted((str(reply.request.tag), reply.text) for reply in replies)

            first, second = together(ask, ask)
            assert len(first) == 20
            assert first == second
            assert (len(server.seen), teacher.counts.asked_again) == (20, 0)
            assert teacher.budget.reserved == (0, 0)
        with Ledger(ledger) as file:
            usage = file.read("SELECT sum(prompt_tokens), sum(completion_tokens) FROM completions")
        ((prompts, completions),) = usage
        assert teacher.budget.spent.nano_usd == prompts * 1000 + completions * 2000
        assert charged(ledger) == teacher.budget.spent.nano_usd


def test_a_request_asked_again_by_its_own_source_waits_for_the_same_reply(ledger: Path) -> None:
    inner: list[str] = []
    with (
        TeacherServer(delay_seconds=0.1) as server,
        open_teacher(config_for(server.base_url), ledger, FAST) as teacher,
    ):

        def source() -> Iterator[Request]:
            yield chat(1)
            wait_for(lambda: server.seen)
            inner.extend(reply.text for reply in teacher.ask([chat(1)]))

        assert [reply.text for reply in teacher.ask(source())] == inner
        assert (len(server.seen), teacher.counts.asked_again) == (1, 0)


def test_who_shares_a_request_that_is_cut_off_asks_for_it_itself(ledger: Path) -> None:
    plan = ["timeout"]
    with (
        TeacherServer(plan) as server,
        open_teacher(config_for(server.base_url), ledger, IMPATIENT) as teacher,
    ):
        statuses: list[str] = []

        def follow() -> None:
            statuses.extend(reply.status for reply in teacher.ask([chat(1)]))

        def source() -> Iterator[Request]:
            yield chat(1)
            wait_for(lambda: server.seen)
            follower.start()
            time.sleep(0.05)
            raise OSError("of the caller")

        follower = threading.Thread(target=follow, daemon=True)
        with pytest.raises(OSError, match="of the caller"):
            list(teacher.ask(source()))
        follower.join(10)
        assert statuses == ["ok"]
        assert len(server.seen) == 2


def test_the_first_requests_of_two_threads_open_one_line(ledger: Path) -> None:
    def lines() -> int:
        return sum(thread.name == "teacher" for thread in threading.enumerate())

    with TeacherServer(delay_seconds=0.02) as server:
        with open_teacher(config_for(server.base_url), ledger, FAST) as teacher:
            asked = together(
                lambda: len(list(teacher.ask(chat(number) for number in range(5)))),
                lambda: len(list(teacher.ask(chat(number) for number in range(5, 10)))),
            )
            assert asked == [5, 5]
            assert lines() == 1
        assert lines() == 0


def test_closing_ends_an_ask_in_another_thread(ledger: Path) -> None:
    with TeacherServer(delay_seconds=5) as server:
        with open_teacher(config_for(server.base_url), ledger, IMPATIENT) as teacher:

            def close() -> None:
                wait_for(lambda: server.seen)
                teacher.close()

            error, _ = together(
                lambda: list(teacher.ask(chat(number) for number in range(50))), close
            )
        assert isinstance(error, TeacherError)
        assert "closed" in str(error)


def test_closing_while_a_call_ends_in_another_thread_waits_for_neither(ledger: Path) -> None:
    patient = Pace(base_seconds=0.005, cap_seconds=0.02, grace_seconds=15)
    with (
        TeacherServer(one_hangs) as server,
        open_teacher(config_for(server.base_url), ledger, patient) as teacher,
    ):
        replies = teacher.ask([chat(5), chat(6)])
        ending = threading.Event()

        def end() -> None:
            next(replies)
            ending.set()
            replies.close()  # type: ignore[attr-defined]

        def close() -> None:
            assert ending.wait(10)
            time.sleep(0.05)
            teacher.close()

        began = time.monotonic()
        assert together(end, close) == [None, None]
        assert time.monotonic() - began < 5


def test_a_generator_that_outlives_its_teacher_says_that_it_was_closed(ledger: Path) -> None:
    with TeacherServer(delay_seconds=0.02) as server:
        with open_teacher(config_for(server.base_url, concurrency=2), ledger, FAST) as teacher:
            replies = teacher.ask(chat(number) for number in range(20))
            next(replies)
        with pytest.raises(TeacherError, match="closed"):
            list(replies)


@pytest.mark.slow
def test_a_forgotten_generator_does_not_wait_in_the_ledgers_thread(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Ledger.write

    def collect_and_write(self: Ledger, entries: list[Entry]) -> Written:
        # The collector runs in whatever thread allocates: here, for certainty, in this one.
        gc.collect()
        return write(self, entries)

    with (
        TeacherServer(one_hangs) as server,
        open_teacher(config_for(server.base_url), ledger, IMPATIENT) as teacher,
    ):
        gc.disable()
        try:
            replies = teacher.ask([chat(5), chat(6)])
            next(replies)
            cycle: list[object] = [replies]
            cycle.append(cycle)
            del replies, cycle
            monkeypatch.setattr(Ledger, "write", collect_and_write)
            assert [reply.status for reply in teacher.ask([chat(7)])] == ["ok"]
        finally:
            gc.enable()


def test_a_console_that_is_gone_ends_the_call(ledger: Path) -> None:
    def say(text: str) -> None:
        raise BrokenPipeError("the console is gone")

    with (
        TeacherServer(lambda number, body: "401") as refusing,
        TeacherServer(delay_seconds=0.05) as answering,
    ):
        config = config_for(
            refusing.base_url,
            concurrency=2,
            same_as="lab",
            endpoints=[{"base_url": answering.base_url}],
        )
        with (
            open_teacher(config, ledger, FAST, say=say) as teacher,
            pytest.raises(BrokenPipeError, match="the console is gone"),
        ):
            list(teacher.ask(chat(number) for number in range(10)))


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_twice_the_concurrency_is_taken_ahead(ledger: Path, concurrency: int) -> None:
    taken = 0

    def source() -> Iterator[Request]:
        nonlocal taken
        for number in range(30):
            taken += 1
            yield chat(number)

    with TeacherServer(delay_seconds=0.01) as server:
        config = config_for(server.base_url, concurrency=concurrency)
        with open_teacher(config, ledger, FAST) as teacher:
            ahead = [taken - place for place, _ in enumerate(teacher.ask(source()))]
    assert max(ahead) == 2 * concurrency


@pytest.mark.slow
def test_calls_that_ended_are_not_kept(ledger: Path) -> None:
    def calls() -> int:
        gc.collect()
        return sum(type(thing) is Call for thing in gc.get_objects())

    before = calls()
    with (
        TeacherServer() as server,
        open_teacher(config_for(server.base_url), ledger, FAST) as teacher,
    ):
        for number in range(20):
            list(teacher.ask([chat(number)]))
        assert calls() - before <= 2


def test_teachers_that_overlap_leave_the_collector_as_it_was(tmp_path: Path) -> None:
    usual = gc.get_threshold()
    with TeacherServer() as server:
        config = config_for(server.base_url)
        first = open_teacher(config, tmp_path / "first", FAST)
        second = open_teacher(config, tmp_path / "second", FAST)
        with first as teacher:
            list(teacher.ask([chat(1)]))
            with second as other:
                list(other.ask([chat(1)]))
                teacher.close()
                assert gc.get_threshold() != usual
    assert gc.get_threshold() == usual

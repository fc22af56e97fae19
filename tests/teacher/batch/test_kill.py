"""What `kill -9` and other processes do to batches: every request is executed exactly once."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from domainforge.teacher.ledger import Ledger
from tests.support.batch_server import BatchServer, Fate
from tests.support.ledgers import stats
from tests.support.teacher_server import TeacherServer
from tests.teacher.batch.desk import answer, chats, open_ledger

ROOT = Path(__file__).parents[3]
COUNT = 12


def start(base_url: str, ledger: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.teacher.batch.submit_many"]
    return subprocess.Popen(
        [*command, base_url, str(ledger), str(COUNT)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tokens_of_replies(ledger: Ledger) -> int:
    query = "SELECT sum(prompt_tokens + completion_tokens) FROM completions"
    return int(ledger.read(query)[0][0])


def hold(call: str, number: int, when: str) -> Callable[[str, int], str | None]:
    return lambda name, its_number: when if (name, its_number) == (call, number) else None


@pytest.mark.parametrize(
    ("call", "number", "when"),
    [
        pytest.param("upload", 0, "hold_before", marks=pytest.mark.slow),
        pytest.param("upload", 0, "hold_after", marks=pytest.mark.slow),
        pytest.param("create", 0, "hold_before", marks=pytest.mark.slow),
        ("create", 0, "hold_after"),
        pytest.param("look", 0, "hold_before", marks=pytest.mark.slow),
        pytest.param("content", 0, "hold_before", marks=pytest.mark.slow),
        ("content", 1, "hold_before"),
    ],
)
def test_a_kill_loses_and_doubles_nothing(
    tmp_path: Path, call: str, number: int, when: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    with (
        TeacherServer(lambda number, body: "400" if number == 5 else None) as teacher,
        BatchServer(teacher, deeds=hold(call, number, when)) as server,
    ):
        child = start(server.base_url, path)
        assert server.held.wait(30), child.communicate()
        child.kill()
        child.communicate()
        server.release.set()
        assert server.settled.wait(30)
        told = answer(server.base_url, path, chats(COUNT))
        assert set(server.executed.values()) == {1}
        assert len(server.batches) == 1
    assert len(told) == COUNT
    assert [done.fault.kind for done in told.values() if done.fault] == ["http_400"]
    with open_ledger(path) as ledger:
        assert stats(ledger).completions.popitem()[1] == COUNT - 1
        assert ledger.spent("run-1").tokens == tokens_of_replies(ledger)
        assert ledger.read("SELECT count(*) FROM batch_requests") == [(0,)]


@pytest.mark.parametrize(
    "call",
    ["create", *(pytest.param(call, marks=pytest.mark.slow) for call in ("content", "look"))],
)
def test_a_second_process_waits_for_the_batch_of_the_first(tmp_path: Path, call: str) -> None:
    path = tmp_path / "ledger.sqlite"
    with (
        TeacherServer() as teacher,
        BatchServer(teacher, {0: Fate(looks=9)}, hold(call, 0, "hold_after")) as server,
    ):
        first = start(server.base_url, path)
        assert server.held.wait(30), first.communicate()
        second = start(server.base_url, path)
        looks = server.calls["look"] + 3
        while call != "create" and server.calls["look"] < looks and second.poll() is None:
            time.sleep(0.01)
        assert server.calls["content"] == (1 if call == "content" else 0)
        server.release.set()
        outputs = [child.communicate(timeout=60) for child in (first, second)]
        assert [errors for _, errors in outputs] == ["", ""]
        assert [out.count("True") for out, _ in outputs] == [COUNT, COUNT]
        assert set(server.executed.values()) == {1}
        assert len(server.batches) == 1
    with open_ledger(path) as ledger:
        assert ledger.spent("run-1").tokens == tokens_of_replies(ledger)

"""What `kill -9`, Ctrl-C and other processes do to paid-for replies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from benchmarks.load import LoadServer, compiled_tools, load_server
from domainforge.teacher.commit import GROUP_MAX
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.request import request_key
from domainforge.teacher.session import teacher_identity
from tests.support.ledgers import stats
from tests.support.teacher_server import TeacherServer
from tests.teacher.quick import chat, config_for

ROOT = Path(__file__).parents[2]
COUNT, CONCURRENCY = 300, 8


def start(
    base_url: str,
    ledger: Path,
    count: int = COUNT,
    concurrency: int = CONCURRENCY,
    out: int = subprocess.PIPE,
) -> "subprocess.Popen[str]":
    arguments = [base_url, str(ledger), str(count), str(concurrency)]
    command = [sys.executable, "-m", "tests.teacher.ask_many", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True)


def read_replies(out: str) -> tuple[list[list[str]], int]:
    *replies, (name, asked_again) = (line.split() for line in out.splitlines())
    assert name == "asked_again"
    return replies, int(asked_again)


@contextmanager
def separate_server(log: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.support.teacher_server", "--log", str(log)]
    options = ["--delay-seconds", "0.01", "--faults", json.dumps({"500": 0.02, "empty": 0.02})]
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.kill()


@pytest.mark.slow
def test_nothing_in_the_ledger_is_asked_again_after_kills(tmp_path: Path) -> None:
    ledger, log = tmp_path / "ledger.sqlite", tmp_path / "log"
    with separate_server(log) as base_url:
        paid: set[str] = set()
        interrupted = 0
        for kept_by_then in (20, 90, 170):
            child = start(base_url, ledger)
            assert child.stdout is not None
            seen = [child.stdout.readline().split()[0] for _ in range(kept_by_then)]
            child.kill()
            child.communicate()
            with Ledger(ledger) as file:
                assert all(file.has(key) for key in seen)
                assert file.interrupted() <= 2 * CONCURRENCY
                interrupted += file.interrupted()
                paid = {key for key in seen if file.has(key)}
        out, errors = start(base_url, ledger).communicate()
        assert errors == ""
    replies, _ = read_replies(out)
    assert len(replies) == COUNT
    assert paid <= {key for key, _, replayed in replies if replayed == "True"}
    asked = Counter(line.split()[0] for line in log.read_text().splitlines())
    retried = sum(line.endswith(" 500") for line in log.read_text().splitlines())
    assert len(asked) == COUNT
    repeats = asked.total() - COUNT - retried
    assert repeats <= interrupted
    with Ledger(ledger) as file:
        assert file.interrupted() == 0


@pytest.mark.compiler
@pytest.mark.slow
def test_twenty_kills_in_the_middle_of_ten_thousand_requests(tmp_path: Path) -> None:
    """Needs a C compiler: a server in Python would be the limit."""
    ledger, rows, at_once, jitter = tmp_path / "ledger.sqlite", 10_000, 64, Random(20)
    with (
        compiled_tools() as tools,
        load_server(tools, latency_ms=10, marker="Passage ") as server,
    ):
        identity = teacher_identity(config_for(server.base_url))
        keys = [request_key(identity, chat(row)) for row in range(rows)]
        asked, kept = [0] * rows, set[int]()
        for _ in range(20):
            child = start(server.base_url, ledger, rows, at_once, subprocess.DEVNULL)
            kill_after(child, server, jitter.randrange(150, 500))
            asked = asked_now(server, kept, asked, at_once)
            with Ledger(ledger) as file:
                kept = {row for row, key in enumerate(keys) if file.has(key)}
            assert len(kept) < rows
            assert sum(times > 0 for times in asked) - len(kept) <= at_once + GROUP_MAX
        out, errors = start(server.base_url, ledger, rows, at_once).communicate()
        assert errors == ""
        replies, asked_again = read_replies(out)
        lost_at_last_kill = sum(times > 0 for times in asked) - len(kept)
        asked_now(server, kept, asked, at_once)
    assert {key for key, status, _ in replies if status == "ok"} == set(keys)
    assert len(replies) == rows
    assert {keys[row] for row in kept} <= {
        key for key, _, replayed in replies if replayed == "True"
    }
    assert lost_at_last_kill <= asked_again <= at_once + GROUP_MAX


def kill_after(child: "subprocess.Popen[str]", server: LoadServer, replies: int) -> None:
    wanted = server.stats()["answered"] + replies
    while server.stats()["answered"] < wanted:
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.01)
    child.kill()
    child.communicate()
    while server.stats()["in_flight"]:
        time.sleep(0.01)


def asked_now(server: LoadServer, kept: set[int], before: list[int], at_once: int) -> list[int]:
    """Return how often each row was asked by now, after a look at what changed."""
    counts = server.rows()
    now = counts + [0] * (len(before) - len(counts))
    assert all(now[row] == before[row] for row in kept)
    again = sum(more - times for more, times in zip(now, before, strict=True) if times)
    assert again <= at_once + GROUP_MAX
    assert all(more - times <= 1 for more, times in zip(now, before, strict=True))
    return now


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_soon_and_what_was_seen_is_kept(tmp_path: Path, how: int) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with TeacherServer(delay_seconds=0.02) as server:
        child = start(server.base_url, ledger)
        assert child.stdout is not None
        key = child.stdout.readline().split()[0]
        started = time.monotonic()
        os.kill(child.pid, how)
        _, errors = child.communicate(timeout=20)
        assert time.monotonic() - started < 5
        assert child.returncode != 0
        with Ledger(ledger) as file:
            assert file.has(key)
            if how == signal.SIGINT:
                assert "KeyboardInterrupt" in errors
                assert file.interrupted() == 0
                assert stats(file).completions.popitem()[1] == len(server.seen)


@pytest.mark.slow
def test_two_processes_share_one_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with TeacherServer(delay_seconds=0.005) as server:
        children = [start(server.base_url, ledger, 100) for _ in range(2)]
        outputs = [child.communicate(timeout=60) for child in children]
        assert [errors for _, errors in outputs] == ["", ""]
        keys = [{key for key, _, _ in read_replies(out)[0]} for out, _ in outputs]
        assert keys[0] == keys[1]
        assert len(keys[0]) == 100
        with Ledger(ledger) as file:
            assert stats(file).completions.popitem()[1] == 100
            assert file.interrupted() == 0
        before = len(server.seen)
        third = start(server.base_url, ledger, 100)
        assert third.communicate(timeout=60)[0].count("True") == 100
        assert len(server.seen) == before

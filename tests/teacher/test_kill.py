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

import pytest

from domainforge.teacher.ledger import Ledger
from tests.support.teacher_server import TeacherServer

ROOT = Path(__file__).parents[2]
COUNT, CONCURRENCY = 300, 8


def start(base_url: str, ledger: Path, count: int = COUNT) -> "subprocess.Popen[str]":
    arguments = [base_url, str(ledger), str(count), str(CONCURRENCY)]
    command = [sys.executable, "-m", "tests.teacher.ask_many", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


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
    replies = [line.split() for line in out.splitlines()]
    assert len(replies) == COUNT
    assert paid <= {key for key, _, replayed in replies if replayed == "True"}
    asked = Counter(line.split()[0] for line in log.read_text().splitlines())
    retried = sum(line.endswith(" 500") for line in log.read_text().splitlines())
    assert len(asked) == COUNT
    repeats = asked.total() - COUNT - retried
    assert repeats <= interrupted
    with Ledger(ledger) as file:
        assert file.interrupted() == 0


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
                assert file.stats().completions.popitem()[1] == len(server.seen)


def test_two_processes_share_one_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with TeacherServer(delay_seconds=0.005) as server:
        children = [start(server.base_url, ledger, 100) for _ in range(2)]
        outputs = [child.communicate(timeout=60) for child in children]
        assert [errors for _, errors in outputs] == ["", ""]
        keys = [{line.split()[0] for line in out.splitlines()} for out, _ in outputs]
        assert keys[0] == keys[1]
        assert len(keys[0]) == 100
        with Ledger(ledger) as file:
            assert file.stats().completions.popitem()[1] == 100
            assert file.interrupted() == 0
        before = len(server.seen)
        third = start(server.base_url, ledger, 100)
        assert third.communicate(timeout=60)[0].count("True") == 100
        assert len(server.seen) == before

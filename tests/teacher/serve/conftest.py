"""Every test here must leave no process behind; a mark in the environment finds them all."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MARK = "DOMAINFORGE_TEST_MARK"
PATIENCE_SECONDS = 10.0


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], set[int]]]:
    """Return what lists the processes that this test started, wherever they hang in the tree."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)

    def find() -> set[int]:
        return {pid for pid in all_processes() if has_mark(pid, mark)}

    yield find
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := find()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, "processes left behind"


def all_processes() -> set[int]:
    return {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()}


def has_mark(pid: int, mark: str) -> bool:
    """Tell whether a process inherited the mark; one that merely waits to be reaped has none."""
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False

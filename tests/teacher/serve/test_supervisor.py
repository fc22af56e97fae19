import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from domainforge.errors import StorageError, TeacherError
from domainforge.teacher.serve import health, supervisor
from domainforge.teacher.serve.health import is_ready
from domainforge.teacher.serve.port import find_free_port
from domainforge.teacher.serve.supervisor import supervise
from tests.teacher.serve.processes import ROOT, children, gone, runs, small_launch, wait_until


def port_of(base_url: str) -> int:
    return int(base_url.rpartition(":")[2].removesuffix("/v1"))


def test_it_answers_on_loopback_and_ends(tmp_path: Path) -> None:
    with supervise(small_launch(), tmp_path) as server:
        assert server.base_url.startswith("http://127.0.0.1:")
        assert is_ready(port_of(server.base_url), "m")
        assert not is_ready(port_of(server.base_url), "another")
        assert server.find_death() is None
        assert server.log_path == tmp_path / "logs" / "teacher-small.log"
        assert "this is a small server" in server.log_path.read_text()
    assert not runs(server.pid)
    assert not is_ready(port_of(server.base_url), "m")


def test_a_dead_server_comes_back_on_the_same_port(tmp_path: Path) -> None:
    with supervise(small_launch(), tmp_path) as server:
        before, base_url = server.pid, server.base_url
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: server.pid != before)
        assert wait_until(lambda: is_ready(port_of(base_url), "m"))
        assert wait_until(lambda: not server.is_restarting())
        assert (server.base_url, server.find_death()) == (base_url, None)
        assert server.log_path.read_text().count("starting on port") == 2


def test_it_gives_up_after_too_many_deaths(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with supervise(small_launch(restarts=1), tmp_path) as server:
        for _ in range(2):
            assert server.find_death() is None
            before = server.pid
            os.kill(before, signal.SIGKILL)
            assert wait_until(lambda b=before: server.pid != b or server.find_death() is not None)
            assert wait_until(lambda: not server.is_restarting())
        assert wait_until(lambda: server.find_death() is not None)
        death = str(server.find_death())
    assert death.startswith("the small server stopped by itself (exit status -9): this is a small")
    for part in ("started again once", str(server.log_path), "memory", "replies so far are kept"):
        assert part in death
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "starting it again (1 of 1)" in caplog.text


@pytest.mark.slow
def test_a_server_that_dies_while_it_is_started_again_counts(tmp_path: Path) -> None:
    marker = tmp_path / "started"
    good = small_launch().command

    def command(port: int) -> list[str]:
        deed = "fail" if marker.exists() else ""
        marker.touch()
        return [*good(port)[:-1], deed]

    with supervise(small_launch(command=command, restarts=2), tmp_path) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: server.find_death() is not None)
        assert "(exit status 3): this is a small server with deed 'fail' / no such weights" in str(
            server.find_death()
        )
        assert "memory" not in str(server.find_death())
        assert server.log_path.read_text().count("starting on port") == 3


def test_a_server_that_does_not_start_is_reported(tmp_path: Path) -> None:
    with (
        pytest.raises(TeacherError, match=r"did not start \(exit status 3\)") as caught,
        supervise(small_launch("fail"), tmp_path),
    ):
        pass
    assert "no such weights; mend it; its log is " in str(caught.value)
    with (
        pytest.raises(TeacherError, match=r"exit status 127.*no-such-program: No such file"),
        supervise(small_launch(command=lambda port: ["no-such-program"]), tmp_path),
    ):
        pass


def test_a_server_that_never_answers_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_PROGRESS_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    with (
        pytest.raises(TeacherError, match=r"did not start \(no answer within 0.5 s\)"),
        supervise(small_launch("hang", ready_seconds=0.5), tmp_path),
    ):
        pass
    assert "the small server is starting, 0 s so far; its last line: " in caplog.text


def test_a_port_that_is_taken_meanwhile_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        ports = [thief.getsockname()[1], find_free_port()]
        monkeypatch.setattr(supervisor, "find_free_port", lambda: ports.pop(0))
        monkeypatch.setattr(health, "_TIMEOUT_SECONDS", 0.5)
        wanted = ports[1]
        with supervise(small_launch(ready_seconds=5), tmp_path) as server:
            assert port_of(server.base_url) == wanted


def test_whoever_will_not_go_is_killed_with_all_descendants(
    tmp_path: Path, marked: Callable[[], set[int]]
) -> None:
    with supervise(small_launch("stubborn"), tmp_path) as server:
        assert len(children(server.pid)) == 1
        assert len(marked()) == 3  # keeper, server, and the child that left the group
        started = time.monotonic()
    assert marked() == set()
    assert 0.3 <= time.monotonic() - started < 5


def test_a_dead_servers_children_go_before_it_is_started_again(tmp_path: Path) -> None:
    with supervise(small_launch("stubborn"), tmp_path) as server:
        before, (child,) = server.pid, children(server.pid)
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: server.pid != before)
        assert not runs(child)


def test_a_killed_keeper_takes_the_server_along(tmp_path: Path) -> None:
    with supervise(small_launch(), tmp_path) as server:
        before = server.pid
        (keeper,) = children(os.getpid())
        os.kill(keeper, signal.SIGKILL)
        assert gone(before)
        assert wait_until(lambda: server.pid != before)
        assert wait_until(lambda: is_ready(port_of(server.base_url), "m"))


def test_stopping_does_not_wait_for_a_restart(tmp_path: Path) -> None:
    with supervise(small_launch(), tmp_path) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(server.is_restarting)
        started = time.monotonic()
    assert time.monotonic() - started < 2


CODE = """
import sys
from pathlib import Path
from domainforge.teacher.serve.supervisor import supervise
from tests.teacher.serve.processes import small_launch, runs
with supervise(small_launch("stubborn"), Path(sys.argv[1])) as server:
    try:
        print(server.pid, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        print("interrupted", runs(server.pid), flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_everything_ends_with_a_killed_parent(
    tmp_path: Path, marked: Callable[[], set[int]], how: int
) -> None:
    with start_parent(tmp_path) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert len(marked()) == 4
        os.kill(parent.pid, how)
        parent.wait()
        assert gone(server)
        assert wait_until(lambda: not marked())


def test_ctrl_c_does_not_reach_the_server(tmp_path: Path) -> None:
    with start_parent(tmp_path) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.readline() == "interrupted True\n"
        assert runs(server)
        os.killpg(parent.pid, signal.SIGINT)
        parent.wait()
        assert not runs(server)


def start_parent(project: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(project)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    )


def test_the_log_before_is_kept_and_one_in_use_left_alone(tmp_path: Path) -> None:
    for _ in range(2):
        with supervise(small_launch(), tmp_path) as first:
            pass
    before = first.log_path.read_text()
    with supervise(small_launch(), tmp_path) as first, supervise(small_launch(), tmp_path) as other:
        assert first.log_path.name == "teacher-small.log"
        assert other.log_path.name == "teacher-small-2.log"
    names = sorted(path.name for path in first.log_path.parent.iterdir())
    assert names == ["teacher-small-2.log", "teacher-small.log", "teacher-small.log.1"]
    assert first.log_path.with_name("teacher-small.log.1").read_text() == before


def test_without_a_project_the_log_is_temporary_and_kept_only_after_a_fault() -> None:
    with supervise(small_launch()) as server:
        assert server.log_path.exists()
    assert not server.log_path.exists()
    with (
        pytest.raises(TeacherError, match="its log is ") as caught,
        supervise(small_launch("fail")),
    ):
        pass
    log = Path(str(caught.value).rpartition("its log is ")[2])
    assert "no such weights" in log.read_text()
    log.unlink()


def test_a_log_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with (
        pytest.raises(StorageError, match=r"logs: the log .* can't be written"),
        supervise(small_launch(), tmp_path),
    ):
        pass

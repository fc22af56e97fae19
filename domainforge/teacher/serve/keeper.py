"""Stands between us and a server that we start: ends the server, and all it started, with us.

Run as a script with its orders as JSON; it imports nothing of this package.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress

_PARENT_CHECK_SECONDS = 0.5
_SWEEP_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Run the server until it ends, or until our parent closes our standard input or is gone.

    Its process number is printed first. Our exit status is the server's: 128 and the signal's
    number where one ended it.
    """
    orders = json.loads(sys.argv[1])
    wakeup = _wake_up_on_signals()
    # Whatever loses its parent below us becomes our child, so that nothing can slip away:
    # vLLM's engine outlives a killed API server (https://github.com/vllm-project/vllm/issues/55510).
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = _spawn(orders["command"])
    os.write(1, f"{server}\n".encode())
    os.close(1)
    status = _wait(server, wakeup, orders["parent"])
    if status is None:
        status = _end(server, orders["stop_seconds"])
    _sweep(server)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _spawn(command: list[str]) -> int:
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        with suppress(OSError):  # it has done so itself, and is beyond our reach by now
            os.setpgid(pid, pid)
        return pid
    try:
        os.setpgid(0, 0)
        # Safe here, unlike in a program with threads: it fires when the parent's *thread* ends.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(127)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _wait(server: int, wakeup: int, parent: int) -> int | None:
    """Return the server's status once it has ended, or None when it is to be ended."""
    while True:
        readable, _, _ = select.select([0, wakeup], [], [], _PARENT_CHECK_SECONDS)
        status = _reap(server)
        if status is not None:
            return status
        if 0 in readable and not os.read(0, 4096):
            return None
        if wakeup in readable and any(number in _STOP_SIGNALS for number in os.read(wakeup, 512)):
            return None
        # Standard input alone won't do: other children of a killed parent may hold its other end.
        if os.getppid() != parent:
            return None


def _end(server: int, stop_seconds: float) -> int:
    deadline = time.monotonic() + stop_seconds
    _signal_group(server, signal.SIGTERM)
    while time.monotonic() < deadline:
        status = _reap(server)
        if status is not None:
            return status
        time.sleep(0.02)
    _signal_group(server, signal.SIGKILL)
    return os.waitpid(server, 0)[1]


def _sweep(server: int) -> None:
    """End what the server left behind: it may hold the GPU's memory, which a restart needs."""
    _signal_group(server, signal.SIGKILL)
    deadline = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < deadline:
        for orphan in _children():
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.01)


def _reap(server: int) -> int | None:
    """Collect ended processes; the server's status when it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in (0, server):
            return status if pid else None


def _children() -> list[int]:
    try:
        file = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY)
    except OSError:
        return []
    numbers = os.read(file, 65536).split()
    os.close(file)
    return [int(number) for number in numbers]


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wake_up_on_signals() -> int:
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    for number in (signal.SIGCHLD, *_STOP_SIGNALS):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    return readable


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()

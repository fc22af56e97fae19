"""Keep a server of ours running: port, health, log, restarts, and a clean end."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from domainforge.errors import TeacherError
from domainforge.teacher.serve.health import is_ready
from domainforge.teacher.serve.port import find_free_port, is_taken
from domainforge.teacher.serve.server_log import ServerLog

_LOG = logging.getLogger(__name__)
_PORT_TRIES = 3
_PROGRESS_SECONDS = 10.0
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0
# On top of the time that the keeper gives the server.
_KEEPER_SECONDS = 15.0
_KILLED = "exit status -9"


@dataclass(frozen=True)
class Launch:
    """How a server is started.

    Attributes:
        kind: Names its log.
        title: Names it in messages.
        model: The name under which it lists its model.
        command: Its command line, for a port.
        advice: What to do when it does not start.
        environment: Set besides our own environment; None takes a variable away.
        ready_seconds: Longest wait until it answers.
        stop_seconds: Longest wait for it to end by itself once it is told to.
        restarts: How often it is started again after it died.
    """

    kind: str
    title: str
    model: str
    command: Callable[[int], list[str]]
    advice: str
    environment: Mapping[str, str | None] = field(default_factory=dict)
    ready_seconds: float = 120.0
    stop_seconds: float = 5.0
    restarts: int = 3


class Supervisor:
    """A server of ours; see `supervise`.

    Attributes:
        model: The name under which it lists its model.
    """

    def __init__(self, launch: Launch, log: ServerLog) -> None:
        """Prepare; `start` starts it."""
        self.model = launch.model
        self._launch = launch
        self._log = log
        self._port = 0
        self._pid = 0
        self._keeper: subprocess.Popen[bytes] | None = None
        self._spawning = threading.Lock()
        self._stopping = threading.Event()
        self._is_restarting = False
        self._has_failed = False
        self._death: str | None = None
        self._watcher: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it answers: a free loopback port, the same after a restart."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def pid(self) -> int:
        """Its process; another one after a restart."""
        return self._pid

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self._log.path

    def is_restarting(self) -> bool:
        """Whether it has died and is being started again, so that waiting for it makes sense."""
        return self._is_restarting

    @property
    def has_failed(self) -> bool:
        """Whether it ever ended by itself, so that its log is worth keeping."""
        return self._has_failed

    def find_death(self) -> str | None:
        """Say why it is gone for good, with its last words; None while it runs or restarts."""
        return self._death

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            TeacherError: It ended or hung instead; the message has its last words.
        """
        for attempt in range(_PORT_TRIES):
            self._port = find_free_port()
            fault = self._launch_once()
            if fault is None:
                break
            self._end()
            # Between our look and its own, someone else may have taken the port.
            if not is_taken(self._port) or attempt == _PORT_TRIES - 1:
                self._has_failed = True
                raise TeacherError(
                    f"{self._launch.title} did not start ({fault}): {self._log.last_words()}; "
                    f"{self._launch.advice}; its log is {self._log.path}"
                )
        self._watcher = threading.Thread(target=self._watch, name="teacher-server", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End it with everything that it started; calling again does nothing."""
        self._stopping.set()
        self._end()
        if self._watcher is not None:
            self._watcher.join()

    def _launch_once(self) -> str | None:
        """Start it and wait until it answers; else say what happened instead."""
        try:
            keeper = self._spawn()
        except OSError as error:
            return f"the system refused it: {error.strerror}"
        return "it was stopped" if keeper is None else self._await_ready(keeper)

    def _spawn(self) -> "subprocess.Popen[bytes] | None":
        launch = self._launch
        orders = {
            "command": launch.command(self._port),
            "parent": os.getpid(),
            "stop_seconds": launch.stop_seconds,
        }
        changes = launch.environment
        kept = {name: value for name, value in os.environ.items() if name not in changes}
        script = Path(__file__).with_name("keeper.py")
        with self._spawning:
            if self._stopping.is_set():
                return None
            self._log.mark(f"starting on port {self._port}")
            self._keeper = keeper = subprocess.Popen(
                # -P keeps this folder off its module path; -S spares it the site's packages.
                [sys.executable, "-P", "-S", str(script), json.dumps(orders)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log.fileno(),
                env=kept | {name: value for name, value in changes.items() if value is not None},
                # Ctrl-C is for us; the server must live until what is in flight has arrived.
                start_new_session=True,
            )
            assert keeper.stdout is not None
            with keeper.stdout as answer:
                self._pid = int(answer.readline() or 0)
        return keeper

    def _await_ready(self, keeper: "subprocess.Popen[bytes]") -> str | None:
        started = told = time.monotonic()
        while True:
            if keeper.poll() is not None:
                return _describe_end(keeper)
            if is_ready(self._port, self.model):
                _LOG.info("%s is ready at %s", self._launch.title, self.base_url)
                return None
            now = time.monotonic()
            if now - started > self._launch.ready_seconds:
                return f"no answer within {self._launch.ready_seconds:g} s"
            if now - told > _PROGRESS_SECONDS:
                told = now
                last = self._log.last_words(lines=1)
                text = "%s is starting, %d s so far; its last line: %s"
                _LOG.info(text, self._launch.title, now - started, last)
            if self._stopping.wait(min(0.5, 0.02 + (now - started) / 20)):
                return "it was stopped"

    def _watch(self) -> None:
        """Wait for its death and start it again, until it is stopped or has died too often."""
        restarts = 0
        while self._keeper is not None:
            self._keeper.wait()
            fault: str | None = _describe_end(self._keeper)
            while fault is not None:
                if self._stopping.is_set():
                    return
                self._has_failed = self._is_restarting = True
                self._end()
                words = self._log.last_words()
                if restarts == self._launch.restarts:
                    self._give_up(fault, words)
                    return
                restarts += 1
                text = "%s stopped by itself (%s): %s; starting it again (%d of %d); its log is %s"
                most, path = self._launch.restarts, self._log.path
                _LOG.warning(text, self._launch.title, fault, words, restarts, most, path)
                if self._stopping.wait(_backoff_seconds(restarts)):
                    return
                fault = self._launch_once()
            self._is_restarting = False

    def _give_up(self, fault: str, words: str) -> None:
        launch = self._launch
        again = "once" if launch.restarts == 1 else f"{launch.restarts} times"
        tried = f"; it had been started again {again}" if launch.restarts else ""
        memory = "; if nobody killed it, memory ran out: take a smaller model or less `concurrency`"
        self._death = (
            f"{launch.title} stopped by itself ({fault}): {words}{tried}; its log is "
            f"{self._log.path}{memory if fault == _KILLED else ''}; run the same command again: "
            "replies so far are kept"
        )
        self._is_restarting = False
        _LOG.warning("%s", self._death)

    def _end(self) -> None:
        """End the server that runs now, if any, with all that it started."""
        with self._spawning:
            keeper, server = self._keeper, self._pid
        if keeper is None:
            return
        assert keeper.stdin is not None
        keeper.stdin.close()
        try:
            keeper.wait(self._launch.stop_seconds + _KEEPER_SECONDS)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        if keeper.returncode < 0 and server > 0:
            # Someone killed the keeper, which leaves its work to us.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(server, signal.SIGKILL)


@contextmanager
def supervise(launch: Launch, project: Path | None = None) -> Iterator[Supervisor]:
    """Run a server for the length of a `with`.

    It is a process of its own, since a native abort would take us along, and it ends when this
    process does, however that ends.

    Args:
        launch: What to start.
        project: Folder in whose `logs` its output goes; without one, to a temporary file.

    Raises:
        StorageError: The log can't be written.
        TeacherError: It doesn't start.
    """
    log = ServerLog(launch.kind, project)
    supervisor = Supervisor(launch, log)
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.stop()
        log.close(keep=supervisor.has_failed)


def _describe_end(keeper: "subprocess.Popen[bytes]") -> str:
    """Return the exit status as Python writes it: -9 where signal 9 ended the server."""
    code = int(keeper.returncode)
    return f"exit status {128 - code if code > 128 else code}"


def _backoff_seconds(restart: int) -> float:
    return min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** (restart - 1))

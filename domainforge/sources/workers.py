"""Worker processes that read files: a hang, a crash or a hunger for memory ends that file only."""

import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domainforge.sources.kinds.known import BY_NAME, kind_of
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile
from domainforge.sources.reading import FileWork, Reading
from domainforge.sources.wire import pack, pack_file, unpack_answer

_MOST_WORKERS = 8
_AHEAD = 32
# Parts of one file that wait for the consumer; each is a batch of rows or one member.
_WAITING_PARTS = 4
_MOST_DEATHS = 10
_LOOK_EVERY_SECONDS = 0.1
_READ_BYTES = 1 << 20
_ENDING_SECONDS = 5.0
# What the first worker can do by itself before a second has started needs no second.
_HEAD_START_SECONDS = 0.7


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Attributes:
        max_bytes: Of a file that is read as a whole; streams may have any size.
        max_seconds: Longest time without an answer: for a whole file, or for one part of a stream.
        max_memory_bytes: Of the process that reads it.
    """

    max_bytes: int
    max_seconds: float
    max_memory_bytes: int


@dataclass
class _Task:
    work: FileWork
    kind: str
    # Loaded: a part; None: the end.
    parts: "queue.Queue[Loaded | None]" = field(default_factory=lambda: queue.Queue(_WAITING_PARTS))
    skip: int = 0
    # Nobody waits for it any more.
    abandoned: bool = False
    # What broke the watch over its worker; never the file's fault.
    broken: Exception | None = None


class WorkerPool:
    """Some worker processes, started when first needed.

    Use as a context manager: on the way out they are ended, whatever they do.
    """

    def __init__(self, limits: Limits, count: int | None = None) -> None:
        self._limits = limits
        self._count = count or min(_MOST_WORKERS, len(os.sched_getaffinity(0)))
        self._tasks: queue.Queue[_Task | None] = queue.Queue()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closing = threading.Event()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> "WorkerPool":
        self._scratch = tempfile.TemporaryDirectory(prefix="domainforge-ingest-")
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for _thread in self._threads:
            self._tasks.put(None)
        for process in list(self._processes):
            process.kill()
        for thread in self._threads:
            thread.join(_ENDING_SECONDS)
        if self._scratch:
            self._scratch.cleanup()

    def parse(
        self, work: Iterable[FileWork], parts: Callable[[str], int] = lambda uri: 0
    ) -> Iterator[Reading]:
        """Read files a few ahead, and yield their readings in the order given.

        Args:
            work: The files, taken lazily.
            parts: Tells how many leading parts of a file the caller has already.
        """
        source = iter(work)
        waiting: deque[_Task] = deque()
        try:
            while True:
                while len(waiting) < _AHEAD and (item := next(source, None)) is not None:
                    waiting.append(self._submit(item, parts(item.file.uri)))
                if not waiting:
                    return
                yield from _readings(waiting[0])
                waiting.popleft()
        finally:
            # Else a consumer that leaves early, at its limit, leaves no worker for the next one.
            for task in waiting:
                task.abandoned = True

    def _submit(self, work: FileWork, skip: int) -> _Task:
        kind = BY_NAME[work.file.kind] if work.file.kind else kind_of(work.file.path.name)
        task = _Task(work, kind.name if kind else "unknown", skip=skip)
        if kind is None:
            left_out = LeftOut(work.file.uri, "unknown_kind", "no kind that can be read")
            task.parts.put(Loaded(dropped=(left_out,)))
            task.parts.put(None)
            return task
        self._tasks.put(task)
        if len(self._threads) < self._count:
            others = len(self._threads)
            thread = threading.Thread(target=self._serve, args=(others,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return task

    def _serve(self, others: int) -> None:
        """Hand tasks to one process, and start another where it died."""
        worker: _Worker | None = None
        if others:
            self._closing.wait(_HEAD_START_SECONDS)
        while (task := self._tasks.get()) is not None and not self._closing.is_set():
            if task.abandoned:
                continue
            try:
                if worker is None or not worker.alive:
                    worker = self._start()
                worker = self._read(worker, task)
            except (OSError, ValueError, TypeError, LookupError) as error:
                # Raised where the readings are waited for: a thread that only ended would hang it.
                task.broken = error
                self._put(task, None)
                if worker is not None:
                    worker.stop()
        if worker is not None:
            worker.stop()

    def _start(self) -> "_Worker":
        assert self._scratch is not None
        worker = _Worker(self._limits, Path(self._scratch.name))
        self._processes.add(worker.process)
        return worker

    def _read(self, worker: "_Worker", task: _Task) -> "_Worker":
        """Read one file, past the parts that kill their worker."""
        done = task.skip
        for _ in range(_MOST_DEATHS):
            current = task.work.file.uri
            ending = None
            for message in worker.ask(task.work.file, done):
                if "starting" in message:
                    current = message["starting"]
                elif "loaded" in message:
                    done += 1
                    current = task.work.file.uri
                    if not self._put(task, message["loaded"]):
                        worker.stop()  # it would answer the next file with the rest of this one
                        return worker
                else:
                    ending = message
            assert ending is not None
            if ending.get("memory"):
                worker.stop()
            reason = ending.get("reason") or ("too_much_memory" if ending.get("memory") else None)
            if reason is None:
                self._put(task, None)
                return worker
            detail = ending.get("detail") or _memory_detail(self._limits)
            self._processes.discard(worker.process)
            if not self._put(task, Loaded(faults=(LeftOut(current, reason, detail),))):
                return worker
            if current == task.work.file.uri or self._closing.is_set():
                break
            done += 1
            worker = self._start()
        else:
            detail = f"{_MOST_DEATHS} parts of it ended their parser; the rest was not read"
            self._put(task, Loaded(faults=(LeftOut(task.work.file.uri, "crashed", detail),)))
        self._put(task, None)
        return worker

    def _put(self, task: _Task, part: Loaded | None) -> bool:
        while not (self._closing.is_set() or task.abandoned):
            with contextlib.suppress(queue.Full):
                task.parts.put(part, timeout=_LOOK_EVERY_SECONDS)
                return True
        return False


class _Worker:
    """One process, and the watch over it."""

    def __init__(self, limits: Limits, scratch: Path) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "domainforge.sources.worker", str(limits.max_memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_plain_environment(), "TMPDIR": str(scratch)},
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def ask(self, file: SourceFile, skip: int) -> Iterator[dict[str, Any]]:
        """Yield the answers for one file; the last has `end`, and a `reason` where it died."""
        task = {"file": pack_file(file), "skip": skip, "max_bytes": self._limits.max_bytes}
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pack(task))
            self.process.stdin.flush()
        except BrokenPipeError:
            yield self._death()
            return
        while True:
            message = self._next()
            yield message
            if "end" in message:
                return

    def _next(self) -> dict[str, Any]:
        """Wait for one line, with an eye on the clock and on the memory."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        deadline = time.monotonic() + self._limits.max_seconds
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if select.select([descriptor], [], [], _LOOK_EVERY_SECONDS)[0]:
                data = os.read(descriptor, _READ_BYTES)
                if not data:
                    return self._death()
                self._buffer += data
                if len(self._buffer) > self._limits.max_memory_bytes:
                    return self._kill("too_much_memory", _memory_detail(self._limits))
                continue
            if time.monotonic() > deadline:
                seconds = f"{self._limits.max_seconds:g}"
                return self._kill("too_slow", f"not read in {seconds} s (ingest.max_file_seconds)")
            if _resident_bytes(self.process.pid) > self._limits.max_memory_bytes:
                return self._kill("too_much_memory", _memory_detail(self._limits))
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        try:
            return unpack_answer(line)
        except ValueError:
            return self._kill("crashed", "its parser answered with no message of ours")

    def _kill(self, reason: str, detail: str) -> dict[str, Any]:
        self.stop()
        return {"end": True, "reason": reason, "detail": detail}

    def _death(self) -> dict[str, Any]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDING_SECONDS)
        self.stop()
        code = self.process.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return {"end": True, "reason": "crashed", "detail": f"its parser died of it ({name})"}


def _readings(task: _Task) -> Iterator[Reading]:
    """Yield what a file gives; the last reading says so, so each waits for the next."""
    work = task.work
    held: Loaded | None = None
    while (part := task.parts.get()) is not None:
        if held is not None:
            yield Reading(work.file.uri, task.kind, held, work.revision, last=False)
        held = part
    if task.broken is not None:
        raise task.broken
    yield Reading(
        work.file.uri,
        task.kind,
        held or Loaded(),
        work.revision,
        position=work.position,
        size_bytes=_size_bytes(work.file.path),
    )


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # gone since it was listed


def _memory_detail(limits: Limits) -> str:
    return f"needs more than {limits.max_memory_bytes >> 20} MB (ingest.max_file_memory_mb)"


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _plain_environment() -> dict[str, str]:
    """Leave out of the parsers' environment whatever may be a secret."""
    secret = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIALS", "_URL", "_DB", "_DSN")
    return {
        **{name: value for name, value in os.environ.items() if not name.endswith(secret)},
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }

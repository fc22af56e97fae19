"""A pool of worker processes: what a file does to its parser ends that file only."""

import contextlib
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from domainforge.sources.kinds.known import BY_NAME, kind_of
from domainforge.sources.loaded import LeftOut, Loaded
from domainforge.sources.reading import FileWork, Reading
from domainforge.sources.worker_process import Limits, WorkerProcess, memory_detail

__all__ = ["Limits", "WorkerPool"]

_MOST_WORKERS = 8
_AHEAD = 32
# Parts of one file that wait for the consumer; each is a batch of rows or one member.
_WAITING_PARTS = 4
_MOST_DEATHS = 10
_LOOK_EVERY_SECONDS = 0.1
_ENDING_SECONDS = 5.0
# What the first worker can do by itself before a second has started needs no second.
_HEAD_START_SECONDS = 0.7
_MAY_BE_OLD = ("crashed", "too_much_memory")
_BREAKS = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError)


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


@dataclass
class _Lane:
    """The files of one `parse` that no worker has begun, and how many are being read."""

    tasks: deque[_Task] = field(default_factory=deque)
    busy: int = 0


class WorkerPool:
    """Some worker processes, started when first needed.

    Use as a context manager: on the way out they are ended, whatever they do. Several `parse` may
    go on side by side, as in a mixture: a worker waits when nobody takes what it has read, so that
    each of them has a worker that no other can have.
    """

    def __init__(
        self, limits: Limits, count: int | None = None, scratch: Path | None = None
    ) -> None:
        """Make a pool; nothing is started yet.

        Args:
            limits: What one file may cost.
            count: Most workers; as many as there are cores (at most eight) where not given.
            scratch: Folder for what parsers write on the side, emptied before and removed after;
                a temporary one where not given, which would outlive a `kill -9`.
        """
        self._limits = limits
        self._count = count or min(_MOST_WORKERS, len(os.sched_getaffinity(0)))
        self._lanes: list[_Lane] = []
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closing = threading.Event()
        self._scratch = scratch

    def __enter__(self) -> "WorkerPool":
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="domainforge-ingest-"))
        else:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._closing.set()
            self._change.notify_all()
        for process in list(self._processes):
            process.kill()
        for thread in self._threads:
            thread.join(_ENDING_SECONDS)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

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
        lane = _Lane()
        with self._change:
            self._lanes.append(lane)
        try:
            while True:
                while len(waiting) < _AHEAD and (item := next(source, None)) is not None:
                    waiting.append(self._submit(lane, item, parts(item.file.uri)))
                if not waiting:
                    return
                yield from _readings(waiting[0])
                waiting.popleft()
        finally:
            # Else a consumer that leaves early, at its limit, leaves no worker for the next one.
            for task in waiting:
                task.abandoned = True
            with self._change:
                self._lanes.remove(lane)
                self._change.notify_all()

    def _submit(self, lane: _Lane, work: FileWork, skip: int) -> _Task:
        kind = BY_NAME[work.file.kind] if work.file.kind else kind_of(work.file.path.name)
        task = _Task(work, kind.name if kind else "unknown", skip=skip)
        if kind is None:
            left_out = LeftOut(work.file.uri, "unknown_kind", "no kind that can be read")
            task.parts.put(Loaded(dropped=(left_out,)))
            task.parts.put(None)
            return task
        with self._change:
            lane.tasks.append(task)
            if len(self._threads) < self._most:
                is_second = bool(lane.busy or len(lane.tasks) > 1)
                thread = threading.Thread(target=self._serve, args=(is_second,), daemon=True)
                self._threads.append(thread)
                thread.start()
            self._change.notify()
        return task

    @property
    def _most(self) -> int:
        """How many files may be read at once: one more for each further `parse`."""
        return self._count + len(self._lanes) - 1

    def _take(self) -> tuple[_Lane, _Task] | None:
        """Wait for a file to read; None when the pool closes."""
        with self._change:
            while not self._closing.is_set():
                lane = min(
                    (lane for lane in self._lanes if lane.tasks),
                    key=lambda lane: lane.busy,
                    default=None,
                )
                if lane is not None and (not lane.busy or self._spare() > 0):
                    lane.busy += 1
                    return lane, lane.tasks.popleft()
                self._change.wait()
        return None

    def _spare(self) -> int:
        """Return how many workers are free beyond the one that each `parse` must find free."""
        return self._most - sum(max(1, lane.busy) for lane in self._lanes)

    def _serve(self, is_second: bool) -> None:
        """Hand files to one process, and start another where it died."""
        worker: WorkerProcess | None = None
        if is_second:
            self._closing.wait(_HEAD_START_SECONDS)
        while (taken := self._take()) is not None:
            lane, task = taken
            try:
                if worker is None or not worker.alive:
                    worker = self._start(worker)
                worker = self._read(worker, task)
            except _BREAKS as error:
                # Raised where the readings are waited for: a thread that only ended would hang it.
                task.broken = error
                self._put(task, None)
                if worker is not None:
                    worker.stop()
            with self._change:
                lane.busy -= 1
                self._change.notify_all()
        if worker is not None:
            worker.stop()

    def _start(self, dead: WorkerProcess | None) -> WorkerProcess:
        """Start a process, in the place of one that died."""
        assert self._scratch is not None
        if dead is not None:
            self._processes.discard(dead.process)
            dead.stop()
        worker = WorkerProcess(self._limits, self._scratch)
        self._processes.add(worker.process)
        return worker

    def _read(self, worker: WorkerProcess, task: _Task) -> WorkerProcess:
        """Read one file, past the parts that kill their worker."""
        done, deaths = task.skip, 0
        while deaths < _MOST_DEATHS:
            current = task.work.file.uri
            ending = None
            for message in worker.ask(task.work.file, done, lambda: self._wants(task)):
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
            detail = ending.get("detail") or memory_detail(self._limits)
            if worker.used and reason in _MAY_BE_OLD and self._wants(task):
                # What files before this one left behind may have killed it.
                worker = self._start(worker)
                continue
            deaths += 1
            if not self._put(task, Loaded(faults=(LeftOut(current, reason, detail),))):
                return worker
            if current == task.work.file.uri or self._closing.is_set():
                break
            done += 1
            worker = self._start(worker)
        else:
            detail = f"{_MOST_DEATHS} parts of it ended their parser; the rest was not read"
            self._put(task, Loaded(faults=(LeftOut(task.work.file.uri, "crashed", detail),)))
        self._put(task, None)
        return worker

    def _wants(self, task: _Task) -> bool:
        return not (self._closing.is_set() or task.abandoned)

    def _put(self, task: _Task, part: Loaded | None) -> bool:
        while self._wants(task):
            with contextlib.suppress(queue.Full):
                task.parts.put(part, timeout=_LOOK_EVERY_SECONDS)
                return True
        return False


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

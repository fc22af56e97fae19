"""Checking rows in several processes, in order: what a large table is filtered with."""

import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from domainforge.errors import DataError
from domainforge.filters.filtering import Checked, RowFilter
from domainforge.filters.rows import FilterConfig
from domainforge.labels import Labels
from domainforge.passages import PassageStore

Examples = Sequence[Mapping[str, Any]]

_LENGTH_BYTES = 8
_AHEAD = 2


@dataclass(frozen=True)
class FilterPlan:
    """What a process needs to check rows.

    Attributes:
        passages: File that `lay_out` wrote of the chunks.
        config: Thresholds.
        frames: As for RowFilter.
        labels: As for RowFilter.
        tokenizer: As for RowFilter.
    """

    passages: Path
    config: FilterConfig
    frames: Mapping[str, str]
    labels: Labels = field(default_factory=Labels)
    tokenizer: Path | None = None

    def open(self) -> RowFilter:
        """Make the filter."""
        store = PassageStore(self.passages)
        return RowFilter(store, self.config, self.frames, self.labels, self.tokenizer)


def check_batches(plan: FilterPlan, batches: Iterable[Examples], workers: int) -> Iterator[Checked]:
    """Check batches of examples and yield what they came to, in the order given.

    Args:
        plan: What to check by.
        batches: Taken a few ahead.
        workers: Processes; with one, all is done in this one.

    Raises:
        DataError: A row is about a chunk that isn't there.
        RuntimeError: A process ended by itself.
    """
    if workers <= 1:
        rows = plan.open()
        yield from map(rows.check, batches)
        return
    free: SimpleQueue[_Worker] = SimpleQueue()
    started = [_Worker(plan) for _ in range(workers)]
    for worker in started:
        free.put(worker)
    waiting: deque[Future[Checked]] = deque()
    try:
        with ThreadPoolExecutor(workers) as threads:
            for batch in batches:
                waiting.append(threads.submit(_ask, free, batch))
                if len(waiting) >= _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        for worker in started:
            worker.stop()


def count_cores() -> int:
    """Return how many processes this one may run side by side."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def send(pipe: IO[bytes], value: Any) -> None:
    """Write a value, its length first."""
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(data).to_bytes(_LENGTH_BYTES, "little"))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read a value that the other side of our own pipe sent.

    Raises:
        EOFError: The other side has ended.
    """
    head = pipe.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        raise EOFError
    length = int.from_bytes(head, "little")
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


class _Worker:
    """One process that checks rows."""

    def __init__(self, plan: FilterPlan) -> None:
        # -P: the folder that the user stands in is no place to import from.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "domainforge.filters.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        send(self._stdin, plan)

    def check(self, batch: Examples) -> Checked:
        """Have a batch checked."""
        try:
            send(self._stdin, batch)
            found = receive(self._stdout)
        except (EOFError, BrokenPipeError):
            status = self._process.wait()
            raise RuntimeError(
                f"a process of the filter ended by itself (status {status})"
            ) from None
        if isinstance(found, str):
            raise DataError(found)
        return Checked(*found)

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._stdout.close()
        try:
            self._stdin.close()
        except BrokenPipeError:
            return  # what it had not read yet


def _ask(free: "SimpleQueue[_Worker]", batch: Examples) -> Checked:
    worker = free.get()
    try:
        return worker.check(batch)
    finally:
        free.put(worker)

"""One worker process of ingest, and the watch over its time and memory."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.sources.loaded import SourceFile
from domainforge.sources.wire import pack, pack_file, unpack_answer

_LOOK_EVERY_SECONDS = 0.1
_READ_BYTES = 1 << 20
_ENDING_SECONDS = 5.0
# Any other variable may hold a secret, whatever its name.
_HANDED_ON = frozenset(
    ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")
)
_HANDED_ON_PREFIXES = ("LC_", "PYTHON", "DYLD_", "TESSDATA")


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


class WorkerProcess:
    """One process, and the watch over it.

    Attributes:
        used: Whether it has read a file, which may have left its heap in disorder.
    """

    def __init__(self, limits: Limits, scratch: Path) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self.used = False
        memory = str(limits.max_memory_bytes)
        # -P: the folder that the user stands in is no place to import from.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "domainforge.sources.worker", memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_plain_environment(), "TMPDIR": str(scratch)},
        )

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def ask(
        self, file: SourceFile, skip: int, wanted: Callable[[], bool]
    ) -> Iterator[dict[str, Any]]:
        """Yield the answers for one file; the last has `end`, and a `reason` where it died.

        Args:
            file: What to read.
            skip: How many of its leading parts are not wanted.
            wanted: Asked now and then; where not, it is ended.
        """
        task = {"file": pack_file(file), "skip": skip, "max_bytes": self._limits.max_bytes}
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(pack(task))
            self.process.stdin.flush()
        except BrokenPipeError:
            yield self._death()
            return
        while True:
            message = self._next(wanted)
            yield message
            if "end" in message:
                self.used = self.used or not (message.get("reason") or message.get("memory"))
                return

    def _next(self, wanted: Callable[[], bool]) -> dict[str, Any]:
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
                    return self._kill("too_much_memory", memory_detail(self._limits))
            # Also while it answers: one that was taken over could do so without an end.
            if not wanted():
                return self._kill("abandoned", "nobody waits for it any more")
            if time.monotonic() > deadline:
                seconds = f"{self._limits.max_seconds:g}"
                return self._kill("too_slow", f"not read in {seconds} s (ingest.max_file_seconds)")
            if _resident_bytes(self.process.pid) > self._limits.max_memory_bytes:
                return self._kill("too_much_memory", memory_detail(self._limits))
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


def memory_detail(limits: Limits) -> str:
    """Say what was too much."""
    return f"needs more than {limits.max_memory_bytes >> 20} MB (ingest.max_file_memory_mb)"


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _plain_environment() -> dict[str, str]:
    """Return what a parser may know of the environment."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if name in _HANDED_ON or name.startswith(_HANDED_ON_PREFIXES)
    }
    return {**plain, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

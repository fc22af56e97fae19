"""Run a command and watch the memory and CPU time of all its processes (Linux)."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_INTERVAL_SECONDS = 0.05


@dataclass(frozen=True)
class Watched:
    """What a command did.

    Attributes:
        peak_mb: Highest sum of the resident memory of its processes; what they share counts for
            each of them.
        cpu_seconds: User and system time of all of them.
    """

    output: str
    peak_mb: float
    cpu_seconds: float
    wall_seconds: float


def watch(
    command: Sequence[str | Path], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Watched:
    """Run a command to its end.

    Raises:
        SystemExit: It failed; its last words come along.
    """
    before, began, peak = os.times(), time.perf_counter(), 0.0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        words = [str(word) for word in command]
        whole = {**os.environ, **(env or {})}
        with subprocess.Popen(words, stdout=out, stderr=errors, cwd=cwd, env=whole) as process:
            while process.poll() is None:
                peak = max(peak, _tree_mb(process.pid))
                time.sleep(_INTERVAL_SECONDS)
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)} failed:\n{errors.read()[-4000:]}")
        after = os.times()
        cpu = after.children_user - before.children_user
        cpu += after.children_system - before.children_system
        return Watched(out.read(), peak, cpu, time.perf_counter() - began)


def _tree_mb(root: int) -> float:
    """Add up the resident memory of a process and all below it."""
    parents, pages = dict[int, int](), dict[int, int]()
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)], pages[int(entry.name)] = int(fields[1]), int(fields[21])
    total, tree = 0, {root}
    for process in sorted(parents):
        # Children have higher numbers than their parents, but for a wrap-around.
        if process in tree or parents[process] in tree:
            tree.add(process)
            total += pages.get(process, 0)
    return total * os.sysconf("SC_PAGE_SIZE") / 1e6

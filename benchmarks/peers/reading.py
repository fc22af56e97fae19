"""What the readers share: a folder to go through, and the line that the benchmark reads."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


def report(read: Callable[[Path], tuple[int, int]]) -> None:
    """Read a folder by a function and print what it cost as one JSON object.

    The function returns the characters that it got and how many files it couldn't read. It is
    called once for the folder `first`, where imports happen, before the clock starts.
    """
    folder = Path(sys.argv[1])
    read(folder.parent / "first")
    before, began = cpu_seconds(), time.perf_counter()
    characters, failed = read(folder)
    figures = {
        "cpu_seconds": cpu_seconds() - before,
        "wall_seconds": time.perf_counter() - began,
        "characters": characters,
        "failed": failed,
    }
    print(json.dumps(figures))


def cpu_seconds() -> float:
    """Return the user and system time of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())

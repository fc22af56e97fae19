"""What the drivers share; each runs in its peer's own Python, so only the standard library."""

import argparse
import asyncio
import json
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

NO_ROW = -1


def read_arguments(description: str | None, **more: str) -> argparse.Namespace:
    """Read `BASE_URL COUNT CONCURRENCY` and further options with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("base_url")
    parser.add_argument("count", type=int)
    parser.add_argument("concurrency", type=int)
    for name, default in more.items():
        parser.add_argument(f"--{name}", default=default)
    return parser.parse_args()


def prompt(row: int) -> str:
    """Return the text for a row; the load server reads the row's number in it."""
    return f"Write one question about row {row} of the timetable."


def report(count: int, ask_all: Callable[[Sequence[int]], Iterable[int]]) -> None:
    """Time a function that takes rows and returns those it got replies for; print one JSON object.

    One request (for no row) goes ahead, so that what loads at the first call is loaded. The clock
    runs from the second call until the last reply is handed over and all is closed. CPU is user
    and system time of the process and its children meanwhile.
    """
    list(ask_all([NO_ROW]))
    cpu, started = _cpu_seconds(), time.perf_counter()
    answered = Counter(ask_all(range(count)))
    wall = time.perf_counter() - started
    figures: dict[str, Any] = {
        "wall_seconds": wall,
        "cpu_seconds": _cpu_seconds() - cpu,
        "answered": len(answered),
        "lost": count - len(answered),
        "doubled": answered.total() - len(answered),
    }
    print(json.dumps(figures), flush=True)


async def ask_in_workers(
    rows: Sequence[int], concurrency: int, ask: Callable[[int], Awaitable[bool]]
) -> list[int]:
    """Ask each row with so many workers, as a careful user would; return those answered."""
    waiting, answered = iter(rows), list[int]()

    async def work() -> None:
        for row in waiting:
            if await ask(row):
                answered.append(row)

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return answered


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)

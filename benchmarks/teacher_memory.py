"""Claim: a million requests take no more memory than a thousand.

Requests come from a generator, a load server in C answers at once, every reply goes through one
fresh ledger on disk. Resident memory of this process, which holds the teacher and nothing else, is
read ten times a second; rss_growth_mb is the highest value after the first 1,000 replies less the
value right then. 1 MB is 10^6 bytes.

    python benchmarks/teacher_memory.py            # 1,000,000 requests; a few GB of disk
    python benchmarks/teacher_memory.py --quick    # 100,000 requests
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from load import compiled_tools, load_server
from runs import print_table

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_teacher

WARM_REPLIES = 1000
REPLY_BYTES = 500
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Sampler:
    """Reads the resident memory of this process for the length of a `with`.

    Attributes:
        peak_bytes: The highest seen since the last `restart`.
    """

    def __init__(self) -> None:
        """Wait for `__enter__`."""
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Start reading."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Read a last time and stop."""
        self._over.set()
        self._thread.join()
        self.peak_bytes = max(self.peak_bytes, resident_bytes())

    def restart(self) -> int:
        """Forget the peak so far; return what is resident now."""
        self.peak_bytes = resident_bytes()
        return self.peak_bytes

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.peak_bytes = max(self.peak_bytes, resident_bytes())


def main() -> None:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100,000 requests")
    parser.add_argument("--requests", type=int, help="other than 1,000,000 (100,000 with --quick)")
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--folder", type=Path, help="disk for the ledger; temporary otherwise")
    options = parser.parse_args()
    count = options.requests or (100_000 if options.quick else 1_000_000)
    if count <= WARM_REPLIES:
        raise SystemExit(f"the first {WARM_REPLIES:,} replies only warm up; ask for more")
    with (
        compiled_tools() as tools,
        load_server(tools, reply_bytes=REPLY_BYTES) as server,
        tempfile.TemporaryDirectory(dir=options.folder, prefix="ledger-") as place,
        Sampler() as sampler,
    ):
        ledger = Path(place, "ledger.sqlite")
        config = TeacherConfig(
            base_url=server.base_url,
            model="load",
            json_schema="no",
            concurrency=options.concurrency,
            transport="direct",
        )
        began, replies, at_start = time.perf_counter(), 0, 0
        with open_teacher(config, ledger) as teacher:
            for reply in teacher.ask(_requests(count)):
                replies += reply.status == "ok"
                if replies == WARM_REPLIES and not at_start:
                    at_start = sampler.restart()
        seconds = time.perf_counter() - began
        stats, ledger_bytes = server.stats(), ledger.stat().st_size
    growth = (sampler.peak_bytes - at_start) / 1e6
    print(f"n = 1 run of {count:,} requests, {options.concurrency} in flight\n")
    header = ("requests", "replies", "asked twice", "MB at 1,000", "peak MB", "growth MB")
    numbers = (f"{count:,}", f"{replies:,}", str(stats["unneeded"]))
    megabytes = (f"{at_start / 1e6:.1f}", f"{sampler.peak_bytes / 1e6:.1f}", f"{growth:.1f}")
    more = (f"{replies / seconds:,.0f}", f"{ledger_bytes / 1e9:.2f}")
    print_table((*header, "replies/s", "ledger GB"), [(*numbers, *megabytes, *more)])
    figures = {
        "requests": count,
        "replies": replies,
        "unneeded": stats["unneeded"],
        "rss_growth_mb": round(growth, 1),
        "rss_at_start_mb": round(at_start / 1e6, 1),
        "per_second": round(replies / seconds, 1),
    }
    print(json.dumps(figures))


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def _requests(count: int) -> Iterator[Request]:
    for row in range(count):
        text = f"Write one question about row {row} of the timetable."
        yield Request(messages=({"role": "user", "content": text},))


if __name__ == "__main__":
    main()

"""Claim: a bad endpoint costs the teacher time that no client could spare, and no row.

2,000 rows at 64 in flight; 5 % of the replies take 20 x 50 ms, 10 % of the requests get a 429 with
`Retry-After: 1`, 2 % are dropped without an answer. What becomes of a request depends on the seed,
its row and how often that row was asked, so that every client of a round meets the same.

lost: rows that the consumer got no usable reply for. doubled: replies that the consumer got beyond
one a row, plus requests for rows that the server had answered already.

wall_over_ideal: our wall time divided by that of a replay of what the server really did to each row
in that run, request by request. The replay has 64 slots and takes rows in order; a request
holds a slot for just as long as the server held it; a refused row comes back exactly when its
Retry-After is over, a dropped one at once, both before rows not yet asked; a row that waits holds
no slot; nothing else takes any time (no jitter, no CPU, no network, no ledger). The last rows to be
refused wait out their second after the others are done: that is in the replay too.

The raw `openai` client runs beside us as it comes (two retries), with the same figures.
Sums of lost and doubled, and the median and the worst wall_over_ideal over the rounds.

    python benchmarks/teacher_faults.py            # 5 rounds, each with another seed
    python benchmarks/teacher_faults.py --quick    # 2 rounds
"""

import argparse
import heapq
import json
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from load import Driver, Tools, compiled_tools, drive, load_server
from runs import print_table

LATENCY_MS, RETRY_AFTER_SECONDS = 50, 1.0
DRIVERS = {
    "ours": Driver("DomainForge, direct", "ours.py", options=("--transport", "direct")),
    "ours_openai": Driver("DomainForge, openai", "ours.py", options=("--transport", "openai")),
    "openai": Driver("openai, default", "openai_sdk.py"),
}


@dataclass(frozen=True)
class Attempt:
    """What the server did to one request."""

    kind: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """What one client made of the faults."""

    wall_seconds: float
    ideal_seconds: float
    requests: int
    lost: int
    doubled: int

    @property
    def wall_over_ideal(self) -> float:
        """Wall time over what the delays made unavoidable."""
        return self.wall_seconds / self.ideal_seconds


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    parser.add_argument("--rounds", type=int, help="other than 5 (2 with --quick)")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="disk for the ledgers; temporary otherwise")
    options = parser.parse_args()
    runs: dict[str, list[Run]] = defaultdict(list)
    with compiled_tools() as tools:
        for seed in range(options.rounds or (2 if options.quick else 5)):
            for key, driver in DRIVERS.items():
                with tempfile.TemporaryDirectory(dir=options.folder, prefix="ledger-") as place:
                    words = ("--ledger", f"{place}/ledger.sqlite")
                    more = words if driver.script == "ours.py" else ()
                    run = _run(tools, driver, options.rows, options.concurrency, seed, more)
                    runs[key].append(run)
    _report(runs, options.rows, options.concurrency)


def replay(attempts: Iterable[list[Attempt]], slots: int, retry_after_seconds: float) -> float:
    """Return the time that rows need whose requests are held up like that, and by nothing else.

    Args:
        attempts: What each row met, in order; rows are taken in this order.
        slots: Requests in flight at once.
        retry_after_seconds: How long a refused row waits before its next request.
    """
    fresh = deque(deque(row) for row in attempts)
    returning: list[tuple[float, int, deque[Attempt]]] = []
    busy: list[tuple[float, int, deque[Attempt], str]] = []
    now, number = 0.0, 0
    while fresh or returning or busy:
        while len(busy) < slots and (fresh or (returning and returning[0][0] <= now)):
            row = heapq.heappop(returning)[2] if _is_due(returning, now) else fresh.popleft()
            attempt, number = row.popleft(), number + 1
            heapq.heappush(busy, (now + attempt.seconds, number, row, attempt.kind))
        if not busy:
            now = returning[0][0]
            continue
        if len(busy) < slots and returning and returning[0][0] < busy[0][0]:
            now = returning[0][0]
            continue
        now, _, row, kind = heapq.heappop(busy)
        if row:
            wait = retry_after_seconds if kind == "refuse" else 0.0
            heapq.heappush(returning, (now + wait, number, row))
            number += 1
    return now


def _is_due(returning: list[tuple[float, int, deque[Attempt]]], now: float) -> bool:
    return bool(returning) and returning[0][0] <= now


def _run(
    tools: Tools, driver: Driver, rows: int, concurrency: int, seed: int, more: tuple[str, ...]
) -> Run:
    with load_server(
        tools,
        latency_ms=LATENCY_MS,
        tail_share=0.05,
        tail_multiplier=20,
        refuse_share=0.1,
        retry_after=RETRY_AFTER_SECONDS,
        drop_share=0.02,
        seed=seed,
        record=1,
    ) as server:
        done = drive(driver, server, rows, concurrency, *more)
        stats, requests = server.stats(), server.requests()
    met: dict[int, list[Attempt]] = defaultdict(list)
    for row, kind, delay_ms in requests:
        if row < 0:
            continue  # sent before the clock started
        met[row].append(Attempt(kind, delay_ms / 1000))
    return Run(
        wall_seconds=done.wall_seconds,
        ideal_seconds=replay((met[row] for row in sorted(met)), concurrency, RETRY_AFTER_SECONDS),
        requests=stats["requests"],
        lost=done.lost,
        doubled=done.doubled + stats["unneeded"],
    )


def _report(runs: dict[str, list[Run]], rows: int, concurrency: int) -> None:
    table, figures = [], dict[str, float]()
    for key, done in runs.items():
        ratios = [run.wall_over_ideal for run in done]
        suffix = "" if key == "ours" else f"_{key}"
        figures[f"lost{suffix}"] = sum(run.lost for run in done)
        figures[f"doubled{suffix}"] = sum(run.doubled for run in done)
        figures[f"wall_over_ideal{suffix}"] = round(median(ratios), 4)
        figures[f"worst_wall_over_ideal{suffix}"] = round(max(ratios), 4)
        table.append(
            [
                DRIVERS[key].name,
                f"{median(run.wall_seconds for run in done):.2f}",
                f"{median(run.ideal_seconds for run in done):.2f}",
                f"{median(ratios):.2f}",
                f"{max(ratios):.2f}",
                f"{median(run.requests for run in done):,.0f}",
                f"{figures[f'lost{suffix}']:.0f}",
                f"{figures[f'doubled{suffix}']:.0f}",
            ]
        )
    n = len(runs["ours"])
    print(f"n = {n} rounds of {rows:,} rows at {concurrency} in flight\n")
    header = ("client", "wall s", "ideal s", "over", "worst", "requests", "lost", "doubled")
    print_table(header, table)
    print(json.dumps({"rounds": n, "rows": rows, **figures}))


if __name__ == "__main__":
    main()

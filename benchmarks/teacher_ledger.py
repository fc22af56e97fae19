"""Claim: the ledger, every reply on disk before it is used, costs at most 3 % at 500 replies/s.

The same teacher against the same load server with its real ledger (WAL, flushed to the disk at each
group commit) and with one that keeps nothing, in turn. 25 requests in flight at 50 ms make 500
replies a second; 256 show what it costs where the processor is the limit. cost_share is
1 - rate with / rate without, the median over rounds. Needs Linux and a C compiler.

    python benchmarks/teacher_ledger.py            # 7 rounds
    python benchmarks/teacher_ledger.py --quick    # 1 round, a quarter of the requests
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from load import Driven, Driver, compiled_tools, drive, load_server
from runs import print_table

COUNTS = {25: 3_000, 256: 20_000}
WITH = Driver("with its ledger", "ours.py")
WITHOUT = Driver("without", "ours_without_ledger.py")


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 round, a quarter of the requests")
    parser.add_argument("--rounds", type=int, help="other than 7 (1 with --quick)")
    parser.add_argument("--folder", type=Path, help="disk for the ledgers; temporary otherwise")
    parser.add_argument("--scale", type=float, help="share of the requests, for a trial")
    options = parser.parse_args()
    scale = options.scale or (0.25 if options.quick else 1.0)
    pairs: dict[int, list[tuple[Driven, Driven]]] = {c: [] for c in COUNTS}
    with compiled_tools() as tools:
        for _ in range(options.rounds or (1 if options.quick else 7)):
            for concurrency, count in COUNTS.items():
                pair = []
                for driver in (WITH, WITHOUT):
                    with (
                        load_server(tools, latency_ms=50, reply_bytes=1000) as server,
                        tempfile.TemporaryDirectory(dir=options.folder) as place,
                    ):
                        more = ("--ledger", f"{place}/ledger.sqlite") if driver is WITH else ()
                        size = round(count * scale)
                        pair.append(drive(driver, server, size, concurrency, *more))
                pairs[concurrency].append((pair[0], pair[1]))
    _report(pairs, scale)


def _report(pairs: dict[int, list[tuple[Driven, Driven]]], scale: float) -> None:
    rows, figures = [], dict[str, float]()
    for concurrency, done in pairs.items():
        for index, driver in enumerate((WITH, WITHOUT)):
            rate = median(pair[index].per_second for pair in done)
            cpu = median(pair[index].cpu_ms_per_request for pair in done)
            rows.append([driver.name, str(concurrency), f"{rate:,.0f}", f"{cpu:.3f}"])
        cost = median(1 - kept.per_second / free.per_second for kept, free in done)
        label = "500" if concurrency == 25 else "256_in_flight"
        figures[f"ledger_cost_share_{label}"] = round(cost, 4)
    rounds = len(pairs[25])
    counts = " and ".join(f"{count * scale:,.0f} at {c}" for c, count in COUNTS.items())
    print(f"n = {rounds} rounds, {counts} in flight; 50 ms, 1000 bytes\n")
    print_table(("teacher", "in flight", "replies/s", "CPU ms each"), rows)
    print(json.dumps({"rounds": rounds, "scale": scale, **figures}))


if __name__ == "__main__":
    main()

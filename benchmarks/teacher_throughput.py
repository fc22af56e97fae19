"""Claim: the teacher takes nearly all that an endpoint gives, at 64 and at 256 in flight.

A load server in C answers every request after 50 ms with about 1 KB. Each round runs, one after the
other, a bare socket loop in C (it gives the rate that the server sustains), our teacher through
each of its transports with a fresh ledger on disk, the raw `openai` client on both of its
transports, and the peers that are found. Each client runs in its own process; its clock starts
after its imports and a first request, and stops when the last reply is handed over and all is
closed. Slower clients get fewer requests, so that a round of each takes seconds.

efficiency_C is our rate (direct transport) as a share of the bare loop's in the same round at C in
flight; ratio_NAME_C is our rate divided by theirs in the same round; all are medians over rounds.
cpu_ms_per_request is user and system time of our process per request, the worse of 64 and 256.

Needs Linux and a C compiler. Peers come each in an environment of its own: `--peers FOLDER` with
FOLDER/litellm/bin/python, FOLDER/bespokelabs-curator/..., FOLDER/langchain-openai/...

    python benchmarks/teacher_throughput.py                   # 5 rounds
    python benchmarks/teacher_throughput.py --quick           # 1 round, a quarter of the requests
    python benchmarks/teacher_throughput.py --peers FOLDER
"""

import argparse
import importlib.util
import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from load import Driven, Driver, Tools, bare_rate, compiled_tools, drive, load_server
from runs import print_table

LATENCY_MS = 50
REPLY_BYTES = 1000
COUNTS = {64: 15_000, 256: 40_000}
OURS, OURS_OPENAI = "ours", "ours_openai"
DRIVERS = {
    OURS: Driver("DomainForge, direct", "ours.py", options=("--transport", "direct")),
    OURS_OPENAI: Driver("DomainForge, openai", "ours.py", options=("--transport", "openai")),
    "openai": Driver("openai, default", "openai_sdk.py"),
    "openai_aiohttp": Driver(
        "openai, aiohttp", "openai_sdk.py", options=("--transport", "aiohttp")
    ),
}
PEERS = {
    "langchain": ("langchain-openai", "langchain_openai_abatch.py", "LangChain abatch"),
    "litellm": ("litellm", "litellm_acompletion.py", "litellm"),
    "curator": ("bespokelabs-curator", "bespokelabs_curator.py", "bespokelabs-curator"),
}


@dataclass(frozen=True)
class Round:
    """What one round measured at one concurrency."""

    bare_per_second: float
    clients: dict[str, Driven]


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 round, a quarter of the requests")
    parser.add_argument("--rounds", type=int, help="other than 5 (1 with --quick)")
    parser.add_argument("--peers", type=Path, help="folder with the peers' environments")
    parser.add_argument("--folder", type=Path, help="disk for the ledgers; temporary otherwise")
    parser.add_argument("--scale", type=float, help="share of the requests, for a trial")
    options = parser.parse_args()
    scale = options.scale or (0.25 if options.quick else 1.0)
    drivers = DRIVERS | _find_peers(options.peers)
    rounds: dict[int, list[Round]] = defaultdict(list)
    with compiled_tools() as tools:
        for _ in range(options.rounds or (1 if options.quick else 5)):
            for concurrency, count in COUNTS.items():
                size = round(count * scale)
                rounds[concurrency].append(
                    _run_round(tools, drivers, size, concurrency, options.folder)
                )
    _report(drivers, rounds, scale)


def _find_peers(folder: Path | None) -> dict[str, Driver]:
    found = {}
    for key, (environment, script, name) in PEERS.items():
        python = folder / environment / "bin" / "python" if folder else None
        if python is not None and python.exists():
            found[key] = Driver(name, script, python.absolute())
        elif key == "langchain" and importlib.util.find_spec("langchain_openai"):
            found[key] = Driver(name, script)
    return found


def _run_round(
    tools: Tools, drivers: dict[str, Driver], count: int, concurrency: int, folder: Path | None
) -> Round:
    options = {"latency_ms": LATENCY_MS, "reply_bytes": REPLY_BYTES}
    with load_server(tools, **options) as server:
        bare = bare_rate(tools, server, count, concurrency)
    clients = {}
    for key, driver in drivers.items():
        # All of the requests would take the slow ones a minute and more.
        share = 1.0 if key == OURS else 0.1
        size = max(round(count * share), min(count, concurrency))
        with (
            load_server(tools, **options) as server,
            tempfile.TemporaryDirectory(dir=folder, prefix="ledger-") as place,
        ):
            ledger = ("--ledger", f"{place}/ledger.sqlite") if driver.script == "ours.py" else ()
            clients[key] = drive(driver, server, size, concurrency, *ledger)
    return Round(bare, clients)


def _report(drivers: dict[str, Driver], rounds: dict[int, list[Round]], scale: float) -> None:
    rows, figures = [], dict[str, float]()
    for concurrency, done in rounds.items():
        bare = median(one.bare_per_second for one in done)
        rows.append(["bare socket loop", str(concurrency), f"{bare:,.0f}", "1.00", "", "", "0"])
        for key, driver in drivers.items():
            runs = [one.clients[key] for one in done]
            share = median(one.clients[key].per_second / one.bare_per_second for one in done)
            ratio = median(
                one.clients[OURS].per_second / one.clients[key].per_second for one in done
            )
            cpu = median(run.cpu_ms_per_request for run in runs)
            lost = sum(run.lost for run in runs)
            rate = f"{median(run.per_second for run in runs):,.0f}"
            shown = [rate, f"{share:.3f}", f"{cpu:.3f}", f"{ratio:.1f}", str(lost)]
            rows.append([driver.name, str(concurrency), *shown])
            suffix = "" if key == OURS else f"_{key}"
            figures[f"efficiency_{concurrency}{suffix}"] = round(share, 4)
            figures[f"cpu_ms_per_request_{concurrency}{suffix}"] = round(cpu, 4)
            if key != OURS:
                figures[f"ratio_{key}_{concurrency}"] = round(ratio, 2)
    worst = max(figures[f"cpu_ms_per_request_{concurrency}"] for concurrency in rounds)
    n = len(rounds[64])
    counts = " and ".join(f"{count * scale:,.0f} at {c}" for c, count in COUNTS.items())
    print(f"n = {n} rounds, {counts} in flight; {LATENCY_MS} ms, {REPLY_BYTES} bytes\n")
    header = (
        "client",
        "in flight",
        "replies/s",
        "of bare",
        "CPU ms each",
        "ours is x faster",
        "lost",
    )
    print_table(header, rows)
    print(json.dumps({"rounds": n, "scale": scale, "cpu_ms_per_request": worst, **figures}))


if __name__ == "__main__":
    main()

"""Claim: near-duplicates go faster than by any library, with none lost and none taken wrongly.

Rows of 35 to 95 words (`dedup_corpus.py`), three in ten edited copies of others; near-duplicates
are rows whose sets of runs of three words have a Jaccard similarity of 0.7. Each tool reads the
Parquet file and says which rows stay, in a process of its own; the clock starts after imports,
compiling and two thousand rows to warm up, and stops when the rows that stay are written down.
Rows per second are by the clock on the wall; tools run in turn, medians over rounds.

The truth is the complete join of all pairs, itself compared with every pair of 20,000 rows at
the start. recall: of the rows that should go, so that one of each group stays, the share that
went. precision: of the rows that went, the share that are like another one. lost: groups of which
no row stays. peak_mb is the highest resident memory, files that are mapped included.

Peers live in an interpreter of their own, with `pip install rensa gaoya datasketch xxhash numpy
pyarrow`, and are told 128 hash functions in 16 bands; those that check nothing keep their own
precision. Needs Linux.

    python benchmarks/dedup.py --peers ENVIRONMENT/bin/python            # 50 k, 1 M and 5 M rows
    python benchmarks/dedup.py --peers ENVIRONMENT/bin/python --quick    # 1 M, the two best peers
    python benchmarks/dedup.py --sizes 10000000                          # ours alone
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from dedup_corpus import check_truth, write_corpus
from process_tree import watch
from runs import print_table

HERE = Path(__file__).parent
OURS = "ours"
PEERS = {
    "rensa": 5_000_000,
    "gaoya": 5_000_000,
    "datasketch": 1_000_000,
}
"""Peers, and up to how many rows each is run: what would take hours, or all memory, is not."""
CHECKED_ROWS = 20_000
WARM_ROWS = 2_000


@dataclass(frozen=True)
class Run:
    """What one tool did once.

    Attributes:
        lost: Groups of which it took every row.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    recall: float
    precision: float
    lost: int


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1 M rows, rensa and gaoya, 1 round")
    parser.add_argument("--peers", type=Path, help="interpreter that has the peers")
    parser.add_argument("--only", nargs="+", choices=PEERS, help="only these peers")
    parser.add_argument("--sizes", nargs="+", type=int, help="numbers of rows")
    parser.add_argument("--rounds", type=int, default=1, help="each tool so often, in turn")
    parser.add_argument("--folder", type=Path, help="disk for the rows; temporary otherwise")
    options = parser.parse_args()
    sizes = options.sizes or ([1_000_000] if options.quick else [50_000, 1_000_000, 5_000_000])
    wanted = options.only or (["rensa", "gaoya"] if options.quick else list(PEERS))
    tools = [OURS, *(wanted if options.peers else ())]
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="dedup-") as place:
        folder = Path(place)
        figures["checked_groups"] = _check(folder / "checked")
        write_corpus(folder / "first", WARM_ROWS)
        for rows in sizes:
            own = folder / str(rows)
            watch([sys.executable, HERE / "dedup_corpus.py", own, str(rows)])
            runs = _measure(own, rows, tools, options.peers, options.rounds)
            shutil.rmtree(own)
            # The keys without a number are of the last size, the largest one.
            summary = _summarise(rows, runs)
            figures |= summary | {f"{name}_{rows}": value for name, value in summary.items()}
    print(json.dumps(figures))


def _check(folder: Path) -> int:
    write_corpus(folder, CHECKED_ROWS)
    groups = check_truth(folder)
    print(f"the truth is that of all pairs of {CHECKED_ROWS:,} rows: {groups:,} groups\n")
    return groups


def _measure(
    folder: Path, rows: int, tools: Sequence[str], peers: Path | None, rounds: int
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {}
    for _ in range(rounds):
        for tool in tools:
            if tool != OURS and (peers is None or rows > PEERS[tool]):
                continue
            python = sys.executable if tool == OURS else str(peers)
            script = HERE / "peers" / f"dedup_{tool}.py"
            env = {"PYTHONPATH": str(HERE.parent)} if tool == OURS else None
            seen = watch([python, script, folder, tool], env=env)
            cost = json.loads(seen.output.splitlines()[-1])
            runs.setdefault(tool, []).append(
                Run(cost["wall_seconds"], cost["cpu_seconds"], seen.peak_mb, *_judge(folder, tool))
            )
    return runs


def _judge(folder: Path, tool: str) -> tuple[float, float, int]:
    """Return recall, precision, and how many groups are lost."""
    groups, stays = np.load(folder / "truth.npy"), np.load(folder / f"{tool}.npy")
    sizes = np.bincount(groups, minlength=len(groups))
    gone = np.bincount(groups[~stays], minlength=len(groups))
    should = int(np.maximum(sizes - 1, 0).sum())
    did = int(np.minimum(gone, np.maximum(sizes - 1, 0)).sum())
    right = int(gone[sizes > 1].sum())
    lost = int(((gone == sizes) & (sizes > 0)).sum())
    return did / max(should, 1), right / max(int((~stays).sum()), 1), lost


def _summarise(rows: int, runs: dict[str, list[Run]]) -> dict[str, object]:
    """Print the table of one size; returns its figures."""
    rates = {tool: median(rows / run.wall_seconds for run in own) for tool, own in runs.items()}
    peaks = {tool: median(run.peak_mb for run in own) for tool, own in runs.items()}
    table = []
    for tool, own in runs.items():
        cpu = median(run.cpu_seconds for run in own)
        quality = [f"{own[0].recall:.4f}", f"{own[0].precision:.4f}", f"{own[0].lost:,}"]
        times = "" if tool == OURS else f"{rates[OURS] / rates[tool]:.1f}"
        speed = [f"{rates[tool]:,.0f}", f"{median(run.wall_seconds for run in own):.1f}"]
        table.append([tool, *speed, f"{cpu:.1f}", f"{peaks[tool]:,.0f}", *quality, times])
    print(f"{rows:,} rows, n = {len(runs[OURS])}\n")
    header = ("tool", "rows/s", "wall s", "CPU s", "peak MB", "recall", "precision", "lost")
    print_table((*header, "ours is x"), table)
    print()
    ratios = {tool: round(rates[OURS] / rate, 2) for tool, rate in rates.items() if tool != OURS}
    return {
        "rows": rows,
        "rows_per_s": round(rates[OURS]),
        "recall": round(runs[OURS][0].recall, 5),
        "precision": round(runs[OURS][0].precision, 5),
        "peak_mb": round(peaks[OURS]),
        "ratio_best": min(ratios.values(), default=None),
        **{f"ratio_{tool}": ratio for tool, ratio in ratios.items()},
    }


if __name__ == "__main__":
    main()

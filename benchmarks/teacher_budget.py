"""Claim: a cap of one dollar holds to the cent, and is used up nearly whole.

Each run asks without end, 256 in flight, under `max_usd: 1.00` at simulated prices, until the
teacher stops by itself. The server draws the length of each reply between one token and the
request's max_tokens, lets 2 % of the requests hang until the client gives up, refuses 10 % with
429, and drops 1 %; retries are on. The worst case of one request is under 0.5 % of the cap.

Two accounts are kept. What the teacher settled (a request without an answer at its worst case), and
what the provider could bill: every reply it sent, and also those that it generated and that never
arrived (hung, dropped, left by the client). max_spent_usd is the highest of all of them over all
runs; mean_used_share the mean of what was settled, as a share of the cap. Each run has another
seed, so other lengths and other faults.

    python benchmarks/teacher_budget.py            # 200 runs
    python benchmarks/teacher_budget.py --quick    # 20 runs
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from load import LoadServer, Tools, compiled_tools, load_server
from runs import print_table

from domainforge.errors import BudgetError
from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Request
from domainforge.teacher.session import open_teacher

CAP_USD = 1.0
CONCURRENCY = 256
MAX_TOKENS = 350
INPUT_USD_PER_MILLION, OUTPUT_USD_PER_MILLION = 0.5, 10.0
WORST_SHARE = 0.005
TIMEOUT_SECONDS = 0.3
MOST_REQUESTS = 20_000
# The usual waits are for endpoints far away; a run should take about a second.
SHORT_WAITS = Pace(base_seconds=0.02, cap_seconds=0.1)


@dataclass(frozen=True)
class Run:
    """The accounts of one run.

    Attributes:
        settled_usd: What the teacher counts as spent.
        answered_usd: What the server's replies cost.
        billable_usd: The same, with what it generated and nobody received.
        replies: Replies that the consumer got.
        most_in_flight: As the server saw it.
    """

    settled_usd: float
    answered_usd: float
    billable_usd: float
    replies: int
    hung: int
    refused: int
    most_in_flight: int

    @property
    def spent_usd(self) -> float:
        """The highest of the accounts."""
        return max(self.settled_usd, self.answered_usd, self.billable_usd)


def main() -> None:
    """Run until the cap, again and again, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 runs")
    parser.add_argument("--runs", type=int, help="other than 200 (20 with --quick)")
    parser.add_argument("--folder", type=Path, help="disk for the ledgers; temporary otherwise")
    options = parser.parse_args()
    _check_worst_case()
    runs = []
    with compiled_tools() as tools:
        for seed in range(options.runs or (20 if options.quick else 200)):
            with tempfile.TemporaryDirectory(dir=options.folder, prefix="ledger-") as place:
                runs.append(_run(tools, seed, Path(place, "ledger.sqlite")))
    _report(runs)


def _run(tools: Tools, seed: int, ledger: Path) -> Run:
    with load_server(
        tools,
        latency_ms=20,
        random_lengths=1,
        hang_share=0.02,
        refuse_share=0.1,
        retry_after=0.05,
        drop_share=0.01,
        seed=seed,
    ) as server:
        config = TeacherConfig(
            base_url=server.base_url,
            model="load",
            json_schema="no",
            concurrency=CONCURRENCY,
            timeout_seconds=TIMEOUT_SECONDS,
            transport="direct",
            budget={"max_usd": CAP_USD},
            price={
                "input_usd_per_million": INPUT_USD_PER_MILLION,
                "output_usd_per_million": OUTPUT_USD_PER_MILLION,
            },
        )
        replies = 0
        with open_teacher(config, ledger, SHORT_WAITS, account=f"budget-{seed}") as teacher:
            try:
                for _ in teacher.ask(_requests()):
                    replies += 1
            except BudgetError:
                pass
            else:
                raise SystemExit(f"{MOST_REQUESTS:,} requests did not reach the cap")
        # After closing: what was in flight has arrived by now, or is given up.
        settled = teacher.budget.spent.nano_usd / 1e9
        return _account(server, settled, replies)


def _account(server: LoadServer, settled_usd: float, replies: int) -> Run:
    stats = server.stats()
    answered = _price(stats["billed_prompt_tokens"], stats["billed_completion_tokens"])
    lost = _price(stats["lost_prompt_tokens"], stats["lost_completion_tokens"])
    return Run(
        settled_usd=settled_usd,
        answered_usd=answered,
        billable_usd=answered + lost,
        replies=replies,
        hung=stats["hung"],
        refused=stats["refused"],
        most_in_flight=stats["most_in_flight"],
    )


def _price(prompt_tokens: int, completion_tokens: int) -> float:
    cost = prompt_tokens * INPUT_USD_PER_MILLION + completion_tokens * OUTPUT_USD_PER_MILLION
    return cost / 1e6


def _text(row: int) -> str:
    passage = "The ferry leaves the old pier at nine and calls at every island. " * 4
    return f"{passage}\nWrite one question about row {row} of the timetable."


def _requests() -> Iterator[Request]:
    for row in range(MOST_REQUESTS):
        yield Request(
            messages=({"role": "user", "content": _text(row)},), max_tokens=MAX_TOKENS, tag=row
        )


def _check_worst_case() -> None:
    """Hold the claim about one request: no prompt has more tokens than bytes."""
    worst_usd = _price(len(_text(MOST_REQUESTS).encode()) + 100, MAX_TOKENS)
    assert worst_usd <= WORST_SHARE * CAP_USD, worst_usd


def _report(runs: list[Run]) -> None:
    settled = [run.settled_usd for run in runs]
    answered = [run.answered_usd for run in runs]
    billable = [run.billable_usd for run in runs]
    print(f"n = {len(runs)} runs, cap ${CAP_USD:.2f}, {CONCURRENCY} in flight\n")
    rows = [
        [name, f"{min(values):.4f}", f"{mean(values):.4f}", f"{max(values):.4f}"]
        for name, values in (
            ("settled by the teacher", settled),
            ("answered by the server", answered),
            ("answered or generated in vain", billable),
        )
    ]
    print_table(("dollars", "lowest", "mean", "highest"), rows)
    print()
    counts = ("replies", "hung", "refused", "most_in_flight")
    means = [f"{mean(getattr(run, name) for run in runs):,.1f}" for name in counts]
    print_table(("mean of a run", *(name.replace("_", " ") for name in counts)), [["", *means]])
    figures = {
        "runs": len(runs),
        "max_spent_usd": round(max(run.spent_usd for run in runs), 9),
        "mean_used_share": round(mean(settled) / CAP_USD, 4),
        "max_settled_usd": round(max(settled), 9),
        "max_answered_usd": round(max(answered), 9),
        "max_billable_usd": round(max(billable), 9),
        "mean_answered_share": round(mean(answered) / CAP_USD, 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""Examples to kept: every row that leaves has a reason and evidence, every row kept its scores."""

from collections import Counter
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from domainforge.context import Context
from domainforge.errors import PromptError
from domainforge.filters.filtering import VERSION, filter_rows
from domainforge.filters.frame import frame_of
from domainforge.filters.rows import FilterConfig
from domainforge.generation.coverage import COVERAGE, Coverage, tell_coverage
from domainforge.records import GIVEN
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Stage, StageResult


def run(config: FilterConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Keep the rows that pass every check."""
    examples = inputs.table("generate")
    total = examples.num_rows

    def report(kept: int, done: int) -> None:
        context.progress(done, total, kept=kept)

    frames = _frames(examples, context)
    kept, dropped = filter_rows(examples, inputs.table("chunk"), config, report, frames)
    out.write(kept)
    out.write(dropped, "dropped")
    coverage = Coverage(inputs.table("chunk").to_pylist())
    coverage.add(kept.to_pylist())
    out.write(coverage.table(), COVERAGE)
    shares = coverage.shares()
    reasons = Counter(dropped.column("reason").to_pylist())
    share = kept.num_rows / total if total else 0.0
    account = Account(unit="rows", total=total, done=kept.num_rows, dropped=reasons)
    figures: dict[str, Any] = {"kept_share": round(share, 4)}
    figures["coverage"] = {kind: asdict(found) for kind, found in shares.items()}
    notes = (*_notes(dropped, reasons, total), *tell_coverage(shares, context.run_name))
    return StageResult(account, notes, figures)


def _frames(examples: pa.Table, context: Context) -> dict[str, str]:
    """Return what each prompt tells the teacher, by its hash; without those changed since."""
    frames = {}
    for name in sorted(set(examples.column("prompt").to_pylist()) - {GIVEN}):
        try:
            prompt = context.prompt(name)
        except PromptError:
            continue  # taken away or broken after its rows were made
        frames[prompt.hash] = frame_of(prompt)
    return frames


def _notes(dropped: pa.Table, reasons: Counter[str], total: int) -> tuple[str, ...]:
    """Say what took most rows, where little is left."""
    if not reasons or dropped.num_rows <= total / 2:
        return ()
    reason, count = reasons.most_common(1)[0]
    row = next(row for row in dropped.to_pylist() if row["reason"] == reason)
    return (
        f"{dropped.num_rows} of {total} rows were dropped, {count} of them as {reason}; "
        f"for example row {row['id']}: {row['evidence']}",
    )


STAGE = Stage(
    name="filter",
    config=FilterConfig,
    run=run,
    writes="kept",
    reads=("chunk", "generate"),
    version=VERSION,
)

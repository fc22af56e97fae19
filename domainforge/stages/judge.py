"""Unique rows to judged: what a row is worth, asked of survivors only; the best of each cluster."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domainforge.context import Context
from domainforge.deduplicate.best import rank_row
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.tables import EXAMPLE_SCHEMA


class JudgeConfig(Settings):
    """Which rows are worth training on."""


def run(config: JudgeConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Keep the best row of each cluster and side."""
    total = inputs.count("dedup")
    best = find_best(_rows(inputs))
    judged, dropped = out.stream(EXAMPLE_SCHEMA), out.stream(EXAMPLE_SCHEMA, "dropped")
    reasons = Counter[str]()
    for row in _rows(inputs):
        winner = best[_group(row)]
        if winner == row["id"]:
            judged.add(row)
        else:
            evidence = f"{winner} is the better one of its cluster"
            dropped.add({**row, "reason": "not_best_of_cluster", "evidence": evidence})
            reasons["not_best_of_cluster"] += 1
    out.finish(judged)
    out.finish(dropped, "dropped")
    context.progress(total, total, judged=judged.rows)
    return StageResult(Account("rows", total=total, done=judged.rows, dropped=reasons))


def find_best(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str | None], str]:
    """Return the id of the best row of each cluster on each side."""
    best: dict[tuple[str, str | None], Any] = {}
    for row in rows:
        rank = rank_row(row)
        group = _group(row)
        if group not in best or rank < best[group]:
            best[group] = rank
    return {group: rank.id for group, rank in best.items()}


def _group(row: Mapping[str, Any]) -> tuple[str, str | None]:
    return row["cluster"] or row["id"], row["side"]


def _rows(inputs: Inputs) -> Iterator[dict[str, Any]]:
    return (row for batch in inputs.batches("dedup") for row in batch.to_pylist())


STAGE = Stage(
    name="judge",
    config=JudgeConfig,
    run=run,
    writes="judged",
    reads=("dedup",),
)

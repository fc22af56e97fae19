"""Checking whole tables of examples beside the passages that they are about."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa

from domainforge.errors import DataError
from domainforge.filters.checks import check_rows
from domainforge.filters.rows import FilterConfig, Row, read_row, read_turns
from domainforge.records import GIVEN, canonical_json, chunk_ids_of
from domainforge.tables import EXAMPLE_SCHEMA

_BATCH_ROWS = 1024


class Filtered(NamedTuple):
    """The rows that passed every check, and the others with reason and evidence."""

    kept: pa.Table
    dropped: pa.Table


def filter_rows(
    table: pa.Table,
    chunks: pa.Table,
    config: FilterConfig,
    progress: Callable[[int, int], None] = lambda kept, done: None,
) -> Filtered:
    """Check every row beside its chunk; rows keep their order.

    Args:
        table: Examples.
        chunks: The chunks that they are about.
        config: Thresholds.
        progress: Told after each batch how many rows are kept, of how many done.

    Raises:
        DataError: A row is about a chunk that isn't there.
    """
    passages = {chunk["id"]: chunk for chunk in chunks.to_pylist()}
    kept: list[pa.Table] = []
    dropped: list[pa.Table] = []
    rows_kept = 0
    for start in range(0, table.num_rows, _BATCH_ROWS):
        examples = table.slice(start, _BATCH_ROWS).to_pylist()
        rows = [_rows_of(example, passages) for example in examples]
        found = iter(check_rows([row for own in rows for row in own], config))
        passed: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for example, own in zip(examples, rows, strict=True):
            findings = [next(found) for _ in own]
            finding = next((each for each in findings if each is not None), None)
            if finding is None:
                scores = {**json.loads(example["scores"] or "{}"), **own[0].scores()}
                passed.append({**example, "scores": canonical_json(scores)})
            else:
                why = {"reason": finding.reason, "evidence": finding.evidence}
                failed.append({**example, **why})
        kept.append(pa.Table.from_pylist(passed, schema=EXAMPLE_SCHEMA))
        dropped.append(pa.Table.from_pylist(failed, schema=EXAMPLE_SCHEMA))
        rows_kept += len(passed)
        progress(rows_kept, start + len(examples))
    empty = EXAMPLE_SCHEMA.empty_table()
    return Filtered(pa.concat_tables([empty, *kept]), pa.concat_tables([empty, *dropped]))


def _rows_of(example: dict[str, Any], passages: dict[str, dict[str, Any]]) -> list[Row]:
    """Return what the checks see of an example: one row, or one for each answer of a given chat."""
    missing = [chunk_id for chunk_id in chunk_ids_of(example) if chunk_id not in passages]
    if missing:
        raise DataError(
            f"example {example['id']} is about chunk {missing[0]}, which isn't there; "
            "run again with --from chunk"
        )
    if example["prompt"] == GIVEN:
        return read_turns(example)
    about = [passages[chunk_id] for chunk_id in chunk_ids_of(example)]
    return [read_row(example, json.loads(example["fields"] or "{}"), about)]

"""Checking whole tables of examples beside the passages that they are about."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from domainforge.errors import DataError
from domainforge.filters.checks import Finding, check_rows
from domainforge.filters.rows import FilterConfig, Row, read_turns
from domainforge.filters.turns import read_rows
from domainforge.records import GIVEN, canonical_json, chunk_ids_of
from domainforge.tables import EXAMPLE_SCHEMA

VERSION = 3
"""Raised when the same rows could come out otherwise; in the fingerprint of all that filters."""

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
    frames: Mapping[str, str] | None = None,
) -> Filtered:
    """Check every row beside its chunk; rows keep their order.

    A chat is dropped whole for the first answer that is at fault.

    Args:
        table: Examples.
        chunks: The chunks that they are about.
        config: Thresholds.
        progress: Told after each batch how many rows are kept, of how many done.
        frames: What prompts tell the teacher, by the hash of their file.

    Raises:
        DataError: A row is about a chunk that isn't there.
    """
    passages = {chunk["id"]: chunk for chunk in chunks.to_pylist()}
    kept: list[pa.Table] = []
    dropped: list[pa.Table] = []
    rows_kept = 0
    for start in range(0, table.num_rows, _BATCH_ROWS):
        examples = table.slice(start, _BATCH_ROWS).to_pylist()
        rows = [_rows_of(example, passages, frames or {}) for example in examples]
        found = iter(check_rows([row for own in rows for row in own], config))
        passed: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for example, own in zip(examples, rows, strict=True):
            finding = _first([next(found) for _ in own])
            if finding is None:
                scores = {**json.loads(example["scores"] or "{}"), **_scores(own)}
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


def _first(findings: Sequence[Finding | None]) -> Finding | None:
    """Return the finding of the first answer that has one; of several answers it says which."""
    for number, finding in enumerate(findings, start=1):
        if finding is not None:
            where = f"answer {number}: " if len(findings) > 1 else ""
            return Finding(finding.reason, f"{where}{finding.evidence}")
    return None


def _scores(rows: Sequence[Row]) -> dict[str, float]:
    """Return what was measured of a row; of several answers the lowest."""
    found: dict[str, float] = {}
    for row in rows:
        for name, value in row.scores().items():
            found[name] = min(value, found.get(name, value))
    return found


def _rows_of(
    example: dict[str, Any], passages: dict[str, dict[str, Any]], frames: Mapping[str, str]
) -> list[Row]:
    """Return what the checks see of an example: a row for each of its answers."""
    missing = [chunk_id for chunk_id in chunk_ids_of(example) if chunk_id not in passages]
    if missing:
        raise DataError(
            f"example {example['id']} is about chunk {missing[0]}, which isn't there; "
            "run again with --from chunk"
        )
    if example["prompt"] == GIVEN:
        return read_turns(example)
    about = [passages[chunk_id] for chunk_id in chunk_ids_of(example)]
    fields, frame = json.loads(example["fields"] or "{}"), frames.get(example["prompt_hash"], "")
    return read_rows(example, fields, about, frame)

"""Checking tables of examples of any size beside the passages that they are about."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from domainforge.errors import DataError
from domainforge.filters.checks import Finding, check_rows
from domainforge.filters.lengths import TOKENS, TokenLengths
from domainforge.filters.private import redact_row
from domainforge.filters.reviewed import REVIEWED, apply_edit, describe_drop, mark_kept
from domainforge.filters.rows import FAULTS, FilterConfig, Row, read_turns
from domainforge.filters.turns import read_rows
from domainforge.labels import Labels
from domainforge.records import GIVEN, canonical_json, chunk_ids_of
from domainforge.tables import EXAMPLE_SCHEMA

VERSION = 5
"""Raised when the same rows could come out otherwise; in the fingerprint of all that filters."""

_BATCH_ROWS = 1024


class Filtered(NamedTuple):
    """The rows that passed every check, and the others with reason and evidence."""

    kept: pa.Table
    dropped: pa.Table


class Checked(NamedTuple):
    """The same of a batch of examples, as rows."""

    kept: list[dict[str, Any]]
    dropped: list[dict[str, Any]]


class RowFilter:
    """Holds examples against the checks, a batch at a time."""

    def __init__(
        self,
        passages: Mapping[str, Mapping[str, Any]],
        config: FilterConfig,
        frames: Mapping[str, str] | None = None,
        labels: Labels | None = None,
        tokenizer: Path | None = None,
    ) -> None:
        """Prepare.

        Args:
            passages: Chunks by their id.
            config: Thresholds.
            frames: What prompts tell the teacher, by the hash of their file.
            labels: What people said of rows; it goes before what the checks find.
            tokenizer: The student's `tokenizer.json`; without it no tokens are counted.
        """
        self._labels = labels or Labels()
        self._passages = passages
        self._config = config
        self._frames = frames or {}
        self._lengths = TokenLengths(tokenizer) if tokenizer and config.max_tokens else None

    def check(self, examples: Sequence[Mapping[str, Any]]) -> Checked:
        """Check each example beside its chunk; both lists keep the order of the examples.

        A chat is dropped whole for the first answer that is at fault.

        Raises:
            DataError: A row is about a chunk that isn't there.
        """
        labels = [self._labels.find(example) for example in examples]
        examples = [apply_edit(*pair) for pair in zip(examples, labels, strict=True)]
        rows = [self._rows_of(example) for example in examples]
        counts = self._lengths.count(examples) if self._lengths else []
        for own, count in zip(rows, counts, strict=False):
            for row in own:
                row.measured[TOKENS] = float(count)
        found = iter(check_rows([row for own in rows for row in own], self._config))
        checked = Checked([], [])
        for example, own, label in zip(examples, rows, labels, strict=True):
            finding = _first([next(found) for _ in own])
            verdict = label.verdict if label else None
            against = finding.reason if finding else None
            if label and verdict == "drop":
                why = {"reason": REVIEWED, "evidence": describe_drop(label)}
                checked.dropped.append(redact_row({**example, **why}, self._config, against))
            elif finding is None or verdict == "keep":
                scores = {**json.loads(example["scores"] or "{}"), **_scores(own)}
                kept = {**example, "scores": canonical_json(scores)}
                marked = mark_kept(kept, label) if label and verdict else kept
                checked.kept.append(redact_row(marked, self._config, against))
            else:
                why = {"reason": finding.reason, "evidence": finding.evidence}
                checked.dropped.append(redact_row({**example, **why}, self._config))
        return checked

    def _rows_of(self, example: Mapping[str, Any]) -> list[Row]:
        """Return what the checks see of an example: a row for each of its answers."""
        about = []
        for chunk_id in chunk_ids_of(example):
            chunk = self._passages.get(chunk_id)
            if chunk is None:
                raise DataError(
                    f"example {example['id']} is about chunk {chunk_id}, which isn't there; "
                    "run again with --from chunk"
                )
            about.append(chunk)
        if example["prompt"] == GIVEN:
            return read_turns(example)
        fields = json.loads(example["fields"] or "{}")
        return read_rows(example, fields, about, self._frames.get(example["prompt_hash"], ""))


def filter_rows(
    table: pa.Table,
    chunks: pa.Table,
    config: FilterConfig,
    frames: Mapping[str, str] | None = None,
) -> Filtered:
    """Check every row of a table in memory beside its chunk; rows keep their order.

    Args:
        table: Examples.
        chunks: The chunks that they are about.
        config: Thresholds.
        frames: As for RowFilter.

    Raises:
        DataError: A row is about a chunk that isn't there.
    """
    rows = RowFilter({chunk["id"]: chunk for chunk in chunks.to_pylist()}, config, frames)
    batches = table.to_batches(max_chunksize=_BATCH_ROWS)
    checked = [rows.check(batch.to_pylist()) for batch in batches]
    return Filtered(_table(part.kept for part in checked), _table(part.dropped for part in checked))


def _table(parts: Iterable[Sequence[Mapping[str, Any]]]) -> pa.Table:
    return pa.Table.from_pylist([row for part in parts for row in part], schema=EXAMPLE_SCHEMA)


def _first(findings: Sequence[Finding | None]) -> Finding | None:
    """Return the finding of the first answer that has one; of several answers it says which."""
    for number, finding in enumerate(findings, start=1):
        if finding is not None:
            where = f"answer {number}: " if len(findings) > 1 else ""
            return Finding(finding.reason, f"{where}{finding.evidence}")
    return None


def _scores(rows: Sequence[Row]) -> dict[str, float]:
    """Return what was measured of a row; of several answers the worst."""
    found: dict[str, float] = {}
    for row in rows:
        for name, value in row.scores().items():
            worse = max if name in FAULTS else min
            found[name] = worse(value, found.get(name, value))
    return found

"""Examples to kept: every row that leaves has a reason and evidence, every row kept its scores."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from domainforge.context import Context
from domainforge.errors import PromptError
from domainforge.files import file_hash
from domainforge.filters.filtering import VERSION
from domainforge.filters.frame import frame_of
from domainforge.filters.models import MODEL_FIELDS, check_models, identify_models, locate_models
from domainforge.filters.pool import FilterPlan, check_batches, count_cores
from domainforge.filters.private import PrivateCounts
from domainforge.filters.progress import FilterProgress
from domainforge.filters.reviewed import CHUNKS, LABELS_HASH, hash_labels, read_labels
from domainforge.filters.rows import FilterConfig
from domainforge.generation.coverage import (
    COVERAGE,
    Coverage,
    part_shares,
    part_table,
    tell_coverage,
)
from domainforge.passages import lay_out
from domainforge.records import GIVEN
from domainforge.row_groups import group_rows
from domainforge.run_folder import Inputs, Output, RunFolder
from domainforge.stage import Account, Stage, StageResult
from domainforge.table_writer import read_batches

_TOKENIZER = "tokenizer.json"
_POOL_ROWS = 20_000
"""From how many rows on several processes are worth their start."""

_MOST_COVERED = 100_000
"""Of how many passages coverage is looked at; where there are more, a sample stands for all."""


def run(config: FilterConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Keep the rows that pass every check; an interrupted run goes on where it was."""
    total = inputs.count("generate")
    config = locate_models(config, context.project)
    passages = lay_out(inputs.folder("chunk"), out.scratch)
    labels = read_labels(context.project)
    tokenizer = context.student_folder / _TOKENIZER if config.max_tokens else None
    plan = FilterPlan(passages, config, _frames(inputs, context), labels, tokenizer)
    done = FilterProgress(out)
    context.progress(done.rows, total, kept=done.kept_rows)
    # A model has threads of its own, and its memory only once.
    has_models = any(getattr(config, name) for name in MODEL_FIELDS)
    few = has_models or total - done.rows < _POOL_ROWS
    workers = 1 if few else count_cores()
    for checked in check_batches(plan, _batches(inputs, out.scratch, done.rows), workers):
        done.add(checked)
        context.progress(done.rows, total, kept=done.kept_rows)
    done.finish(out)
    kept_rows, reasons = done.kept_rows, done.reasons
    private = PrivateCounts(config)
    covered, notes = _cover(inputs, out, context, private)
    share = kept_rows / total if total else 0.0
    account = Account(unit="rows", total=total, done=kept_rows, dropped=reasons)
    figures: dict[str, Any] = {"kept_share": round(share, 4), "coverage": covered}
    figures |= private.figures()
    if applied := hash_labels(labels, inputs.folder("chunk")):
        figures[LABELS_HASH] = applied
    notes = [*_notes(out, reasons, total), *notes, *private.notes()]
    return StageResult(account, tuple(notes), figures)


def find_models(config: FilterConfig, context: Context) -> None:
    """Look whether the models that checks use are there.

    Raises:
        ConfigError: One isn't.
    """
    check_models(locate_models(config, context.project))


def identity(config: FilterConfig, context: Context) -> dict[str, Any]:
    """Return which labels, models and tokenizer the output depends on, as far as there are any."""
    run = RunFolder(context.project / "runs" / context.run_name)
    labels = hash_labels(read_labels(context.project), run.stage_folder(CHUNKS))
    found: dict[str, Any] = identify_models(locate_models(config, context.project))
    if labels:
        found[LABELS_HASH] = labels
    if config.max_tokens:
        found["tokenizer"] = file_hash(context.student_folder / _TOKENIZER)
    return found


def _batches(inputs: Inputs, scratch: Path, done: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the examples, passage by passage, after those that an interrupted run did."""
    for batch in group_rows(inputs.folder("generate"), "chunk_id", scratch):
        if done >= batch.num_rows:
            done -= batch.num_rows
            continue
        yield batch.slice(done).to_pylist()
        done = 0


def _frames(inputs: Inputs, context: Context) -> dict[str, str]:
    """Return what each prompt tells the teacher, by its hash; without those changed since."""
    names = {
        name
        for batch in inputs.batches("generate", columns=["prompt"])
        for name in batch.column("prompt").unique().to_pylist()
    }
    frames = {}
    for name in sorted(names - {GIVEN}):
        try:
            prompt = context.prompt(name)
        except PromptError:
            continue  # taken away or broken after its rows were made
        frames[prompt.hash] = frame_of(prompt)
    return frames


def _cover(
    inputs: Inputs, out: Output, context: Context, private: PrivateCounts
) -> tuple[dict[str, Any], list[str]]:
    """Write which parts of the documents have a kept row; of many passages, those of a sample."""
    total = inputs.count("chunk")
    chunks = (chunk for batch in inputs.batches("chunk") for chunk in batch.to_pylist())
    # They come in order of their ids, which are hashes: the first ones are drawn by chance.
    coverage = Coverage(islice(chunks, _MOST_COVERED))
    for batch in read_batches(out.folder):
        rows = batch.to_pylist()
        coverage.add(rows)
        private.add(rows)
    parts = coverage.parts()
    out.write(part_table(parts), COVERAGE)
    shares = part_shares(parts)
    notes = tell_coverage(shares, context.run_name)
    if total > _MOST_COVERED and notes:
        notes.append(f"coverage is of {_MOST_COVERED:,} of {total:,} passages, drawn by chance")
    return {kind: asdict(found) for kind, found in shares.items()}, notes


def _notes(out: Output, reasons: Mapping[str, int], total: int) -> tuple[str, ...]:
    """Say what took most rows, where little is left."""
    dropped = sum(reasons.values())
    if not dropped or dropped <= total / 2:
        return ()
    reason, count = max(reasons.items(), key=lambda item: item[1])
    row = next(row for row in _dropped(out) if row["reason"] == reason)
    return (
        f"{dropped} of {total} rows were dropped, {count} of them as {reason}; "
        f"for example row {row['id']}: {row['evidence']}",
    )


def _dropped(out: Output) -> Iterator[dict[str, Any]]:
    columns = ["id", "reason", "evidence"]
    for batch in read_batches(out.folder / "dropped", columns):
        yield from batch.to_pylist()


STAGE = Stage(
    name="filter",
    config=FilterConfig,
    run=run,
    writes="kept",
    reads=("chunk", "generate"),
    version=VERSION,
    identity=identity,
    resumable=True,
)

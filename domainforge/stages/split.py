"""Judged rows and chunks to train, validation and test; applies the sides, then audits the files.

What would flatter the student is dropped here with its reason: rows that give away a question of
the exam or of a benchmark, and training rows that are like something held out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from domainforge.context import Context
from domainforge.deduplicate.overlap import ExamItem
from domainforge.errors import ConfigError, DataError
from domainforge.evaluation.exam import ExamQuestion, exam_hash
from domainforge.files import file_hash
from domainforge.records import REPLAY, Example
from domainforge.run_folder import Inputs, Output
from domainforge.splitting.audit import AUDIT_SCHEMA, audit_splits
from domainforge.splitting.benchmarks import load_benchmark
from domainforge.splitting.config import SplitConfig
from domainforge.splitting.decisions import HeldOut, decide, every, survey
from domainforge.splitting.exam_overlap import Drop, Giveaways
from domainforge.splitting.keys import KeyTable, keys_of
from domainforge.splitting.replay import identify_replay, load_replay, source_of
from domainforge.splitting.rows import Chosen, SplitRows, choose_rows
from domainforge.splitting.validation import Candidates
from domainforge.stage import Account, Stage, StageResult
from domainforge.table_writer import TableWriter
from domainforge.tables import EXAMPLE_SCHEMA

TABLES = ("train", "validation", "test")
_SHOWN = 8
_KINDS = {"chat": "chats", "text": "texts", "preference": "preferences"}


@dataclass
class Tally:
    """How many rows went where.

    Attributes:
        kept: Rows by table and kind; general ones count as `replay`.
        reasons: Rows left out.
        replay_from: Where general rows came from, if there are any.
    """

    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    replay_from: str | None = None

    def rows(self, name: str) -> int:
        """Count the rows of a table."""
        return sum(count for (table, _), count in self.kept.items() if table == name)

    def take(self, name: str, table: pa.Table) -> None:
        """Count rows that go to a table."""
        columns = (table.column(at).to_pylist() for at in ("kind", "prompt", "uri"))
        for kind, prompt, uri in zip(*columns, strict=True):
            self.kept[name, REPLAY if prompt == REPLAY else kind] += 1
            if prompt == REPLAY and self.replay_from is None:
                self.replay_from = source_of({"uri": uri})


def split_rows(
    inputs: Inputs,
    out: Output,
    exam: Sequence[ExamQuestion],
    config: SplitConfig,
    seed: int,
    replay: Sequence[Example] = (),
    benchmarks: Sequence[ExamItem] = (),
) -> Tally:
    """Divide the examples, and one text row per chunk, into train, validation and test.

    A row is on the side of its chunk. Texts are never validation: what they say must be learned.
    General rows (`replay`) are only trained on; those with a reason are dropped for it. All is
    read three times, once more where something is held out, since a row's fate depends on the
    others; in memory are some sixty bytes a row.

    Raises:
        DataError: A chunk has no side, or a row is about a chunk that isn't there.
    """
    rows = SplitRows(inputs, replay)
    leaks = Giveaways(exam, config, rows.titles(), benchmarks)
    held = HeldOut(rows, out.scratch, config, seed)
    survey(rows, leaks, held)
    writers = {name: out.stream(EXAMPLE_SCHEMA, name) for name in (*TABLES, "dropped")}
    tally, candidates = Tally(), Candidates()
    waiting: list[Chosen] = []
    for table in every(rows):
        found = table.to_pylist()
        drops = decide(found, leaks, held, rows)
        waiting.append(_settle(table, found, drops, writers, tally, candidates))
    chosen = KeyTable([candidates.choose(config.validation_share, seed)])
    for table, chats in zip(rows.written(), waiting, strict=False):
        left = choose_rows(table, chats)
        clusters = zip(*(left.column(at).to_pylist() for at in ("cluster", "id")), strict=True)
        inside = chosen.find(keys_of(cluster or row_id for cluster, row_id in clusters)) >= 0
        for name, part in (("validation", inside), ("train", ~inside)):
            _write(name, choose_rows(left, part), writers, tally)
    for name, writer in writers.items():
        out.finish(writer, name)
    return tally


def run(config: SplitConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Write the three tables, read them back and audit them.

    Raises:
        DataError: Nothing is left to train on, or the audit finds a leak.
        ConfigError: A benchmark can't be read.
    """
    replay = load_replay(config.replay, context.project, context.seed) if context.replays else []
    benchmarks = load_benchmarks(config, context)
    tally = split_rows(inputs, out, context.exam, config, context.seed, replay, benchmarks)
    total = sum(tally.kept.values()) + tally.reasons.total()
    if tally.rows("train") == tally.kept["train", REPLAY]:
        raise DataError(_explain_empty(tally, total))
    if replay and not tally.kept["train", REPLAY]:
        raise DataError(
            f"split.replay: none of {len(replay)} general rows is left "
            f"({_list_reasons(tally.reasons)}); "
            "name another file or dataset, or set train.mixture.replay to 0"
        )
    audit = audit_splits(out, inputs, context.exam, benchmarks, config, context.seed)
    out.write(pa.Table.from_pylist(audit.rows(), schema=AUDIT_SCHEMA), "audit")
    if audit.findings:
        more = audit.found - min(_SHOWN, len(audit.findings))
        tail = [f"and {more} more"] if more > 0 else []
        shown = audit.findings[:_SHOWN]
        raise DataError("\n".join(["the audit of the splits failed:", *shown, *tail]))
    context.progress(total, total)
    account = Account(
        "rows", total=total, done=total - tally.reasons.total(), dropped=tally.reasons
    )
    notes = _notes(tally, len(context.exam), len(benchmarks))
    return StageResult(account, notes, {**_figures(tally), **audit.figures()})


def identify(config: SplitConfig, context: Context) -> dict[str, Any]:
    """Return hashes of exam and benchmarks, which drop rows, and what replay depends on.

    Raises:
        ConfigError: A benchmark isn't there.
    """
    exam = exam_hash(context.exam_path) if context.exam_path else None
    replay = identify_replay(config.replay, context.project) if context.replays else None
    found = {"exam": exam, "replay": replay}
    if config.benchmarks:
        found["benchmarks"] = ",".join(file_hash(p) for p in _benchmark_paths(config, context))
    return found


def _settle(
    table: pa.Table,
    rows: Sequence[Mapping[str, Any]],
    drops: Sequence[Drop | None],
    writers: Mapping[str, TableWriter],
    tally: Tally,
    candidates: Candidates,
) -> Chosen:
    """Write the rows whose fate is known; returns which of them may become validation."""
    chats = []
    for row, drop in zip(rows, drops, strict=True):
        trained = row["side"] == "train" and drop is None
        is_chat = trained and row["kind"] == "chat" and row["prompt"] != REPLAY
        chats.append(is_chat)
        if is_chat:
            candidates.add(row["prompt"], row["uri"], row["cluster"] or row["id"])
        elif trained and row["cluster"] and row["prompt"] != REPLAY:
            candidates.keep(row["cluster"])
        if drop is not None:
            tally.reasons[drop.reason] += 1
            why = {"reason": drop.reason, "evidence": drop.evidence}
            writers["dropped"].add({**row, **why}, len(row["text"] or ""))
    waiting = np.array(chats, dtype=bool)
    free = np.array([drop is None for drop in drops], dtype=bool) & ~waiting
    tested = np.array([row["side"] == "test" for row in rows], dtype=bool)
    _write("test", choose_rows(table, free & tested), writers, tally)
    _write("train", choose_rows(table, free & ~tested), writers, tally)
    return waiting


def _write(name: str, table: pa.Table, writers: Mapping[str, TableWriter], tally: Tally) -> None:
    if table.num_rows:
        tally.take(name, table)
        writers[name].add_table(table)


def _benchmark_paths(config: SplitConfig, context: Context) -> Iterator[Any]:
    for name in config.benchmarks:
        path = context.find(name)
        if not path.is_file():
            what = f"{name} is a folder" if path.is_dir() else f"no such file: {name}"
            raise ConfigError(
                f"split.benchmarks: {what} (looked in {context.project}); "
                "name a file with the questions as JSON lines, or leave the name out"
            )
        yield path


def load_benchmarks(config: SplitConfig, context: Context) -> list[ExamItem]:
    """Read the items of all benchmarks that are named.

    Raises:
        ConfigError: One isn't there or can't be read, or lines in it are wrong.
    """
    return [item for path in _benchmark_paths(config, context) for item in load_benchmark(path)]


def _figures(tally: Tally) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in TABLES:
        for kind, word in _KINDS.items():
            count = tally.kept[name, kind]
            if count or kind != "preference":
                figures[f"{name}_{word}"] = count
    if tally.replay_from is not None:
        replay = tally.kept["train", REPLAY]
        figures |= {"replay_rows": replay, "replay_from": tally.replay_from}
    return figures


def _notes(tally: Tally, exam_questions: int, benchmark_items: int) -> tuple[str, ...]:
    parts = [
        f"{tally.kept['train', kind]} {word}"
        for kind, word in _KINDS.items()
        if kind != "preference" or tally.kept["train", kind]
    ]
    general = tally.kept["train", REPLAY]
    beside = f" beside {general} general ones (their share: train.mixture.replay)"
    notes = [
        f"{tally.rows('train') - general} rows to train on ({', '.join(parts)})"
        f"{beside if general else ''}, {tally.rows('validation')} for validation, "
        f"{tally.rows('test')} for test"
    ]
    for reason, why in (
        ("exam_overlap", f"they match one of the {exam_questions} exam questions"),
        ("benchmark_overlap", f"they match one of the {benchmark_items} items of benchmarks"),
    ):
        if tally.reasons[reason]:
            notes.append(f"dropped because {why}: {tally.reasons[reason]}")
    if tally.reasons["near_test"]:
        notes.append(
            "dropped from training because they are like what is held out: "
            f"{tally.reasons['near_test']}"
        )
    if not tally.rows("validation"):
        notes.append("no rows for validation: the checkpoint can't be chosen by validation loss")
    return tuple(notes)


def _explain_empty(tally: Tally, total: int) -> str:
    held = f"{tally.rows('test')} held out for test"
    why = ", ".join(filter(None, [_list_reasons(tally.reasons), held]))
    return (
        f"none of {total} rows is left to train on ({why}); "
        "lower assign.test_share, or add documents"
    )


def _list_reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} dropped as {reason}" for reason, count in sorted(reasons.items()))


STAGE = Stage(
    name="split",
    config=SplitConfig,
    run=run,
    writes="splits",
    reads=("chunk", "assign", "judge"),
    version=3,
    identity=identify,
)

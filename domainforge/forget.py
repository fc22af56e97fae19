"""`domainforge forget`: a document and everything that was made of it goes, in all runs."""

import difflib
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from domainforge.errors import ConfigError
from domainforge.forget_labels import clean_labels, count_labels
from domainforge.forget_ledger import find_keys, remove_keys
from domainforge.forget_proof import Leftover, find_leftovers, find_source_files
from domainforge.forget_rows import (
    clean_run,
    mark_student,
    new_account,
    read_rows,
    stage_folders,
    tables_of,
)
from domainforge.forget_traces import LEAST_CHARS, Traces, leaves, long_sentences
from domainforge.run_folder import RunFolder, write_atomic
from domainforge.sources.forgotten import add_forgotten
from domainforge.teacher.ledger import Ledger
from domainforge.teacher.ledger_prune import refuse_while_used

JOURNAL = "forgetting.json"
_NEAR = 5
Row = dict[str, Any]


@dataclass
class Plan:
    """What would go.

    Attributes:
        wanted: As it was asked for.
        rows: How many rows go, by run.
        accounts: Of each stage folder by run, before and after.
        students: Runs whose student was trained on it.
        keys: Ledger entries that go.
        at: When it was planned.
        labels: How many labels were given to its rows.
    """

    wanted: str
    traces: Traces
    rows: dict[str, int]
    accounts: dict[str, dict[str, Any]]
    students: list[str]
    keys: list[str]
    at: str
    labels: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return {**vars(self), "traces": self.traces.as_dict()}


@dataclass(frozen=True)
class Outcome:
    """What went, and what is left.

    Attributes:
        replies: Ledger entries that became tombstones.
        leftovers: Files of the project in which something of it still is.
        sources: Source files that still lie there.
    """

    plan: Plan
    replies: int
    leftovers: list[Leftover]
    sources: list[Path]


class Forgetting:
    """A document on its way out; holds all runs of the project while it is open."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._stack = ExitStack()
        self._runs: list[RunFolder] = []

    def __enter__(self) -> "Forgetting":
        """Lock every run.

        Raises:
            StorageError: A process works on one, or its folder is not one of ours.
        """
        with ExitStack() as opened:
            for record in sorted((self._project / "runs").glob("*/run.json")):
                run = RunFolder(record.parent)
                opened.enter_context(run.locked())
                run.read_record()
                for old in run.path.glob(".*.old"):
                    run.recover(old.name[1 : -len(".old")])
                for whole in run.path.glob(".*.unfinished/manifest.json"):
                    run.recover(whole.parent.name[1 : -len(".unfinished")])
                self._runs.append(run)
            self._stack = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the runs go."""
        self._stack.close()

    def interrupted(self) -> Plan | None:
        """Return what a kill interrupted, to be carried out first."""
        path = self._project / JOURNAL
        if not path.exists():
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        return Plan(**{**values, "traces": Traces.from_dict(values["traces"])})

    def plan(self, wanted: str) -> Plan:
        """Find the document and what came of it; nothing is changed.

        Raises:
            ConfigError: No run has a document of that uri or id; the nearest are named.
            StorageError: The ledger is in use, or holds requests about it in an open batch.
        """
        traces = self._find(wanted)
        kept_keys: set[str] = set()
        rows = {run.path.name: self._trace_rows(run, traces, kept_keys) for run in self._runs}
        self._keep_unique(traces)
        traces = Traces.from_dict(traces.as_dict())  # patterns of what was known before are no use
        accounts: dict[str, dict[str, Any]] = {}
        for run in self._runs:
            if rows[run.path.name]:
                accounts[run.path.name] = {
                    folder.name: {
                        "before": dict(manifest.account),
                        "after": new_account(folder, manifest, traces),
                    }
                    for folder, manifest in stage_folders(run.path)
                }
        ledger = self._project / "ledger.sqlite"
        keys: set[str] = set()
        if ledger.exists():
            with Ledger(ledger) as file:
                refuse_while_used(file)
                keys = find_keys(file, traces, kept_keys)
        students = [run.path.name for run in self._runs if _was_trained_on(run, traces)]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        held = {name: count for name, count in rows.items() if count}
        labels = count_labels(self._project, traces)
        return Plan(wanted, traces, held, accounts, students, sorted(keys), at, labels)

    def carry_out(self, plan: Plan) -> Outcome:
        """Remove what was planned; after a kill the same goes on from where it was.

        Raises:
            StorageError: The disk or the ledger can't be written.
        """
        traces, journal = plan.traces, self._project / JOURNAL
        for stray in self._project.glob(f".{JOURNAL}.*"):
            stray.unlink()
        write_atomic(journal, json.dumps(plan.as_dict()))
        # First, so that no run brings it back, whatever happens to this command.
        add_forgotten(self._project, ((uri, sha) for uri in traces.uris for sha in traces.shas))
        for run in self._runs:
            if run.path.name in plan.students and (run.path / "student").exists():
                mark_student(run, traces.shas, plan.at)
        for run in self._runs:
            clean_run(run, traces, plan.accounts.get(run.path.name, {}))
        clean_labels(self._project, traces)
        replies = 0
        if (self._project / "ledger.sqlite").exists():
            with Ledger(self._project / "ledger.sqlite") as file:
                replies = remove_keys(file, set(plan.keys), traces)
        if (self._project / ".sources").is_dir():
            shutil.rmtree(self._project / ".sources")
        journal.unlink()
        left = find_leftovers(self._project, traces)
        return Outcome(plan, replies, left, find_source_files(self._project, traces))

    def _documents(self, columns: list[str]) -> Iterator[Row]:
        for run in self._runs:
            for path in sorted((run.path / "documents").glob("part-*.parquet")):
                with pq.ParquetFile(path) as file:
                    wanted = [name for name in columns if name in file.schema_arrow.names]
                    for batch in file.iter_batches(batch_size=256, columns=wanted):
                        yield from batch.to_pylist()

    def _find(self, wanted: str) -> Traces:
        traces = Traces(uris={wanted}, documents={wanted})
        known: set[str] = set()
        size = -1
        while size != len(traces.documents) + len(traces.uris):  # other names of the same text
            size = len(traces.documents) + len(traces.uris)
            for row in self._documents(["id", "uri", "uris", "sha256"]):
                names = {row["uri"], *(row.get("uris") or ())}
                known |= names | {row["id"]}
                if (
                    row["id"] in traces.documents
                    or names & traces.uris
                    or row["sha256"] in traces.shas
                ):
                    traces.documents.add(row["id"])
                    traces.uris |= names
                    traces.shas.add(row["sha256"])
        if not traces.shas:
            near = difflib.get_close_matches(wanted, sorted(known), _NEAR, 0.5)
            inside = [name for name in sorted(known) if wanted in name][:_NEAR]
            hint = ", ".join(dict.fromkeys([*near, *inside]))
            raise ConfigError(
                f"{wanted}: no run here has a document of that uri or id"
                + (f"; did you mean {hint}?" if hint else "; see `domainforge show RUN ingest`")
            )
        ids = {row["id"] for row in self._documents(["id", "sha256"])} & traces.documents
        traces.documents = ids
        traces.uris -= ids
        if wanted not in known - ids:
            traces.uris.discard(wanted)
        return traces

    def _trace_rows(self, run: RunFolder, traces: Traces, kept_keys: set[str]) -> int:
        """Gather what the document's rows are called and say; returns how many there are."""
        count = 0
        for path in tables_of(run.path):
            names = pq.read_schema(path).names
            for row in read_rows(path):
                keys = row.get("ledger_keys") or ()
                if not traces.owns(row):
                    kept_keys.update(keys)
                    continue
                count += 1
                traces.keys.update(keys)
                if row.get("text") and row["id"] in traces.documents:
                    traces.sentences |= long_sentences(row["text"])
                    traces.sentences |= long_sentences(row.get("raw") or "")
                elif "document_id" in names:
                    (traces.rows if "kind" in names else traces.chunks).add(row["id"])
                    told = [*leaves(row.get("messages")), *leaves(row.get("rejected"))]
                    told.append(row.get("evidence") or "")
                    traces.sayings |= {text for text in told if len(text) >= LEAST_CHARS}
        for path in run.path.rglob(".items.sqlite"):
            traces.items |= _items(path, traces.uris)
        return count

    def _keep_unique(self, traces: Traces) -> None:
        """Leave out sentences that other documents have too: these are theirs as well."""
        for row in self._documents(["id", "text", "raw"]):
            if row["id"] not in traces.documents:
                for name in ("text", "raw"):
                    text = row.get(name) or ""
                    traces.sentences -= {line for line in traces.sentences if line in text}


def _was_trained_on(run: RunFolder, traces: Traces) -> bool:
    """Tell whether the rows that a student learned from, or was chosen by, were the document's."""
    if not (run.path / "student").exists():
        return False
    return any(
        traces.owns(row)
        for name in ("train", "validation")
        for path in (run.path / "splits" / name).glob("part-*.parquet")
        for row in read_rows(path)
    )


def _items(path: Path, uris: set[str]) -> set[str]:
    """Return what a source's journal calls the files of these documents."""
    found: set[str] = set()
    try:
        with closing(sqlite3.connect(path)) as file:
            query = "SELECT item FROM documents WHERE uri IN (SELECT value FROM json_each(?))"
            rows = file.execute(query, (json.dumps(sorted(uris)),)).fetchall()
            found = {str(item) for (item,) in rows if item is not None}
    except sqlite3.DatabaseError:
        return found  # of another version: its rows are found by their names alone
    return found

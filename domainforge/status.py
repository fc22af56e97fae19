"""How far runs are: of all runs a line each, of one run the accounts of its stages."""

import fcntl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domainforge.errors import DataError, StorageError
from domainforge.filters.reviewed import labels_changed
from domainforge.pipeline import STAGES, RunReport, find_scores, fingerprint
from domainforge.run_folder import Manifest, RunFolder, read_manifest
from domainforge.show import list_runs
from domainforge.stage import Stage
from domainforge.teacher.ledger import Ledger, Spent
from domainforge.teacher.prices import NANO
from domainforge.yields import DocumentYield, barren_documents, document_yields


@dataclass(frozen=True)
class RunLine:
    """One run in the list.

    Attributes:
        stages_done: Stages whose output is whole.
        active: A process is working on it now.
        age_seconds: Since run.json was last written.
        fault: Why it can't be read; None where it can.
    """

    name: str
    stages_done: int
    active: bool
    verdict: str | None
    seconds: float
    age_seconds: float
    fault: str | None = None


@dataclass(frozen=True)
class StageStatus:
    """One stage of a run: `done`, `unfinished`, `running`, `not run`, or `outdated`.

    Outdated is what was made of something that has changed since; the next run makes it again.
    """

    name: str
    state: str
    manifest: Manifest | None


@dataclass(frozen=True)
class RunStatus:
    """One run in full.

    Attributes:
        asking: What generate sent and got: asked, replayed, tokens.
        yields: Planned and kept rows by document and prompt; empty before the filter.
        scores: What evaluate wrote; None before it.
        stopped: The `stage` in which the last session ended early, and the `message` why; None
            where it didn't, or where another session is at work.
        spent: What the teacher was paid in all sessions; None where the ledger doesn't say.
        labels_changed: Labels were given or taken back since the filter was done.
        judging: What the judge was sent and said, as for `asking`; empty where nobody judged.
    """

    name: str
    stages: Sequence[StageStatus]
    active: bool
    asking: Mapping[str, Any]
    yields: Sequence[DocumentYield]
    scores: Mapping[str, Any] | None
    stopped: Mapping[str, str] | None = None
    spent: Spent | None = None
    labels_changed: bool = False
    judging: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the status as JSON-ready values."""
        return {
            "name": self.name,
            "active": self.active,
            "stopped": self.stopped and dict(self.stopped),
            "usd": self.spent and self.spent.nano_usd / NANO,
            "billed_tokens": self.spent and self.spent.tokens,
            "labels_changed": self.labels_changed,
            "stages": [
                {
                    "stage": stage.name,
                    "state": stage.state,
                    "account": stage.manifest and dict(stage.manifest.account),
                    "seconds": stage.manifest and stage.manifest.seconds,
                    "notes": list(stage.manifest.notes) if stage.manifest else [],
                }
                for stage in self.stages
            ],
            "asking": dict(self.asking),
            "judging": dict(self.judging),
            "barren_documents": barren_documents(self.yields),
            "verdict": (self.scores or {}).get("verdict"),
            "sentence": (self.scores or {}).get("sentence"),
        }


@dataclass(frozen=True)
class RunEnd:
    """What to tell when a run is over.

    Attributes:
        verdict: Of this run; None where it did not reach the evaluation.
        sentence: The verdict in words.
        student: The student's folder; None where there is none yet.
        next: The command to try now.
        usd: What the teacher was paid in all sessions of the run; None where nobody knows.
        billed_tokens: The tokens for that.
    """

    verdict: str | None
    sentence: str | None
    student: str | None
    next: str
    usd: float | None = None
    billed_tokens: int | None = None


def read_end(report: RunReport) -> RunEnd:
    """Say how a run ended; scores that an earlier run left there don't count."""
    reached = {state.stage for state in report.stages if state.state != "left out"}
    scores = report.scores if "evaluate" in reached and report.scores else {}
    name = report.folder.name
    exported = (report.folder / "export" / "model" / "config.json").exists()
    spent = read_spent(report.folder)
    return RunEnd(
        verdict=scores.get("verdict"),
        sentence=scores.get("sentence"),
        student=f"runs/{name}/export/model" if exported else None,
        next=f"domainforge chat {name}" if exported else f"domainforge status {name}",
        usd=None if spent is None else spent.nano_usd / NANO,
        billed_tokens=None if spent is None else spent.tokens,
    )


def read_spent(folder: Path) -> Spent | None:
    """Return what a run has spent; None where the ledger has no charge of it or can't be read."""
    ledger = folder.parent.parent / "ledger.sqlite"
    if not ledger.exists():
        return None
    try:
        with Ledger(ledger) as file:
            spent = file.spent(folder.name)
    except StorageError:
        return None
    return spent if spent.nano_usd or spent.tokens else None


def read_all(project: Path) -> list[RunLine]:
    """Look at every run of a project; one that can't be read says why."""
    return [_read_line(RunFolder(project / "runs" / name)) for name in list_runs(project)]


def read_status(run: RunFolder) -> RunStatus:
    """Look at one run in full.

    Raises:
        StorageError: It was written by another version.
    """
    record = run.read_record()
    active = is_active(run)
    stages: list[StageStatus] = []
    for stage in STAGES:
        manifest = read_manifest(run.stage_folder(stage.writes))
        begun = (run.path / f".{stage.writes}.unfinished").exists()
        state = "done" if manifest else "not run"
        if manifest and _is_outdated(stage, manifest, stages):
            state = "outdated"
        if begun:
            state = "running" if active else "unfinished"
        stages.append(StageStatus(stage.name, state, manifest))
    return RunStatus(
        name=run.path.name,
        stages=stages,
        active=active,
        asking=_asking(stages, "generate"),
        judging=_asking(stages, "judge"),
        yields=_yields(run),
        scores=find_scores(run.path),
        stopped=None if active else record.get("stopped"),
        spent=read_spent(run.path),
        labels_changed=labels_changed(run),
    )


def _is_outdated(stage: Stage, manifest: Manifest, before: Sequence[StageStatus]) -> bool:
    """Tell whether what a stage read is not there any more as it was then."""
    read = [status for status in before if status.name in stage.reads]
    if any(status.state == "outdated" for status in read):
        return True
    inputs = {status.name: status.manifest.content_hash for status in read if status.manifest}
    if len(inputs) < len(stage.reads):
        return True
    return bool(manifest.recipe) and manifest.fingerprint != fingerprint(manifest.recipe, inputs)


def is_active(run: RunFolder) -> bool:
    """Tell whether a process holds the run."""
    lock = run.path / ".lock"
    if not lock.exists():
        return False
    with lock.open("r") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _read_line(run: RunFolder) -> RunLine:
    age = time.time() - run.record_path.stat().st_mtime
    try:
        record = run.read_record()
    except StorageError as error:
        return RunLine(run.path.name, 0, False, None, 0.0, age, fault=str(error))
    whole = [read_manifest(run.stage_folder(stage.writes)) for stage in STAGES]
    return RunLine(
        name=run.path.name,
        stages_done=sum(manifest is not None for manifest in whole),
        active=is_active(run),
        verdict=(find_scores(run.path) or {}).get("verdict"),
        seconds=float(record.get("seconds") or 0.0),
        age_seconds=age,
    )


def _asking(stages: Sequence[StageStatus], name: str) -> dict[str, Any]:
    names = ("asked", "replayed", "retried", "asked_again", "prompt_tokens", "completion_tokens")
    for stage in stages:
        if stage.name == name and stage.manifest is not None:
            figures = stage.manifest.figures
            return {name: figures[name] for name in names if name in figures}
    return {}


def _yields(run: RunFolder) -> list[DocumentYield]:
    try:
        return document_yields(run.path)
    except DataError:
        return []

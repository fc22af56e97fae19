"""What a run would do, found without training anything and without asking the teacher."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from domainforge.context import Context
from domainforge.filters.reviewed import labels_changed
from domainforge.generation.foresight import CallCount
from domainforge.judging.costs import RowCount
from domainforge.pipeline import (
    STAGES,
    check_what_is_named,
    fingerprint,
    make_context,
    recipe,
    stage_bounds,
)
from domainforge.pipeline_file import Pipeline
from domainforge.run_folder import Inputs, Output, RunFolder, folder_hash, read_manifest
from domainforge.sources.choice import is_remote
from domainforge.stage import Stage
from domainforge.stages import generate, judge
from domainforge.table_writer import read_batches
from domainforge.teacher.endpoint import describe_missing_keys

_CHEAP = ("ingest", "chunk", "assign")
"""Stages that are run for real, into a temporary folder, to know what would be asked."""


@dataclass(frozen=True)
class StagePlan:
    """What would happen to one stage.

    Attributes:
        stage: Its name.
        state: `would run`, `unchanged` or `left out`.
        why: The reason, in words.
    """

    stage: str
    state: str
    why: str


@dataclass(frozen=True)
class DryRun:
    """What a run would do.

    Attributes:
        stages: All stages, in order.
        calls: What would be asked of the teacher; None where generate would not run.
        notes: Sentences that the user should read.
        judge_calls: What a judge would be asked, at most where its rows aren't there yet; None
            where nobody judges, or that stage would not run.
    """

    stages: tuple[StagePlan, ...]
    calls: CallCount | None
    notes: tuple[str, ...] = ()
    judge_calls: CallCount | None = None


@dataclass(frozen=True)
class _DryContext(Context):
    """A context that writes elsewhere, so that looking leaves nothing in the project."""

    scratch: Path = Path()
    ledger: Path | None = None

    @property
    def sources_folder(self) -> Path:
        return self.scratch / "sources"

    @property
    def ledger_path(self) -> Path:
        return self.ledger or super().ledger_path


def plan_run(
    pipeline: Pipeline,
    project: Path,
    *,
    from_stage: str | None = None,
    until_stage: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> DryRun:
    """Tell what `run_pipeline` would do with the same arguments; the project stays as it is.

    A stage is called unchanged only where all that it reads is unchanged too; a stage that would
    run may still write what it wrote before, and later ones be skipped.

    Args:
        pipeline: The checked pipeline file.
        project: Folder that holds `runs/` and the ledger.
        from_stage: As for the run.
        until_stage: As for the run.
        say: Told when something slow begins (fetching a student).

    Raises:
        DomainForgeError: The run would stop at once for the same reason.
    """
    run = RunFolder(project / "runs" / pipeline.name)
    run.read_record()
    first, last = stage_bounds(from_stage, until_stage)
    with tempfile.TemporaryDirectory(prefix="domainforge-dry-run-") as scratch:
        context = _make_dry_context(pipeline, project, Path(scratch), say)
        check_what_is_named(pipeline, context)  # what would stop the run stops this too
        planner = _Planner(pipeline, context, run, Path(scratch))
        plans = []
        planned, judged = None, _NO_JUDGE
        for index, stage in enumerate(STAGES):
            if index > last:
                plans.append(StagePlan(stage.name, "left out", f"after {until_stage}"))
                continue
            plan = planner.plan(stage, from_stage if index >= first else None)
            plans.append(plan)
            if stage.name == "generate" and plan.state == "would run":
                inputs = planner.inputs(stage)
                planned = generate.plan_calls(pipeline.generate, inputs, context)
            if stage.name == "judge" and plan.state == "would run" and pipeline.judge.asks:
                judged = planner.plan_judge(stage, planned)
    calls = planned.count if planned else None
    recipe = planned.describe_recipe() if planned else ""
    needs_keys = calls is not None and calls.to_ask > 0
    notes = [recipe] if recipe else []
    notes += generate.tell_rounds(pipeline.generate) if calls else ()
    notes += describe_missing_keys(pipeline.teacher) if needs_keys else ()
    return DryRun(tuple(plans), calls, (*notes, *judged.notes), judged.calls)


def _count_rows(folder: Path) -> RowCount:
    rows = preferences = 0
    for batch in read_batches(folder, ["rejected"]):
        rows += batch.num_rows
        preferences += batch.num_rows - batch.column("rejected").null_count
    return RowCount(rows, preferences)


class _JudgePlan(NamedTuple):
    calls: CallCount | None
    notes: tuple[str, ...]


_NO_JUDGE = _JudgePlan(None, ())


class _Planner:
    """Goes down the line; remembers where each stage's rows are and what they hash to."""

    def __init__(self, pipeline: Pipeline, context: Context, run: RunFolder, scratch: Path) -> None:
        self._pipeline = pipeline
        self._context = context
        self._run = run
        self._scratch = scratch
        self._folders: dict[str, Path] = {}
        self._hashes: dict[str, str] = {}

    def plan(self, stage: Stage, forced_from: str | None) -> StagePlan:
        """Decide on one stage."""
        unknown = [name for name in stage.reads if name not in self._hashes]
        if unknown:
            return StagePlan(stage.name, "would run", f"{', '.join(unknown)} would run")
        config = getattr(self._pipeline, stage.name)
        whole = read_manifest(self._run.stage_folder(stage.writes))
        inputs: Mapping[str, str] = {name: self._hashes[name] for name in stage.reads}
        now = fingerprint(recipe(stage, config, self._context), inputs)
        if whole is not None and whole.fingerprint == now and forced_from is None:
            self._folders[stage.name] = self._run.stage_folder(stage.writes)
            self._hashes[stage.name] = whole.content_hash
            return StagePlan(stage.name, "unchanged", "")
        remote = any(is_remote(source) for source in self._pipeline.sources)
        # Nothing is asked of a server to find out what a run would do.
        if stage.name in _CHEAP and not (stage.name == "ingest" and remote):
            self._try(stage, config)
        if forced_from is not None:
            why = f"--from {forced_from}"
        elif whole is None:
            why = "has not run yet"
        elif stage.name == "filter" and labels_changed(self._run):
            why = "labels were given or taken back"
        else:
            why = "its settings or what it reads changed"
        return StagePlan(stage.name, "would run", why)

    def inputs(self, stage: Stage) -> Inputs:
        """Return what the stage would read."""
        return Inputs({name: self._folders[name] for name in stage.reads})

    def plan_judge(self, stage: Stage, generating: generate.CallPlan | None) -> _JudgePlan:
        """Tell what the judge would be asked: exactly, or at most where its rows aren't there."""
        config = self._pipeline.judge
        teacher = config.teacher or self._pipeline.teacher
        judge.asks_teacher(config, self._context)  # a cap without a price would stop the run
        if all(name in self._folders for name in stage.reads):
            calls = judge.plan_calls(config, self.inputs(stage), self._context)
            told = (
                f"judge would put {calls.planned:,} requests: {calls.in_ledger:,} are in the "
                f"ledger, {calls.to_ask:,} would be asked"
            )
            name = "teacher" if config.teacher is None else "judge.teacher"
            keys = describe_missing_keys(teacher, name) if calls.to_ask else []
            return _JudgePlan(calls, (told, *keys))
        if "chunk" not in self._folders:
            return _JudgePlan(
                None, ("the judge is asked as well; about how many rows isn't known",)
            )
        known = next((name for name in ("filter", "generate") if name in self._folders), None)
        rows = RowCount(0, 0)
        if known:
            rows = _count_rows(self._folders[known])
        elif generating:
            rows = RowCount(generating.count.planned, generating.preferences)
        inputs = Inputs({"chunk": self._folders["chunk"]})
        bound = judge.bound_plan(config, inputs, rows, self._context)
        return _JudgePlan(CallCount(bound.requests, 0, bound.requests), (bound.describe(),))

    def _try(self, stage: Stage, config: Any) -> None:
        output = Output(self._scratch / stage.writes)
        output.folder.mkdir()
        stage.run(config, self.inputs(stage), output, self._context)
        self._folders[stage.name] = output.folder
        self._hashes[stage.name] = folder_hash(output)


def _make_dry_context(
    pipeline: Pipeline, project: Path, scratch: Path, say: Callable[[str], None]
) -> _DryContext:
    def listen(event: Mapping[str, Any]) -> None:
        if event["event"] == "note":
            say(str(event["text"]))

    real = make_context(pipeline, project, listen)
    ledger = None if real.ledger_path.exists() else scratch / "ledger.sqlite"
    values = {field.name: getattr(real, field.name) for field in fields(Context)}
    return _DryContext(**values, scratch=scratch, ledger=ledger)

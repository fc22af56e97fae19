"""What a run would do, found without training anything and without asking the teacher."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from domainforge.context import Context
from domainforge.evaluation.control import load_control
from domainforge.filters.reviewed import labels_changed
from domainforge.generation.foresight import CallCount
from domainforge.pipeline import STAGES, fingerprint, make_context, recipe, stage_bounds
from domainforge.pipeline_file import Pipeline
from domainforge.run_folder import Inputs, Output, RunFolder, folder_hash, read_manifest
from domainforge.sources.choice import is_remote
from domainforge.splitting.replay import find_replay
from domainforge.stage import Stage
from domainforge.stages import generate
from domainforge.teacher.endpoint import describe_missing_keys
from domainforge.teacher.prices import teacher_price

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
    """

    stages: tuple[StagePlan, ...]
    calls: CallCount | None
    notes: tuple[str, ...] = ()


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
        if pipeline.teacher.budget.max_usd is not None:
            teacher_price(pipeline.teacher)  # a cap without a price would stop the run at once
        context.exam  # noqa: B018  a broken exam would stop the run, so it stops this too
        if pipeline.evaluate.control is not None:
            load_control(context.find(pipeline.evaluate.control))  # so would a broken control
        if context.replays:
            find_replay(pipeline.split.replay, project)  # and a file that isn't there
        planner = _Planner(pipeline, context, run, Path(scratch))
        plans = []
        calls, recipe = None, ""
        for index, stage in enumerate(STAGES):
            if index > last:
                plans.append(StagePlan(stage.name, "left out", f"after {until_stage}"))
                continue
            plan = planner.plan(stage, from_stage if index >= first else None)
            plans.append(plan)
            if stage.name == "generate" and plan.state == "would run":
                inputs = planner.inputs(stage)
                planned = generate.plan_calls(pipeline.generate, inputs, context)
                calls, recipe = planned.count, planned.describe_recipe()
    needs_keys = calls is not None and calls.to_ask > 0
    notes = [recipe] if recipe else []
    notes += generate.tell_rounds(pipeline.generate) if calls else ()
    notes += describe_missing_keys(pipeline.teacher) if needs_keys else ()
    return DryRun(tuple(plans), calls, tuple(notes))


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

"""The line itself: its stages in order, and the loop that runs what has changed."""

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from domainforge import __version__
from domainforge.context import Context
from domainforge.errors import ConfigError, DataError, DomainForgeError, StorageError
from domainforge.evaluation.control import load_control
from domainforge.filters.models import without_models
from domainforge.pipeline_file import Pipeline
from domainforge.records import canonical_json, text_hash
from domainforge.run_folder import Inputs, Manifest, RunFolder, read_manifest
from domainforge.sources.reading import Source
from domainforge.splitting.replay import find_replay
from domainforge.stage import Stage, StageResult, shaping_values
from domainforge.stages import (
    assign,
    chunk,
    dedup,
    evaluate,
    export,
    filter,
    generate,
    ingest,
    judge,
    split,
    train,
)
from domainforge.teacher.endpoint import describe_missing_keys
from domainforge.teacher.prices import teacher_price
from domainforge.yields import check_yield

STAGES: tuple[Stage, ...] = (
    ingest.STAGE,  # sources -> documents; one bad file never stops the rest
    chunk.STAGE,  # documents -> chunks; token-aware, exact spans
    assign.STAGE,  # which documents may be trained on, before anything is written about them
    generate.STAGE,  # chunks -> examples; prompt files, asked of the teacher
    filter.STAGE,  # examples -> kept; every drop has a reason and evidence
    dedup.STAGE,  # kept -> unique; seen before, copies, alike
    judge.STAGE,  # unique -> judged; what rows are worth, the best of each cluster
    split.STAGE,  # judged -> train, validation, test; audited
    train.STAGE,  # train -> student
    evaluate.STAGE,  # exam, student, base, control -> scores and a verdict
    export.STAGE,  # model folder, dataset, cards; nothing leaves the machine
)
LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "openai")

Listener = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class StageState:
    """One stage of a run: was it run, found whole, or left out."""

    stage: str
    state: str
    manifest: Manifest | None = None


@dataclass(frozen=True)
class RunReport:
    """What a run came to."""

    folder: Path
    stages: Sequence[StageState]
    seconds: float
    scores: Mapping[str, Any] | None = None


def _say_nothing(event: Mapping[str, Any]) -> None:
    """Listen to a run whose events nobody wants."""


def make_context(
    pipeline: Pipeline,
    project: Path,
    listener: Listener,
    extra_sources: Sequence[Source] = (),
) -> Context:
    """Bind a pipeline to a project folder."""
    exam = pipeline.evaluate.exam

    def emit(kind: str, fields: Mapping[str, Any]) -> None:
        listener({"event": kind, **fields})

    context = Context(
        seed=pipeline.seed,
        project=project,
        sources=pipeline.sources,
        teacher_config=pipeline.teacher,
        student=pipeline.train.student,
        exam_path=None,
        emit=emit,
        run_name=pipeline.name,
        extra_sources=tuple(extra_sources),
        filter_config=without_models(pipeline.filter),
        replays=pipeline.train.mixture.replay > 0,
    )
    if exam is None:
        return context
    path = context.find(exam)
    if not path.exists():
        raise ConfigError(f"evaluate.exam: no such file: {exam} (looked in {project})")
    return replace(context, exam_path=path)


def run_pipeline(
    pipeline: Pipeline,
    project: Path,
    listener: Listener = _say_nothing,
    *,
    from_stage: str | None = None,
    until_stage: str | None = None,
    extra_sources: Sequence[Source] = (),
) -> RunReport:
    """Run what has changed since the last time, in order; what is whole is skipped.

    Args:
        pipeline: The checked pipeline file.
        project: Folder that holds `runs/` and the ledger.
        listener: Called with every event as it happens.
        from_stage: Run this stage and the later ones again even where nothing changed.
        until_stage: Stop after this stage.
        extra_sources: Sources made in Python (a LangChain loader, a class of your own), read
            after those of the pipeline file.

    Raises:
        DomainForgeError: Something that the user can mend; what was finished stays.
    """
    first, last = stage_bounds(from_stage, until_stage)
    run = RunFolder(project / "runs" / pipeline.name)
    started = time.time()
    with run.locked():
        record = run.read_record()

        def listen(event: Mapping[str, Any]) -> None:
            if event["event"] != "progress":
                run.append_event(event)
            listener(event)

        context = make_context(pipeline, project, listen, extra_sources)
        check_what_is_named(pipeline, context)
        names = [stage.name for stage in STAGES[: last + 1]]
        # So must a broken prompt file.
        asks = generate.STAGE.name in names and generate.asks_teacher(pipeline.generate, context)
        judges = judge.STAGE.name in names and judge.asks_teacher(pipeline.judge, context)
        was_stopped = "stopped" in record
        record = _begin_record(record, pipeline)
        if was_stopped or not record["stages"]:
            run.write_record(record)  # so that `status` knows of a run in its first stage
        listen({"event": "run", "name": pipeline.name, "seed": pipeline.seed})
        if asks:
            for text in describe_missing_keys(pipeline.teacher):
                listen({"event": "note", "text": text})
        if judges and pipeline.judge.teacher is not None:
            for text in describe_missing_keys(pipeline.judge.teacher, "judge.teacher"):
                listen({"event": "note", "text": text})
        states: list[StageState] = []
        for index, stage in enumerate(STAGES):
            if index > last:
                states.append(StageState(stage.name, "left out"))
                continue
            with _telling_of_stops(stage, run, record, listener):
                state = _run_stage(stage, pipeline, context, run, forced=index >= first)
                states.append(state)
                assert state.manifest is not None
                record["stages"][stage.name] = asdict(state.manifest)
                record["seconds"] = round(sum(s["seconds"] for s in record["stages"].values()), 1)
                run.write_record(record)
                if stage.name == "filter":
                    barren = check_yield(run, pipeline.min_yield_share)
                    if barren:
                        listen({"event": "note", "text": barren})
        # Scores on disk belong to an earlier student where this run stopped before `evaluate`.
        measured = any(s.stage == "evaluate" and s.manifest is not None for s in states)
        scores = find_scores(run.path) if measured else None
        listen({"event": "done", "verdict": (scores or {}).get("verdict")})
    return RunReport(run.path, states, time.time() - started, scores)


def check_what_is_named(pipeline: Pipeline, context: Context) -> None:
    """Find the files, runs and models that a pipeline names beside its documents.

    What isn't there or is broken must show before any work, and not after the teacher was paid.

    Raises:
        ConfigError: One of them can't be used, or a cap in dollars has no price to hold it by.
    """
    if pipeline.teacher.budget.max_usd is not None:
        teacher_price(pipeline.teacher)
    context.exam  # noqa: B018  reads it
    if pipeline.evaluate.control is not None:
        load_control(context.find(pipeline.evaluate.control))
    if context.replays:
        find_replay(pipeline.split.replay, context.project)
    filter.find_models(pipeline.filter, context)
    dedup.find_others(pipeline.dedup, context)
    split.load_benchmarks(pipeline.split, context)


def recipe(stage: Stage, config: Any, context: Context) -> str:
    """Hash of all that can change what the stage makes of one and the same input.

    Args:
        stage: The stage.
        config: Its settings; only fields that shape the output count.
        context: Gives the seed and what `stage.identity` asks for.
    """
    identity = stage.identity(config, context) if stage.identity else {}
    return text_hash(
        canonical_json(
            {
                "stage": stage.name,
                "version": stage.version,
                "config": shaping_values(config),
                "identity": identity,
                "seed": context.seed,
            }
        )
    )


def fingerprint(recipe: str, inputs: Mapping[str, str]) -> str:
    """Hash of all that can change what the stage writes: its recipe and the inputs' content."""
    return text_hash(canonical_json({"recipe": recipe, "inputs": dict(inputs)}))


def find_scores(folder: Path) -> dict[str, Any] | None:
    """Read a run's scores.json, or None where it has none."""
    import json

    path = folder / "scores.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


@contextmanager
def _telling_of_stops(
    stage: Stage, run: RunFolder, record: Mapping[str, Any], listener: Listener
) -> Iterator[None]:
    """Leave word, wherever there is room for it, of what ends the run in this stage."""
    try:
        yield
    except BaseException as error:
        stop = {"stage": stage.name, "message": _why_stopped(error)}
        # The disk or the listener may be what ended it.
        with suppress(StorageError, OSError):
            run.append_event({"event": "stopped", **stop})
        with suppress(StorageError, OSError):
            run.write_record({**record, "stopped": stop})
        with suppress(OSError):
            listener({"event": "stopped", **stop})
        raise


def _why_stopped(error: BaseException) -> str:
    if isinstance(error, DomainForgeError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted"
    # Of a bug nobody knows what its message holds.
    return f"{type(error).__name__}, a bug"


def _run_stage(
    stage: Stage, pipeline: Pipeline, context: Context, run: RunFolder, *, forced: bool
) -> StageState:
    config = getattr(pipeline, stage.name)
    run.recover(stage.writes)
    inputs = Inputs({s.name: run.stage_folder(s.writes) for s in STAGES if s.name in stage.reads})
    hashes = {name: inputs.manifest(name).content_hash for name in stage.reads}
    recipe_ = recipe(stage, config, context)
    print_ = fingerprint(recipe_, hashes)
    whole = read_manifest(run.stage_folder(stage.writes))
    if whole is not None and whole.fingerprint == print_ and not forced:
        context.emit("stage", {"stage": stage.name, "state": "unchanged", "account": whole.account})
        _publish_scores(stage, run)
        return StageState(stage.name, "unchanged", whole)
    context.emit("stage", {"stage": stage.name, "state": "running"})
    started = time.time()
    output = run.begin(stage.writes, print_, resumable=stage.resumable, recipe=recipe_)
    result: StageResult = stage.run(config, inputs, output, context)
    if not result.account.balances:
        raise DataError(
            f"{stage.name}: the account does not balance: {result.account.as_dict()}; "
            "this is a bug, please report it with the run's events.jsonl"
        )
    manifest = run.finish(
        stage.writes,
        output,
        {
            "stage": stage.name,
            "fingerprint": print_,
            "recipe": recipe_,
            "account": result.account.as_dict(),
            "notes": list(result.notes),
            "figures": dict(result.figures),
            "seconds": round(time.time() - started, 1),
        },
    )
    if stage.name == "train":
        (run.path / "scores.json").unlink(missing_ok=True)  # they were of another student
    _publish_scores(stage, run)
    context.emit(
        "stage",
        {
            "stage": stage.name,
            "state": "done",
            "seconds": manifest.seconds,
            "account": manifest.account,
            "notes": list(manifest.notes),
            "figures": dict(manifest.figures),
        },
    )
    return StageState(stage.name, "done", manifest)


def _publish_scores(stage: Stage, run: RunFolder) -> None:
    """Put scores.json beside run.json, where the design and CI look for it."""
    from domainforge.run_folder import write_atomic

    if stage.name == "evaluate":
        source = run.stage_folder(stage.writes) / "scores.json"
        write_atomic(run.path / "scores.json", source.read_text(encoding="utf-8"))


def stage_bounds(from_stage: str | None, until_stage: str | None) -> tuple[int, int]:
    """Return the index of the first stage that must run again, and of the last that may run.

    Raises:
        ConfigError: No stage has that name, or the first comes after the last.
    """
    names = [stage.name for stage in STAGES]
    for option, value in (("--from", from_stage), ("--until", until_stage)):
        if value is not None and value not in names:
            raise ConfigError(f"{option} {value}: no such stage; there are {', '.join(names)}")
    first = names.index(from_stage) if from_stage else len(names)
    last = names.index(until_stage) if until_stage else len(names) - 1
    if from_stage and first > last:
        raise ConfigError(f"--from {from_stage} comes after --until {until_stage}")
    return first, last


def _begin_record(record: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    versions = {"python": platform.python_version(), "domainforge": __version__}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "name": pipeline.name,
        "seed": pipeline.seed,
        "pipeline": pipeline.model_dump(mode="json"),
        "versions": versions,
        "stages": record.get("stages", {}),
    }

"""Real passages to show a prompt on: those of a run, or the sample where there is none."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError, DataError, PromptError, StorageError
from domainforge.generation.units import Form
from domainforge.pipeline import Listener, run_pipeline
from domainforge.pipeline_file import Pipeline
from domainforge.prompt_check import SAMPLE_CHUNKS, first_unit
from domainforge.prompts import PromptFile
from domainforge.run_folder import RunFolder, read_manifest, read_table
from domainforge.show import find_run, list_runs
from domainforge.stages import assign, chunk

TRAIN = "train"


@dataclass(frozen=True)
class Passages:
    """Chunks that a prompt can be shown on.

    Attributes:
        run: Whose they are; None for the sample passage.
        chunks: All of one side, in the order of their documents: of that which is trained on, so
            that no prompt is made to fit what is held out, unless a chunk was asked for.
        chunk_id: The one that was asked for; None where any will do.
        origin: Where they are from, in a few words.
    """

    run: RunFolder | None
    chunks: Sequence[Mapping[str, Any]]
    chunk_id: str | None
    origin: str

    def fitting(self, prompt: PromptFile) -> "Passages":
        """Return these, or the sample where the prompt asks nothing about any of them.

        A prompt may go over chats or entities, and a run have none. What was asked for by its id
        stays.
        """
        if self.run is None or self.chunk_id is not None:
            return self
        try:
            for form in _forms(prompt):
                first_unit(prompt, form, self.chunks)
        except PromptError:
            why = f"run {self.run.path.name} has nothing that {prompt.name} goes over"
            return Passages(None, SAMPLE_CHUNKS, None, f"the sample passage, since {why}")
        return self


def _forms(prompt: PromptFile) -> tuple[Form, ...]:
    return ("chat",) if prompt.completion is None else ("chat", "completion")


def find_passages(project: Path, run: str | None = None, chunk_id: str | None = None) -> Passages:
    """Find passages: of that run, else of the newest one that has any, else the sample.

    Args:
        project: Folder that holds `runs/`.
        run: Name of a run.
        chunk_id: Id of the wanted chunk, or how it begins.

    Raises:
        ConfigError: No such run or chunk.
        DataError: The run has no passages yet.
    """
    folder = find_run(project, run) if run is not None else newest_run(project)
    if folder is None:
        if chunk_id is not None:
            raise ConfigError(
                f"no chunk '{chunk_id}': no run here has passages yet; "
                "`domainforge run PIPELINE --until chunk` makes them"
            )
        why = "no run here has passages yet"
        return Passages(None, SAMPLE_CHUNKS, None, f"the sample passage, since {why}")
    chunks, sides = read_passages(folder)
    origin = f"a passage of run {folder.path.name}"
    if chunk_id is None:
        trained = [each for each in chunks if sides.get(each["id"], TRAIN) == TRAIN]
        return Passages(folder, trained or chunks, None, origin)
    matches = [each["id"] for each in chunks if each["id"].startswith(chunk_id)]
    if len(matches) != 1:
        found = f"{len(matches)} chunks begin so" if matches else "there is none"
        raise ConfigError(
            f"no chunk '{chunk_id}' in run {folder.path.name}: {found}; "
            f"`domainforge show {folder.path.name} chunk` lists them with their ids"
        )
    side = sides.get(matches[0], TRAIN)
    beside = [each for each in chunks if sides.get(each["id"], TRAIN) == side]
    return Passages(folder, beside, matches[0], origin)


def passages_of(pipeline: Pipeline, project: Path, listener: Listener) -> Passages:
    """Return the passages of a pipeline's run as they are; its documents are read where none are.

    Args:
        pipeline: The checked pipeline file.
        project: Folder that holds `runs/`.
        listener: Told every event of the reading.

    Raises:
        DomainForgeError: What would stop the run before it asks.
    """
    run = RunFolder(project / "runs" / pipeline.name)
    stages = (chunk.STAGE, assign.STAGE)
    if any(read_manifest(run.stage_folder(stage.writes)) is None for stage in stages):
        run_pipeline(pipeline, project, listener, until_stage=assign.STAGE.name)
    return find_passages(project, pipeline.name)


def newest_run(project: Path) -> RunFolder | None:
    """Return the run that was written to last, of those that have passages."""
    runs = []
    for name in list_runs(project):
        with suppress(StorageError):  # written by another version
            run = find_run(project, name)
            if read_manifest(run.stage_folder(chunk.STAGE.writes)) is not None:
                runs.append(run)
    return max(runs, key=lambda run: run.record_path.stat().st_mtime_ns, default=None)


def read_passages(run: RunFolder) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return a run's chunks, chats among them, and their sides.

    Raises:
        DataError: There are none.
    """
    folder = run.stage_folder(chunk.STAGE.writes)
    chunks = [] if read_manifest(folder) is None else read_table(folder).to_pylist()
    if not chunks:
        raise DataError(
            f"run {run.path.name} has no passages to ask about; "
            "`domainforge run PIPELINE --until assign` makes them"
        )
    sides = run.stage_folder(assign.STAGE.writes)
    rows = [] if read_manifest(sides) is None else read_table(sides).to_pylist()
    return sorted(chunks, key=lambda c: (c["uri"], c["start"])), {r["id"]: r["side"] for r in rows}

"""Real passages to show a prompt on: those of a run, or the sample where there is none."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError, DataError, StorageError
from domainforge.prompt_check import SAMPLE_CHUNKS
from domainforge.run_folder import RunFolder, read_manifest, read_table
from domainforge.show import find_run, list_runs
from domainforge.stages import assign, chunk

TRAIN = "train"


@dataclass(frozen=True)
class Passages:
    """Chunks that a prompt can be shown on.

    Attributes:
        run: Whose they are; None for the sample passage.
        chunks: Of the side that is trained on, so that no prompt is made to fit what is held out;
            in the order of their documents.
        chunk_id: The one that was asked for; None where any will do.
    """

    run: RunFolder | None
    chunks: Sequence[Mapping[str, Any]]
    chunk_id: str | None = None

    def describe(self) -> str:
        """Say in a few words where they are from."""
        if self.run is None:
            return "the sample passage, since no run here has passages yet"
        return f"a passage of run {self.run.path.name}"


def find_passages(
    project: Path, run: str | None = None, chunk_id: str | None = None
) -> Passages:
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
        return Passages(None, SAMPLE_CHUNKS)
    chunks, sides = read_passages(folder)
    if chunk_id is None:
        trained = [each for each in chunks if sides.get(each["id"], TRAIN) == TRAIN]
        return Passages(folder, trained or chunks)
    matches = [each["id"] for each in chunks if each["id"].startswith(chunk_id)]
    if len(matches) != 1:
        found = f"{len(matches)} chunks begin so" if matches else "there is none"
        raise ConfigError(
            f"no chunk '{chunk_id}' in run {folder.path.name}: {found}; "
            f"`domainforge show {folder.path.name} chunk` lists them with their ids"
        )
    return Passages(folder, chunks, matches[0])


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
    """Return a run's chunks that can be asked about, and the sides of all.

    Raises:
        DataError: There are none.
    """
    folder = run.stage_folder(chunk.STAGE.writes)
    rows = [] if read_manifest(folder) is None else read_table(folder).to_pylist()
    chunks = [row for row in rows if not row.get("messages")]  # chats are learned as they are
    if not chunks:
        raise DataError(
            f"run {run.path.name} has no passages to ask about; "
            "`domainforge run PIPELINE --until assign` makes them"
        )
    sides = run.stage_folder(assign.STAGE.writes)
    rows = [] if read_manifest(sides) is None else read_table(sides).to_pylist()
    return sorted(chunks, key=lambda c: (c["uri"], c["start"])), {r["id"]: r["side"] for r in rows}

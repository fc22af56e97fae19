"""Rows of a run as people ask for them: any stage, kept or dropped, or one by its id."""

import difflib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError, DataError, StorageError
from domainforge.pipeline import STAGES
from domainforge.pipeline_file import Pipeline, check_pipeline
from domainforge.run_folder import RunFolder, read_manifest
from domainforge.stage import Stage
from domainforge.table_writer import read_batches

Row = dict[str, Any]

LEFT_OUT = ("dropped", "faults", "failed")
"""Tables beside a stage's rows that hold what it left out."""

_SPLIT_PARTS = ("train", "validation", "test")
_JSON_COLUMNS = ("fields", "attributes", "sampling", "scores", "metadata")


@dataclass(frozen=True)
class Place:
    """One table of a run.

    Attributes:
        stage: The stage that wrote it.
        folder: Where its Parquet shards are.
        label: How people call it: `documents`, `train`, `dropped`.
        rows: How many it holds.
        left_out: It holds what the stage left out.
    """

    stage: str
    folder: Path
    label: str
    rows: int
    left_out: bool

    @property
    def title(self) -> str:
        """What to write where its stage isn't named beside it: `train`, `dropped by filter`."""
        return f"{self.label} by {self.stage}" if self.left_out else self.label


@dataclass(frozen=True)
class Selection:
    """Rows that were asked for.

    Attributes:
        rows: Each with its place; JSON columns are decoded.
        total: How many there are in all.
    """

    rows: tuple[tuple[Place, Row], ...]
    total: int


def list_runs(project: Path) -> list[str]:
    """Return the names of all runs of a project, in order."""
    return sorted(path.parent.name for path in (project / "runs").glob("*/run.json"))


def find_run(project: Path, name: str) -> RunFolder:
    """Find a run by its name, or by its folder.

    Raises:
        ConfigError: There is no such run.
        StorageError: Its folder was written by another version.
    """
    plain = Path(name).name
    run = RunFolder(project / "runs" / plain)
    if not run.record_path.exists():
        runs = list_runs(project)
        near = difflib.get_close_matches(plain, runs, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        there = f"there are: {', '.join(runs)}" if runs else "there is none yet"
        raise ConfigError(
            f"no run '{plain}' in {project / 'runs'}{hint}; {there}; "
            "`domainforge run PIPELINE` makes one"
        )
    run.read_record()
    return run


def pipeline_of(run: RunFolder) -> Pipeline:
    """Return the pipeline that a run was made with, as run.json has it.

    Raises:
        StorageError: run.json doesn't hold one.
        ConfigError: It holds keys of another version.
    """
    values = run.read_record().get("pipeline")
    if not isinstance(values, dict):
        raise StorageError(f"{run.record_path}: holds no pipeline; run it again")
    return check_pipeline(values, str(run.record_path))


def list_places(run: RunFolder) -> list[Place]:
    """Return every table that the run's whole stages wrote, in the order of the line."""
    return [place for stage in STAGES for place in _places_of(run, stage)]


def find_places(run: RunFolder, name: str, *, left_out: bool = False) -> list[Place]:
    """Return the tables that a name stands for.

    `train`, `validation` and `test` are parts of the split; any other stage goes by its own name
    or by that of its folder; and any table goes by its name.

    Raises:
        ConfigError: Nothing has that name.
        DataError: The stage has not run, or wrote no such rows.
    """
    if name in _SPLIT_PARTS and not left_out:
        stage = next(stage for stage in STAGES if stage.name == "split")
        return [p for p in _whole_places(run, stage) if p.label == name]
    for stage in STAGES:
        if name in (stage.name, stage.writes):
            places = _whole_places(run, stage)
            if left_out:
                found = [place for place in places if place.left_out]
            else:
                kept = [place for place in places if not place.left_out]
                # Tables beside the main ones (a plan, an audit) go by their own names.
                found = [p for p in kept if p.label in (stage.writes, *_SPLIT_PARTS)] or kept
            return found or _explain_no_rows(run, stage, left_out=left_out)
    found = [place for place in list_places(run) if place.folder.name == name]
    if found:
        return found
    known = [n for stage in STAGES for n in dict.fromkeys((stage.name, stage.writes))]
    near = difflib.get_close_matches(name, [*known, *_SPLIT_PARTS], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise ConfigError(f"no stage or table '{name}'{hint}; there are: {', '.join(known)}")


def select_rows(
    run: RunFolder,
    name: str,
    *,
    dropped: bool = False,
    reason: str | None = None,
    row_id: str | None = None,
    limit: int | None = None,
) -> Selection:
    """Read rows of a stage or table.

    Args:
        run: The run.
        name: Stage, folder or table, as in `find_places`.
        dropped: What was left out instead of what was kept.
        reason: Only rows that were dropped for this reason.
        row_id: Only the row of this id, or whose id begins so.
        limit: At most so many rows.

    Raises:
        ConfigError: Nothing has that name, or nothing was dropped for that reason.
        DataError: The stage has not run.
    """
    places = find_places(run, name, left_out=dropped or reason is not None)
    pairs = ((place, row) for place in places for row in read_rows(place))
    if reason is None and row_id is None:
        taken = tuple(pair for pair, _ in zip(pairs, _count_to(limit), strict=False))
        return Selection(taken, sum(place.rows for place in places))
    chosen: list[tuple[Place, Row]] = []
    reasons = Counter[str]()
    total = 0
    for place, row in pairs:
        reasons[str(row.get("reason"))] += 1
        of_reason = reason is None or row.get("reason") == reason
        if of_reason and (row_id is None or str(row.get("id", "")).startswith(row_id)):
            total += 1
            if limit is None or total <= limit:
                chosen.append((place, row))
    if reason is not None and not total and row_id is None:
        there = ", ".join(f"{name} ({count})" for name, count in reasons.most_common())
        raise ConfigError(f"nothing was dropped as '{reason}'; there are: {there or 'no drops'}")
    if row_id is not None and not total:
        raise ConfigError(
            f"no row '{row_id}' among the {reasons.total()} there; `domainforge trace RUN ROW` "
            "looks in all stages"
        )
    return Selection(tuple(chosen), total)


def read_rows(place: Place) -> Iterator[Row]:
    """Yield a table's rows, a bounded part at a time, with their JSON columns decoded."""
    for batch in read_batches(place.folder):
        yield from map(decode_row, batch.to_pylist())


def decode_row(row: Row) -> Row:
    """Return a row of any table with its JSON columns decoded."""
    decoded = {
        name: json.loads(row[name] or "{}")
        for name in _JSON_COLUMNS
        if isinstance(row.get(name), str)
    }
    return {**row, **decoded}


def _count_to(limit: int | None) -> Iterator[int]:
    number = 0
    while limit is None or number < limit:
        yield number
        number += 1


def _places_of(run: RunFolder, stage: Stage) -> list[Place]:
    folder = run.stage_folder(stage.writes)
    manifest = read_manifest(folder)
    if manifest is None:
        return []
    places = []
    for name, facts in manifest.tables.items():
        label = name or stage.writes
        left_out = name in LEFT_OUT
        places.append(Place(stage.name, folder / name, label, int(facts["rows"]), left_out))
    return places


def _whole_places(run: RunFolder, stage: Stage) -> list[Place]:
    if read_manifest(run.stage_folder(stage.writes)) is None:
        raise DataError(
            f"{stage.name} has not finished in run {run.path.name} yet; "
            f"`domainforge run PIPELINE --until {stage.name}` brings it there"
        )
    return _places_of(run, stage)


def _explain_no_rows(run: RunFolder, stage: Stage, *, left_out: bool) -> list[Place]:
    if left_out:
        raise DataError(f"{stage.name} keeps no table of what it leaves out")
    folder = run.stage_folder(stage.writes)
    names = sorted(path.name for path in folder.iterdir() if path.name != "manifest.json")
    raise DataError(
        f"{stage.name} writes files and no rows; they are in {folder}: {', '.join(names)}"
    )

"""The way of all rows of a run, from what was planned to what is trained on, and where each left.

Read from the accounts and the tables as they are now; nothing but a few columns is held.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from domainforge.errors import DataError
from domainforge.generation.novelty import REPEATING
from domainforge.pipeline import STAGES
from domainforge.records import GIVEN, REPLAY
from domainforge.run_folder import Manifest, RunFolder, read_manifest
from domainforge.table_writer import read_batches

FORGOTTEN = "forgotten"
"""The reason under which accounts count what `domainforge forget` took out."""

LABELS = {
    "generate": "generated",
    "filter": "kept",
    "dedup": "unique",
    "judge": "judged",
    "split": "split",
}
"""The stages that rows go through, and what rows are called that came out of each."""

SPLIT_PARTS = ("train", "validation", "test")
TEXTS = ""
"""In the place of a task: the passages themselves, which no prompt made."""

_TEXT_PROMPT = "document"
_COLUMNS = ["prompt", "prompt_hash", "uri"]
_LEFT_OUT = ("dropped", "failed")
_NOT_REACHED = "not_reached"


@dataclass(frozen=True)
class Step:
    """One stage on the way: what came in, what joined and left there, what went out.

    Attributes:
        label: What its rows are called.
        unit: What came in: rows, or what was planned (requests ...).
        came_in: How many.
        joined: What was added there, by what it is.
        left_out: What left, by reason, in order of count.
        went_out: Rows that went on.
        parts: These by the table that they are in, where there are several.
    """

    stage: str
    label: str
    unit: str
    came_in: int
    joined: Mapping[str, int]
    left_out: Mapping[str, int]
    went_out: int
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """How many left."""
        return sum(self.left_out.values())

    @property
    def balances(self) -> bool:
        """Whether what came in and joined is what left and went out."""
        return self.came_in + sum(self.joined.values()) == self.lost + self.went_out

    def share(self, count: int) -> float:
        """Return a count as a share of all that came in or joined."""
        return count / max(self.came_in + sum(self.joined.values()), 1)


@dataclass
class Way:
    """What one task or one document came to.

    Attributes:
        planned: Units planned.
        counts: Rows by the label of the step or the part of the split that they came out of.
        left_out: Rows that left, by reason.
    """

    name: str
    planned: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Funnel:
    """The way of all rows.

    Attributes:
        steps: In the order of the line, as far as the run is whole.
        faults: Where what came in isn't what went out, in words.
        forgotten: Whether rows of a document were taken out since; they count nowhere.
        tasks: By prompt, the largest plan first.
        documents: By uri, the one that lost most rows first.
    """

    steps: Sequence[Step]
    faults: Sequence[str]
    forgotten: bool
    tasks: Sequence[Way]
    documents: Sequence[Way]

    @property
    def columns(self) -> list[str]:
        """The names under which a way counts rows, in order."""
        labels = [step.label for step in self.steps if step.stage != "split"]
        return labels + [part for step in self.steps for part in step.parts]

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield JSON-ready values; `what` tells them apart: step, fault, task, document."""
        for step in self.steps:
            yield {"what": "step", **asdict(step), "share": round(step.share(step.went_out), 4)}
        for fault in self.faults:
            yield {"what": "fault", "message": fault}
        for what, ways in (("task", self.tasks), ("document", self.documents)):
            for way in ways:
                counted = {"counts": dict(way.counts), "left_out": dict(way.left_out)}
                yield {"what": what, "name": way.name, "planned": way.planned, **counted}


def read_funnel(run: RunFolder) -> Funnel:
    """Follow all rows of a run through its whole stages.

    Raises:
        DataError: Nothing was generated yet.
    """
    steps, faults, forgotten = list[Step](), list[str](), False
    ways = _Ways()
    missing = ""
    for stage in STAGES:
        if stage.name not in LABELS:
            continue
        folder = run.stage_folder(stage.writes)
        manifest = read_manifest(folder)
        if manifest is None:
            missing = missing or stage.name
            continue
        if missing:
            faults.append(
                f"{stage.name} is of an earlier run: {missing}, which comes before it, isn't whole"
            )
            break
        forgotten = forgotten or FORGOTTEN in manifest.account["dropped"]
        counted = ways.read(stage.name, folder, manifest)
        step = _read_step(stage.name, manifest, ways)
        faults += _find_faults(step, steps, counted)
        steps.append(step)
    if not steps:
        raise DataError(
            f"run {run.path.name} has no rows yet: `domainforge run PIPELINE --until generate` "
            "makes them"
        )
    return Funnel(
        steps,
        faults,
        forgotten,
        sorted(ways.tasks.values(), key=lambda way: (-way.planned, way.name)),
        sorted(ways.documents.values(), key=lambda way: (-way.left_out.total(), way.name)),
    )


def _read_step(name: str, manifest: Manifest, ways: "_Ways") -> Step:
    account = manifest.account
    left_out = Counter({**account["dropped"], **account["failed"]})
    left_out[_NOT_REACHED] += account["not_reached"]
    gone = left_out.pop(FORGOTTEN, 0)
    parts = {part: _rows(manifest, part) for part in SPLIT_PARTS} if name == "split" else {}
    went_out = sum(parts.values()) if parts else _rows(manifest, "")
    came_in, joined = account["total"] - gone, {}
    if name == "generate":
        joined = {"more rows of one reply": went_out - account["done"]}
    elif name == "split":
        joined = {describe_task(name): ways.total(name) for name in (TEXTS, REPLAY)}
        came_in -= sum(joined.values())
    return Step(
        stage=name,
        label=LABELS[name],
        unit=account["unit"],
        came_in=came_in,
        joined={what: number for what, number in joined.items() if number},
        left_out={reason: number for reason, number in left_out.most_common() if number},
        went_out=went_out,
        parts=parts,
    )


def _find_faults(step: Step, before: Sequence[Step], counted: Mapping[str, int]) -> Iterator[str]:
    """Say where numbers that must be the same are not."""
    if not step.balances or any(number < 0 for number in step.joined.values()):
        joined = "".join(f" and {number:,} joined" for number in step.joined.values())
        yield (
            f"{step.stage}: {step.came_in:,} came in{joined}, but {step.lost:,} left and "
            f"{step.went_out:,} went out"
        )
    if before and step.came_in != before[-1].went_out:
        yield (
            f"{step.stage} read {step.came_in:,} rows, and {before[-1].went_out:,} came out of "
            f"{before[-1].stage}: one of them is of an earlier run; give the same command again"
        )
    for reason in sorted({*counted, *step.left_out} - {_NOT_REACHED}):
        there, told = counted.get(reason, 0), step.left_out.get(reason, 0)
        if there != told:
            yield (
                f"{step.stage} counts {told:,} rows left out as {reason}, and its tables hold "
                f"{there:,}"
            )


def _rows(manifest: Manifest, table: str) -> int:
    return int(manifest.tables.get(table, {}).get("rows", 0))


class _Ways:
    """Counts rows by task and by document, a batch of a few columns at a time."""

    def __init__(self) -> None:
        self.tasks: dict[str, Way] = {}
        self.documents: dict[str, Way] = {}

    def read(self, stage: str, folder: Path, manifest: Manifest) -> Counter[str]:
        """Count a stage's tables; returns its left-out rows by reason."""
        if "plan" in manifest.tables:
            self._read_plan(folder / "plan")
        tables = {part: part for part in SPLIT_PARTS} if stage == "split" else {"": LABELS[stage]}
        for table, label in tables.items():
            for batch in read_batches(folder / table, _COLUMNS):
                for name, number in _count_values(_tasks_of(batch)):
                    _way(self.tasks, name).counts[label] += number
                for name, number in _count_values(batch.column("uri")):
                    _way(self.documents, name).counts[label] += number
        reasons = Counter[str]()
        for table in _LEFT_OUT:
            if table in manifest.tables:
                reasons += self._read_left_out(folder / table)
        return reasons

    def _read_plan(self, folder: Path) -> None:
        for batch in read_batches(folder, ["prompt", "uri", "planned"]):
            for row in batch.to_pylist():
                _way(self.tasks, row["prompt"]).planned += row["planned"]
                _way(self.documents, row["uri"]).planned += row["planned"]

    def _read_left_out(self, folder: Path) -> Counter[str]:
        found = Counter[str]()
        for batch in read_batches(folder, [*_COLUMNS, "reason"]):
            tasks = _tasks_of(batch).to_pylist()
            uris, reasons = (batch.column(name).to_pylist() for name in ("uri", "reason"))
            for task, uri, why in zip(tasks, uris, reasons, strict=True):
                reason = plain_reason(why)
                found[reason] += 1
                for way in (_way(self.tasks, task), _way(self.documents, uri)):
                    way.left_out[reason] += 1
                    # The plan is written without what wasn't worth asking; the account has it.
                    way.planned += reason == REPEATING
        return found

    def total(self, task: str) -> int:
        """Return how many rows there were, kept or not, of what joins at one stage."""
        way = self.tasks.get(task)
        return way.counts.total() + way.left_out.total() if way else 0


def plain_reason(reason: Any) -> str:
    """Return a row's reason as accounts call it: failures go by their kind there."""
    return str(reason).removeprefix("failed_")


def describe_task(name: str) -> str:
    """Say what a row's prompt stands for, where it is none."""
    told = {TEXTS: "passages as texts", REPLAY: "general rows", GIVEN: "chats as they came"}
    return told.get(name, name)


def describe_document(uri: str) -> str:
    """Return a uri, or what rows are that have none."""
    return uri or "(of no document)"


def _way(ways: dict[str, Way], name: str | None) -> Way:
    key = name or ""
    if key not in ways:
        ways[key] = Way(key)
    return ways[key]


def _tasks_of(batch: pa.RecordBatch) -> pa.Array:
    """Return what made each row; a prompt file may have the name that passages go by."""
    prompts = batch.column("prompt")
    bare = pc.and_(pc.equal(prompts, _TEXT_PROMPT), pc.equal(batch.column("prompt_hash"), ""))
    return pc.if_else(bare, TEXTS, prompts)


def _count_values(column: pa.Array) -> Iterator[tuple[str, int]]:
    for item in column.value_counts().to_pylist():
        yield item["values"] or "", item["counts"]

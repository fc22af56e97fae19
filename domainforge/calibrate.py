"""A judge against people: judged rows to label, and what the labels say of it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domainforge.errors import DataError
from domainforge.judging.calibration import Calibration, Labelled, calibrate
from domainforge.judging.panel import said_by
from domainforge.judging.record import judge_key, write_calibration
from domainforge.judging.sampling import draw_rows
from domainforge.judging.verdicts import scores_of
from domainforge.label_exchange import read_lines, write_lines
from domainforge.label_file import LabelFile
from domainforge.labels import Label, label_row
from domainforge.records import answer_of, chunk_ids_of
from domainforge.review import read_chunks
from domainforge.run_folder import RunFolder
from domainforge.show import pipeline_of
from domainforge.stages import judge
from domainforge.table_writer import read_batches

Row = Mapping[str, Any]
_TABLES = ("", "dropped")
_MARK = "judge "


class GivenVerdict(BaseModel):
    """One line of a file of labels; what was exported along with it is not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    row: str
    verdict: Literal["good", "bad", ""] | None = None


class Calibrating:
    """Goes through judged rows that nobody has labelled; what is said of one is on disk at once.

    Attributes:
        rows: Those to be labelled.
        at: Index of the one that is due; as many as there are behind the last.
        figures: Of the judge stage.
    """

    def __init__(self, project: Path, run: RunFolder, size: int) -> None:
        """Draw the rows.

        Args:
            project: Holds the labels.
            run: A run whose judge has given scores.
            size: How many labelled rows there are to be in the end, those there already included.

        Raises:
            DataError: Nobody has judged rows in that run.
        """
        self.run = run
        self._folder = run.stage_folder(judge.STAGE.writes)
        self.figures = _figures_of(run)
        self._project = project
        self._seed = pipeline_of(run).seed
        self._file = LabelFile(project)
        self._labels = self._file.read()
        self._steps: list[Label | None] = []
        self.at = 0
        missing = max(0, size - len(self.labelled()))
        unlabelled = (row for row in self._judged() if not self._verdict_on(row))
        self.rows = draw_rows(unlabelled, missing, self._seed)

    @property
    def current(self) -> Row | None:
        """The row that is due; None behind the last."""
        return self.rows[self.at] if self.at < len(self.rows) else None

    def passages(self, row: Row) -> list[dict[str, Any]]:
        """Return the passages of a row."""
        return read_chunks(self.run, chunk_ids_of(row))

    def say(self, *, good: bool) -> None:
        """Label the row that is due, and go on."""
        row = self.current
        if row is None:
            return
        label = self._label(row, good=good)
        self._file.add(label)
        self._steps.append(label)
        self._labels = self._file.read()
        self.at += 1

    def skip(self) -> None:
        """Leave the row that is due without a label, and go on."""
        if self.current is not None:
            self._steps.append(None)
            self.at += 1

    def undo(self) -> bool:
        """Go back a row and take its label back; False where this is the first."""
        if not self._steps:
            return False
        label = self._steps.pop()
        if label is not None:
            self._file.undo(label)
            self._labels = self._file.read()
        self.at -= 1
        return True

    def export(self, path: Path) -> int:
        """Write the rows with their passages as JSON lines; `verdict` is there to be filled in.

        Raises:
            ConfigError: The file is there already, or can't be written.
        """

        def line(row: Row) -> dict[str, Any]:
            passages = [chunk["text"] for chunk in self.passages(row)]
            said = {name: row[name] for name in ("messages", "text", "fields")}
            return {"row": row["id"], "verdict": "", **said, "passages": passages}

        return write_lines(path, map(line, self.rows))

    def take(self, path: Path) -> int:
        """Label rows as a file says; lines without a verdict are passed over.

        Raises:
            DataError: A line can't be read, or names no judged row; nothing is labelled then.
        """
        given = _read_verdicts(path)
        rows = {row["id"]: row for row in self._judged() if row["id"] in given}
        unknown = [row_id for row_id in given if row_id not in rows]
        if unknown:
            raise DataError(
                f"{path}: {len(unknown)} rows are none of this run's judged ones, {unknown[0]} "
                f"first; `domainforge judge calibrate {self.run.path.name} --export FILE` writes "
                "some to fill in"
            )
        self._file.add(*(self._label(row, good=given[at]) for at, row in rows.items()))
        self._labels = self._file.read()
        return len(rows)

    def labelled(self) -> list[Labelled]:
        """Return all rows that this judge has scored and somebody has labelled, in any session."""
        found: dict[str, Labelled] = {}
        for row in self._judged():
            verdict = self._verdict_on(row)
            if verdict:
                score, chars = float(scores_of(row)["judge"]), len(said_by(row))
                key = self._labels.key_of(row)
                found[key] = Labelled(row["id"], verdict == "keep", score, chars)
        # What was called bad is dropped before the judge in the next run; its label has the score.
        for label in self._labels:
            judged = label.comment == self._mark and "judge" in label.scores
            if judged and label.verdict and not label.edited and label.key not in found:
                said = label.said.model_dump()
                chars = len(answer_of(said) or label.said.text or "")
                of_label = (label.row, label.verdict == "keep", label.scores["judge"], chars)
                found[label.key] = Labelled(*of_label)
        return sorted(found.values(), key=lambda each: each.id)

    def result(self) -> Calibration:
        """Compare the judge with all labels, and keep what was found for the runs to come.

        Raises:
            DataError: Too few labels, or all alike.
        """
        found = calibrate(self.labelled(), self._seed)
        kept = {**asdict(found), "usable": found.usable}
        rounded = {name: round(v, 4) if isinstance(v, float) else v for name, v in kept.items()}
        write_calibration(self._project, judge_key(self.figures), rounded)
        return found

    @property
    def _mark(self) -> str:
        return f"{_MARK}{judge_key(self.figures)}"

    def _label(self, row: Row, *, good: bool) -> Label:
        verdict: Literal["keep", "drop"] = "keep" if good else "drop"
        run = self.run.path.name
        return label_row(row, verdict, self._labels, comment=self._mark, run=run)

    def _verdict_on(self, row: Row) -> str | None:
        """Return what counts of a row; an edit says nothing of what the judge saw."""
        label = self._labels.find(row)
        return label.verdict if label is not None and label.edited is None else None

    def _judged(self) -> Iterator[Row]:
        for name in _TABLES:
            for batch in read_batches(self._folder / name if name else self._folder):
                yield from (row for row in batch.to_pylist() if "judge" in scores_of(row))


def describe_calibration(found: Calibration, figures: Mapping[str, Any]) -> list[str]:
    """Return what labels say of a judge, as lines to print."""
    bad = found.labels - found.good
    lines = [
        f"{found.labels} labels, {found.good} good and {bad} bad; judged by {figures['teacher']}",
        f"kappa {found.kappa:.2f}, 95 % {found.low:.2f} to {found.high:.2f} (each row by the "
        f"threshold that the others choose; {found.fitted_kappa:.2f} by its own)",
        f"agreement {found.accuracy:.0%}; calling all rows alike would have {found.majority:.0%}",
    ]
    if found.length_bias is not None:
        lines.append(
            f"length: among rows that you call alike, longer answers get {found.length_bias:+.2f} "
            f"(scores spread by {found.score_spread:.2f})"
        )
    if figures.get("pairs"):
        pairs, same = figures["pairs"], figures["pairs_by_position"]
        lines.append(
            f"position: in {same:,} of {pairs:,} pairs the judge named the same place in both "
            "orders"
        )
    if not found.usable:
        lines.append(
            "no better than chance, as far as these labels show: don't filter by it. Take another "
            "judge (judge.teacher) or rubric (judge.prompt), or label more rows"
        )
        return lines
    lines.append(
        f"best threshold: {found.threshold:g}; it keeps {found.kept_share:.0%} of these rows"
    )
    lines.append(f"to filter by it: --set judge.min_score={found.threshold:g}")
    return lines


def _figures_of(run: RunFolder) -> dict[str, Any]:
    from domainforge.run_folder import read_manifest

    manifest = read_manifest(run.stage_folder(judge.STAGE.writes))
    figures = dict(manifest.figures) if manifest else {}
    if not figures.get("judged"):
        raise DataError(
            f"run {run.path.name} has no rows that a judge has scored; set "
            "`judge: {prompt: judge}` and run it to there: domainforge run PIPELINE --until judge"
        )
    return figures


def _read_verdicts(path: Path) -> dict[str, bool]:
    faults: list[str] = []
    lines = list(read_lines(path, GivenVerdict, faults))
    if faults:
        raise DataError(
            f'{faults[0]}; write a line as {{"row": "ID", "verdict": "good"}} or "bad"; '
            "nothing was labelled"
        )
    return {line.row: line.verdict == "good" for line in lines if line.verdict}

"""Going through rows by hand: which row comes next, what was said of it, and taking it back."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from domainforge.errors import ConfigError, DataError
from domainforge.highlight import find_proof
from domainforge.label_file import LabelFile
from domainforge.labels import Content, Label, Verdict, content_of, label_row
from domainforge.records import answer_of, chunk_ids_of, question_of
from domainforge.run_folder import RunFolder
from domainforge.sentences import Span
from domainforge.show import Place, decode_row, find_places
from domainforge.table_writer import read_batches

STAGES = ("filter", "dedup", "judge")
"""Whose rows can be labelled; what a label says is carried out by the first of them."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of a run are gone through.

    Attributes:
        stage: One of STAGES; None for the last one that is whole, or of what was dropped for all.
        dropped: What was left out instead of what was kept.
        reason: Only what was left out for this reason.
        unlabelled: Only rows that nobody has labelled.
        limit: At most so many rows.
    """

    stage: str | None = None
    dropped: bool = False
    reason: str | None = None
    unlabelled: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class ReviewRow:
    """One row as it is shown.

    Attributes:
        row: As its table has it.
        content: What it says now: an edit counts.
        table: What people call the table it is from.
        label: What was said of it so far.
        passages: The chunks that it is about, the first one first.
    """

    row: Mapping[str, Any]
    content: Content
    table: str
    label: Label | None
    passages: Sequence[Mapping[str, Any]]

    def proof(self) -> list[Span]:
        """Return the spans of the first passage that carry the answer."""
        if not self.passages:
            return []
        said = {**self.row, **self.content.model_dump()}
        quote = self.row["fields"].get("quote")
        quote = quote if isinstance(quote, str) else None
        answer = answer_of(said) or str(said["text"] or "")
        return find_proof(self.passages[0]["text"], quote, question_of(said), answer)


class Review:
    """A way through rows, forward and back; what is said of one is on disk at once."""

    def __init__(
        self, project: Path, run: RunFolder, wanted: Wanted, who: str | None = None
    ) -> None:
        """Open the rows.

        Args:
            project: Holds the labels.
            run: The run.
            wanted: Which rows.
            who: Named in each label.

        Raises:
            ConfigError: No such stage, or nothing was left out for that reason.
            DataError: The stage has not run, or a line of the labels is broken.
        """
        self.run = run
        self.given: list[Label] = []
        self.taken_back = 0
        self._who = who
        self._wanted = wanted
        self._file = LabelFile(project)
        self._labels = self._file.read()
        self._places = find_tables(run, wanted)
        self.total = count_wanted(self._places, wanted)
        self._source = self._rows()
        self._seen: list[tuple[str, Mapping[str, Any]]] = []
        self._at = -1
        self._at_of_given: list[int] = []
        self.forward()

    @property
    def labelled(self) -> int:
        """How many rows have a label, in all runs of the project."""
        return len(self._labels)

    @property
    def number(self) -> int:
        """The number of the row that is shown, from 1."""
        return self._at + 1

    def current(self) -> ReviewRow | None:
        """Return the row that is shown; None behind the last one."""
        if self._at >= len(self._seen):
            return None
        table, row = self._seen[self._at]
        label = self._labels.find(row)
        content = label.edited if label and label.edited else content_of(row)
        wanted = chunk_ids_of(dict(row))
        passages = {chunk["id"]: chunk for chunk in read_chunks(self.run, wanted)}
        about = [passages[chunk] for chunk in wanted if chunk in passages]
        return ReviewRow(row, content, table, label, about)

    def forward(self) -> None:
        """Go on to the next row."""
        if self._at < len(self._seen):
            self._at += 1
        if self._at == len(self._seen) and (found := next(self._source, None)) is not None:
            self._seen.append(found)

    def back(self) -> None:
        """Go back to the row before."""
        self._at = max(self._at - 1, 0)

    def say(
        self, verdict: Verdict | None, edited: Content | None = None, comment: str | None = None
    ) -> None:
        """Write down what is said of the row that is shown; a comment of before stays.

        Raises:
            StorageError: The disk refuses; nothing was said then.
        """
        _, row = self._seen[self._at]
        before = self._labels.find(row)
        if comment is None:
            comment = before.comment if before else ""
        label = label_row(
            row,
            verdict,
            self._labels,
            edited=edited,
            comment=comment,
            run=self.run.path.name,
            who=self._who,
        )
        self._file.add(label)
        self.given.append(label)
        self._at_of_given.append(self._at)
        self._labels = self._file.read()

    def undo(self) -> bool:
        """Take back what was said last and go back to its row; without any, of the row shown.

        Returns:
            Whether there was something to take back.
        """
        if self.given:
            label: Label | None = self.given.pop()
            self._at = self._at_of_given.pop()
        else:
            shown = self.current()
            label = shown.label if shown else None
            self.taken_back += label is not None
        if label is None:
            return False
        self._file.undo(label)
        self._labels = self._file.read()
        return True

    def _rows(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        count = 0
        for table, row in wanted_rows(self._places, self._wanted.reason):
            if count == self._wanted.limit:
                return
            if self._wanted.unlabelled and self._labels.find(row) is not None:
                continue
            count += 1
            yield table, row


def find_tables(run: RunFolder, wanted: Wanted) -> list[Place]:
    """Return the tables that rows are wanted of; raises as `Review` does."""
    left_out = wanted.dropped or wanted.reason is not None
    if wanted.stage is not None:
        if wanted.stage not in STAGES:
            raise ConfigError(
                f"--stage {wanted.stage}: rows of {', '.join(STAGES)} can be labelled"
            )
        return find_places(run, wanted.stage, left_out=left_out)
    whole: list[list[Place]] = []
    for stage in STAGES:
        try:
            whole.append(find_places(run, stage, left_out=left_out))
        except DataError:
            continue
    if not whole:
        find_places(run, STAGES[0], left_out=left_out)  # says what to do
    return [place for places in whole for place in places] if left_out else whole[-1]


def count_wanted(places: Sequence[Place], wanted: Wanted) -> int:
    """Return how many rows there are to go through, labelled ones too.

    Raises:
        ConfigError: Nothing was left out for the reason; those there are named.
    """
    total = sum(place.rows for place in places)
    if wanted.reason is not None:
        reasons = Counter[str]()
        for place in places:
            for batch in read_batches(place.folder, ["reason"]):
                reasons.update(str(reason) for reason in batch.column("reason").to_pylist())
        total = reasons[wanted.reason]
        if not total:
            there = ", ".join(f"{name} ({count})" for name, count in reasons.most_common())
            raise ConfigError(
                f"nothing was dropped as '{wanted.reason}'; there are: {there or 'no drops'}"
            )
    return total if wanted.limit is None else min(total, wanted.limit)


def wanted_rows(
    places: Sequence[Place], reason: str | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of tables with what people call the table, ordered by id in each."""
    for place in places:
        for batch in read_batches(place.folder):
            for row in batch.to_pylist():
                if reason is None or row["reason"] == reason:
                    yield place.title, decode_row(row)


def read_chunks(run: RunFolder, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Read some passages of a run; only the row groups that can hold them are read."""
    found: list[dict[str, Any]] = []
    for part in sorted(run.stage_folder("chunks").glob("part-*.parquet")):
        if len(found) < len(ids):
            wanted = [("id", "in", list(ids))]
            found += pq.read_table(part, filters=wanted, partitioning=None).to_pylist()
    return found

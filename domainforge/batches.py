"""The first sequences that training sees, with the tokens that the loss counts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from domainforge.pipeline import make_context
from domainforge.run_folder import RunFolder, read_table
from domainforge.show import find_places, pipeline_of

TRAINED_MARKS = ("[[", "]]")
"""Stand around trained tokens where there is no colour."""


@dataclass(frozen=True)
class Span:
    """Neighbouring tokens that are all trained, or all only read."""

    text: str
    tokens: int
    trained: bool


@dataclass(frozen=True)
class BatchRow:
    """One row inside a packed sequence."""

    id: str
    spans: Sequence[Span]


@dataclass(frozen=True)
class BatchSequence:
    """One packed sequence; rows in it don't see each other."""

    rows: Sequence[BatchRow]

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return sum(span.tokens for row in self.rows for span in row.spans)

    @property
    def trained(self) -> int:
        """Tokens that the loss counts."""
        return sum(span.tokens for row in self.rows for span in row.spans if span.trained)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"tokens": self.tokens, "trained": self.trained, **asdict(self)}


@dataclass(frozen=True)
class Batch:
    """The sequences that were asked for, of so many in an epoch."""

    sequences: Sequence[BatchSequence]
    total: int


def read_batch(run: RunFolder, project: Path, limit: int = 1) -> Batch:
    """Render, mix and pack the training split as the run's training does.

    The trainer shuffles the sequences; these are the first before that.

    Args:
        run: A run whose split is whole.
        project: Folder that relative paths of its pipeline belong to.
        limit: How many sequences.

    Raises:
        DataError: The split has not run.
        TrainingError: The student's tokenizer can't be had, or no row has a token to train on.
    """
    from domainforge.training.packing import sequence_columns
    from domainforge.training.plan import plan_training
    from domainforge.training.render import IGNORED, render_row
    from domainforge.training.students import load_tokenizer

    folder = find_places(run, "train")[0].folder
    pipeline = pipeline_of(run)
    pipeline = pipeline.model_copy(update={"evaluate": type(pipeline.evaluate)()})
    context = make_context(pipeline, project, lambda event: None)
    tokenizer = load_tokenizer(context.student_folder)
    rows = read_table(folder).to_pylist()
    rendered = [render_row(row, tokenizer, pipeline.train.loss_on) for row in rows]
    _, bins = plan_training(rows, rendered, pipeline.train, pipeline.seed)
    columns = sequence_columns(bins)
    sequences = []
    for number, packed in enumerate(bins[:limit]):
        labels = columns["labels"][number]
        made, start = [], 0
        for row in packed:
            end = start + len(row.input_ids)
            marks = [label != IGNORED for label in labels[start:end]]
            made.append(BatchRow(row.id, _spans(row.input_ids, marks, tokenizer)))
            start = end
        sequences.append(BatchSequence(made))
    return Batch(sequences, len(bins))


def _spans(ids: Sequence[int], trained: Sequence[bool], tokenizer: Any) -> list[Span]:
    """Decode neighbours together, since one token may hold a part of a character."""
    spans = []
    pairs = zip(ids, trained, strict=True)
    for mark, group in groupby(pairs, key=lambda pair: pair[1]):
        part = [token for token, _ in group]
        spans.append(Span(tokenizer.decode(part), len(part), mark))
    return spans

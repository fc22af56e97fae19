"""Labels without a terminal: rows written to a file, and read back with what is said of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from domainforge.errors import DataError
from domainforge.label_exchange import read_lines, write_lines
from domainforge.label_file import LabelFile
from domainforge.labels import Content, Label, Labels, Message, Verdict, content_of, label_row
from domainforge.review import (
    STAGES,
    Wanted,
    count_wanted,
    find_tables,
    read_chunks,
    wanted_rows,
)
from domainforge.run_folder import RunFolder
from domainforge.show import find_places

_MOST_FAULTS = 20
_ALL = STAGES[0]


class GivenLabel(BaseModel):
    """One line of a file of labels; what was exported along with it is not read.

    A line whose `messages`, `text` or `rejected` differ from the row's is an edit.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    row: str
    verdict: Verdict | None = None
    comment: str = ""
    who: str | None = None
    messages: tuple[Message, ...] | None = Field(None, min_length=1)
    text: str | None = None
    rejected: str | None = None


def export_rows(project: Path, run: RunFolder, wanted: Wanted, path: Path) -> int:
    """Write rows with their passages as JSON lines; `verdict` is there to be filled in.

    Returns:
        How many were written.

    Raises:
        ConfigError: As for `Review`, or the file is there already.
    """
    labels = LabelFile(project).read()
    places = find_tables(run, wanted)
    count_wanted(places, wanted)

    def lines() -> Iterator[dict[str, Any]]:
        count = 0
        for _, row in wanted_rows(places, wanted.reason):
            if count == wanted.limit:
                return
            label = labels.find(row)
            if not (wanted.unlabelled and label is not None):
                count += 1
                yield _line(run, row, label)

    return write_lines(path, lines())


def import_labels(project: Path, run: RunFolder, path: Path, who: str | None = None) -> int:
    """Label rows of a run as a file says; lines without verdict and comment are passed over.

    Returns:
        How many rows were labelled.

    Raises:
        DataError: A line can't be read, or names no row of the run; nothing is labelled then. Or
            the run's filter isn't whole.
    """
    given: dict[str, GivenLabel] = {}
    faults: list[str] = []
    for label in read_lines(path, GivenLabel, faults):
        if label.verdict is not None or label.comment:
            given[label.row] = label
    file = LabelFile(project)
    labels = file.read()
    made: list[Label] = []
    # Every row, as the filter left it: what it took out of a row is no edit.
    tables = [place for gone in (False, True) for place in find_places(run, _ALL, left_out=gone)]
    for _, row in wanted_rows(tables):
        wanted = given.pop(row["id"], None)
        if wanted is None:
            continue
        try:
            made.append(_label(row, wanted, labels, run.path.name, who))
        except DataError as error:
            faults.append(f"{path}: {error}")
    faults += [f"{path}: run {run.path.name} has no row {row}" for row in given]
    if faults:
        more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        raise DataError("\n".join([*faults[:_MOST_FAULTS], *more, "nothing was labelled"]))
    if made:
        file.add(*made)
    return len(made)


def _line(run: RunFolder, row: dict[str, Any], label: Label | None) -> dict[str, Any]:
    content = label.edited if label and label.edited else content_of(row)
    chunk_ids = [row["chunk_id"]] if row["chunk_id"] else []
    return {
        "row": row["id"],
        "verdict": label.verdict if label else None,
        "comment": label.comment if label else "",
        **content.model_dump(mode="json", exclude_defaults=True),
        "quote": row["fields"].get("quote"),
        "passage": "".join(chunk["text"] for chunk in read_chunks(run, chunk_ids)),
        "uri": row["uri"],
        "scores": row["scores"],
        "reason": row["reason"],
        "evidence": row["evidence"],
    }


def _label(
    row: dict[str, Any], given: GivenLabel, labels: Labels, run: str, who: str | None
) -> Label:
    before = labels.find(row)
    said, now = content_of(row), before.edited if before else None
    wanted = Content(
        messages=said.messages if given.messages is None else given.messages,
        text=said.text if given.text is None else given.text,
        rejected=said.rejected if given.rejected is None else given.rejected,
    )
    if said.form != wanted.form:
        raise DataError(f"row {row['id']}: an edit must have the same messages, by role")
    told = [*(message.content for message in wanted.messages), wanted.text, wanted.rejected]
    if any(text is not None and not text.strip() for text in told):
        raise DataError(f"row {row['id']}: an edit must not be empty")
    edited = wanted if wanted not in (said, now) else None
    if edited is not None and given.verdict != "keep":
        raise DataError(f"row {row['id']}: its text was changed, so its verdict must be keep")
    comment, named = given.comment, given.who or who
    return label_row(row, given.verdict, labels, edited=edited, comment=comment, run=run, who=named)

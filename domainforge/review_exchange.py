"""Labels without a terminal: rows written to a file, and read back with what is said of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domainforge.errors import ConfigError, DataError
from domainforge.label_file import LabelFile
from domainforge.labels import Content, Label, Labels, Message, Verdict, content_of, label_row
from domainforge.review import Wanted, count_wanted, find_tables, read_chunks, wanted_rows
from domainforge.run_folder import RunFolder, storage_errors
from domainforge.show import find_places

_MOST_FAULTS = 20


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
    count = 0
    with storage_errors(path):
        try:
            handle = path.open("x", encoding="utf-8")
        except FileExistsError:
            raise ConfigError(f"{path} is there already; name another file") from None
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ConfigError(f"{path} can't be written: {error.strerror}") from None
        with handle:
            for _, row in wanted_rows(places, wanted.reason):
                label = labels.find(row)
                if count == wanted.limit or (wanted.unlabelled and label is not None):
                    continue
                count += 1
                handle.write(json.dumps(_line(run, row, label), ensure_ascii=False) + "\n")
    return count


def import_labels(project: Path, run: RunFolder, path: Path, who: str | None = None) -> int:
    """Label rows of a run as a file says; lines without verdict and comment are passed over.

    Returns:
        How many rows were labelled.

    Raises:
        DataError: A line can't be read, or names no row of the run; nothing is labelled then.
    """
    given: dict[str, GivenLabel] = {}
    faults: list[str] = []
    for number, line in _lines(path):
        try:
            label = GivenLabel.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "line"
            faults.append(f"{path}:{number}: {place}: {first['msg']}")
            continue
        if label.verdict is not None or label.comment:
            given[label.row] = label
    file = LabelFile(project)
    labels = file.read()
    made: list[Label] = []
    # All that the filter reads: what it kept and what it dropped.
    for _, row in wanted_rows(find_places(run, "generate")):
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


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        handle = path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    with handle:
        for number, line in enumerate(handle, start=1):
            if line.strip():
                yield number, line


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

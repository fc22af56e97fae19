"""The audit: what must not be in the final tables, looked for in the tables as written."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from domainforge.deduplicate.exact import exact_key
from domainforge.evaluation.exam import ExamQuestion
from domainforge.records import REPLAY, chunk_ids_of
from domainforge.splitting.config import SplitConfig
from domainforge.splitting.exam_overlap import Row, exam_index, find_exam_overlap


def audit_splits(
    train: pa.Table,
    validation: pa.Table,
    test: pa.Table,
    exam: Sequence[ExamQuestion],
    *,
    units: Mapping[str, str] | None = None,
    passages: Mapping[str, str] | None = None,
    titles: Iterable[str] = (),
    config: SplitConfig | None = None,
) -> list[str]:
    """Look in the final tables for what must not be there; an empty list is a clean bill.

    Args:
        train: Rows as written, read back.
        validation: Rows as written, read back.
        test: Rows as written, read back.
        exam: Questions that no row may give away.
        units: What was held out as a whole, by chunk id; the document where this is None.
        passages: Text of every chunk, by id, to find the same passage on both sides.
        titles: Of the documents; naming one is no match with the exam.
        config: What counts as a match with the exam.

    Returns:
        One sentence for each fault.
    """
    texts = {at: exact_key(text) for at, text in (passages or {}).items()}

    def marked(table: pa.Table) -> list[Row]:
        rows: list[Row] = table.to_pylist()
        for row in rows:
            about = chunk_ids_of(row)
            row["chunk_id"] = about
            row["passage"] = [texts[chunk_id] for chunk_id in about if chunk_id in texts]
            if units is not None:
                row["unit"] = [units[chunk_id] for chunk_id in about if chunk_id in units]
            else:
                row["unit"] = [row["document_id"], *(o["document_id"] for o in row["also"] or ())]
        return rows

    trained, validated, tested = marked(train), marked(validation), marked(test)
    findings = []
    for name in ("id", "cluster"):
        findings += _in_both(name, trained, validated, "train", "validation")
    for name in ("id", "chunk_id", "unit", "cluster", "passage"):
        findings += _in_both(name, [*trained, *validated], tested, "the training side", "test")
    index = exam_index(exam, config or SplitConfig(), titles)
    for place, side, rows in (
        ("train", "train", trained),
        ("validation", "train", validated),
        ("test", "test", tested),
    ):
        strays = [row for row in rows if row["side"] != side]
        findings += [f"row {row['id']} of side {row['side']} is in {place}" for row in strays]
        if place != "train":
            general = [row["id"] for row in rows if row["prompt"] == REPLAY]
            findings += [f"general row {row_id} is in {place}" for row_id in general]
        leaks = find_exam_overlap(rows, index)
        findings += [f"row {at} in {place} matches {drop.evidence}" for at, drop in leaks.items()]
    return findings


def _in_both(
    name: str, left: Sequence[Row], right: Sequence[Row], left_name: str, right_name: str
) -> list[str]:
    """Say which values of a field occur in both lists of rows."""
    first = {value: row["id"] for row in left for value in _values(row[name])}
    second = {value: row["id"] for row in right for value in _values(row[name])}
    what = "row" if name == "id" else name.removesuffix("_id")
    return [
        f"{what} {value} is in {left_name} (row {first[value]}) "
        f"and in {right_name} (row {second[value]})"
        for value in sorted(first.keys() & second.keys())
    ]


def _values(value: str | list[str] | None) -> list[str]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

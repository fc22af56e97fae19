"""What people said of rows goes before what the checks find."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domainforge.label_file import LabelFile
from domainforge.labels import Label, Labels
from domainforge.records import canonical_json
from domainforge.run_folder import RunFolder, read_manifest
from domainforge.table_writer import read_batches

REVIEWED = "reviewed"
"""The reason of rows that somebody dropped, and the score of rows that somebody kept."""
EDITED = "edited"
LABELS_HASH = "labels"
"""Among the filter's figures: which labels its rows were made with."""

CHUNKS = "chunks"
_KEPT = "kept"


def read_labels(project: Path) -> Labels:
    """Read the labels of a project; raises as `LabelFile.read` does."""
    return LabelFile(project).read()


def hash_labels(labels: Labels, chunks: Path) -> str:
    """Hash what labels say of rows about some passages; "" where they say nothing.

    Args:
        labels: Of the project.
        chunks: Folder of the table of passages.
    """
    if not len(labels):
        return ""
    batches = read_batches(chunks, ["id"])
    ids = (found for batch in batches for found in batch.column("id").to_pylist())
    return labels.hash_for(ids)


def labels_changed(run: RunFolder) -> bool:
    """Tell whether labels were given or taken back since the run's filter was done."""
    manifest = read_manifest(run.stage_folder(_KEPT))
    if manifest is None:
        return False
    labels = read_labels(run.path.parent.parent)
    now = hash_labels(labels, run.stage_folder(CHUNKS))
    return bool(manifest.figures.get(LABELS_HASH, "") != now)


def apply_edit(example: Mapping[str, Any], label: Label | None) -> Mapping[str, Any]:
    """Return a row as somebody rewrote it; it keeps its id."""
    if label is None or label.verdict != "keep" or label.edited is None:
        return example
    return {**example, **label.edited.model_dump()}


def mark_kept(example: Mapping[str, Any], label: Label) -> dict[str, Any]:
    """Say in a row's scores that a person kept it, and whether they rewrote it."""
    marks = {REVIEWED: 1.0} if label.edited is None else {REVIEWED: 1.0, EDITED: 1.0}
    scores = {**json.loads(example["scores"] or "{}"), **marks}
    return {**example, "scores": canonical_json(scores)}


def describe_drop(label: Label) -> str:
    """Say when a row was dropped, and why."""
    who = f" by {label.who}" if label.who else ""
    return f"dropped{who} on {label.at}" + (f": {label.comment}" if label.comment else "")

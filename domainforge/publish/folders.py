"""Folders that others open: a model for transformers, Parquet for datasets."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domainforge.errors import ExportError
from domainforge.publish.cards import teacher_name
from domainforge.records import REPLAY
from domainforge.tables import MESSAGE

KINDS = ("chat", "text", "preference")
SPLITS = ("train", "validation", "test")
# training_args.bin is a pickle; checkpoints and our own marks are of no use to others.
_MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
# Columns that say nothing in rows of a kind.
_UNUSED = {
    "chat": ("text", "rejected"),
    "text": ("messages", "fields", "rejected"),
    "preference": ("text", "messages"),
}
_PRIVATE = {"manifest.json", "origin.json"}


def copy_model(student: Path, target: Path) -> None:
    """Copy what transformers loads; hard links where the disk allows, so no space is lost.

    Raises:
        ExportError: The student has no weights, or was trained on what is forgotten since.
    """
    if (student / "forgotten.json").exists():
        raise ExportError(
            f"{student}: was trained on a document that is forgotten since; run again with "
            "--from train"
        )
    target.mkdir(parents=True, exist_ok=True)
    for pattern in _MODEL_FILES:
        for path in sorted(student.glob(pattern)):
            if path.name in _PRIVATE or path.name.startswith("."):
                continue
            place = target / path.name
            place.unlink(missing_ok=True)
            try:
                os.link(path, place)
            except OSError:
                shutil.copyfile(path, place)
    if not list(target.glob("*.safetensors")):
        raise ExportError(f"{student}: holds no *.safetensors; run again with --from train")


def write_datasets(splits: dict[str, pa.Table], target: Path) -> dict[str, list[str]]:
    """Write one Parquet file per kind and split that has rows; return the splits of each kind.

    General rows stay behind: others wrote them, they may have another licence, and who wants them
    has them from where they came.
    """
    files: dict[str, list[str]] = {}
    for kind in KINDS:
        for split in SPLITS:
            rows = _without_replay(splits[split])
            rows = rows.filter(pc.equal(rows.column("kind"), kind))
            if not rows.num_rows:
                continue
            place = target / kind / f"{split}.parquet"
            place.parent.mkdir(parents=True, exist_ok=True)
            names = [name and teacher_name(name) for name in rows.column("teacher").to_pylist()]
            at = rows.schema.get_field_index("teacher")
            rows = rows.set_column(at, "teacher", pa.array(names, pa.string()))
            rows = _as_preferences(rows) if kind == "preference" else rows
            pq.write_table(rows.drop_columns([*_UNUSED[kind], "reason", "evidence"]), place)
            files.setdefault(kind, []).append(split)
    return files


def _without_replay(table: pa.Table) -> pa.Table:
    return table.filter(pc.not_equal(table.column("prompt"), REPLAY))


def _as_preferences(rows: pa.Table) -> pa.Table:
    """Put preferences in TRL's form: `prompt`, `chosen` and `rejected` are lists of messages."""
    found = [_preference(row) for row in rows.select(["messages", "rejected"]).to_pylist()]
    names = ["prompt_name" if name == "prompt" else name for name in rows.column_names]
    rows = rows.rename_columns(names).drop_columns(["rejected"])
    for at, name in enumerate(("prompt", "chosen", "rejected")):
        column = pa.array([row[name] for row in found], pa.list_(MESSAGE))
        rows = rows.add_column(at, name, column)
    return rows


def _preference(row: Mapping[str, Any]) -> dict[str, Any]:
    *prompt, chosen = row["messages"]
    rejected = {"role": chosen["role"], "content": row["rejected"]}
    return {"prompt": prompt, "chosen": [chosen], "rejected": [rejected]}

"""Folders that others open: a model for transformers, Parquet for datasets."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domainforge.errors import ExportError
from domainforge.publish.cards import teacher_name

KINDS = ("chat", "text")
SPLITS = ("train", "validation", "test")
# training_args.bin is a pickle; checkpoints and our own marks are of no use to others.
_MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
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
    """Write one Parquet file per kind and split that has rows; return the splits of each kind."""
    files: dict[str, list[str]] = {}
    for kind in KINDS:
        for split in SPLITS:
            table = splits[split]
            rows = table.filter(pc.equal(table.column("kind"), kind))
            if not rows.num_rows:
                continue
            unused = ["text"] if kind == "chat" else ["messages", "fields"]
            place = target / kind / f"{split}.parquet"
            place.parent.mkdir(parents=True, exist_ok=True)
            names = [name and teacher_name(name) for name in rows.column("teacher").to_pylist()]
            at = rows.schema.get_field_index("teacher")
            rows = rows.set_column(at, "teacher", pa.array(names, pa.string()))
            pq.write_table(rows.drop_columns([*unused, "reason", "evidence"]), place)
            files.setdefault(kind, []).append(split)
    return files

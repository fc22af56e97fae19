"""The control: rows about other documents, to subtract what style alone gains."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError
from domainforge.files import file_hash

ROWS = "rows.jsonl"


def load_control(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Load the rows that a control student is trained on, and those that check it.

    A control is a run folder of other documents (its splits are taken), or a folder with
    `rows.jsonl`: lines with `kind`, `messages` or `text`, and `split`, as
    `domainforge show RUN train --json` writes them.

    Raises:
        ConfigError: Neither is there, or a line is not a row; says how to make one.
    """
    if (folder / "splits" / "train").is_dir():
        from domainforge.run_folder import read_table

        splits = folder / "splits"
        return read_table(splits, "train").to_pylist(), read_table(splits, "validation").to_pylist()
    path = folder / ROWS
    if not path.exists():
        raise ConfigError(
            f"evaluate.control: {folder} has neither {ROWS} nor splits. Make a control of other "
            "documents with the same tasks: `domainforge run control.yaml --until split`, then "
            "name its folder (runs/NAME)"
        )
    train: list[dict[str, Any]] = []
    validation: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        row = _parse_row(path, number, line)
        (validation if row["split"] == "validation" else train).append(row)
    if not train:
        raise ConfigError(f"{path}: has no row with split 'train'")
    return train, validation


def control_hash(folder: Path) -> str:
    """Hash of what `load_control` reads, for fingerprints."""
    if (folder / ROWS).exists():
        return file_hash(folder / ROWS)
    from domainforge.run_folder import read_manifest

    manifest = read_manifest(folder / "splits")
    return manifest.content_hash if manifest else "none"


def _parse_row(path: Path, number: int, line: str) -> dict[str, Any]:
    where = f"{path}:{number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, Mapping) or row.get("kind") not in {"chat", "text"}:
        raise ConfigError(f"{where}: a row needs kind 'chat' or 'text'")
    content = row.get("messages") if row["kind"] == "chat" else row.get("text")
    if not content:
        raise ConfigError(f"{where}: a {row['kind']} row without content")
    return {"id": f"{path.name}:{number}", "split": "train", "messages": None, "text": None, **row}

"""The control: rows about other documents, to subtract what style alone gains."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError
from domainforge.files import file_hash
from domainforge.records import REPLAY

ROWS = "rows.jsonl"
_KINDS = {"chat", "text", "preference"}


def load_control(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Load the rows that a control student is trained on, and those that check it.

    A control is a run folder of other documents (its splits are taken), or a folder with
    `rows.jsonl`: lines with `kind`, `messages` or `text`, and `split`, as
    `domainforge show RUN train --json` writes them.

    Raises:
        ConfigError: Neither is there, or a line is not a row; says how to make one.
    """
    from domainforge.run_folder import read_manifest, read_table

    if read_manifest(folder / "splits") is not None:
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
    for number, line in enumerate(_read_lines(path), 1):
        if line.strip():
            row = _parse_row(path, number, line)
            if row["kind"] != "preference":  # no student is trained on them
                (validation if row["split"] == "validation" else train).append(row)
    if not train:
        raise ConfigError(f"{path}: has no row with split 'train'")
    return train, validation


def share_replay(
    control: Sequence[dict[str, Any]], student: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a control's rows with the student's general rows in the place of its own.

    So the two students differ in the documents and in nothing else.
    """
    own = [row for row in control if row.get("prompt") != REPLAY]
    return [*own, *(row for row in student if row["prompt"] == REPLAY)]


def control_hash(folder: Path) -> str:
    """Hash of what `load_control` reads, for fingerprints."""
    from domainforge.run_folder import read_manifest

    manifest = read_manifest(folder / "splits")
    if manifest is not None:
        return manifest.content_hash
    return file_hash(folder / ROWS) if (folder / ROWS).exists() else "none"


def _read_lines(path: Path) -> list[str]:
    try:
        # Not splitlines(): JSON strings may hold the other line separators that it splits at.
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from error


def _parse_row(path: Path, number: int, line: str) -> dict[str, Any]:
    where = f"{path}:{number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, Mapping) or row.get("kind") not in _KINDS:
        raise ConfigError(f"{where}: a row needs kind 'chat', 'text' or 'preference'")
    if row.get("split", "train") not in {"train", "validation"}:
        raise ConfigError(f"{where}: split must be 'train' or 'validation', not {row['split']!r}")
    is_text = row["kind"] == "text"
    if not (_is_text(row.get("text")) if is_text else _is_chat(row.get("messages"))):
        wanted = "text" if is_text else "messages, each with role and content"
        raise ConfigError(f"{where}: a {row['kind']} row needs {wanted}")
    return {"id": f"{path.name}:{number}", "split": "train", "messages": None, "text": None, **row}


def _is_chat(value: Any) -> bool:
    return (
        bool(value)
        and isinstance(value, list)
        and all(
            isinstance(message, Mapping)
            and message.get("role") in {"system", "user", "assistant"}
            and _is_text(message.get("content"))
            for message in value
        )
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)

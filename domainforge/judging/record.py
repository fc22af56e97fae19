"""What calibrations found, kept in the project folder: figures alone, by judge."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domainforge.records import stable_id
from domainforge.run_folder import storage_errors, write_atomic

CALIBRATIONS = "calibrations.json"


def judge_key(figures: Mapping[str, Any]) -> str:
    """Name a judge: who answers, and by which rubric; from the figures of the stage."""
    return stable_id("judge", figures.get("teacher"), figures.get("prompts", {}).get("rubric"))


def read_calibration(project: Path, key: str) -> dict[str, Any] | None:
    """Return what the last calibration of a judge found; None where there was none."""
    found = _read(project).get(key)
    return dict(found) if isinstance(found, dict) else None


def write_calibration(project: Path, key: str, found: Mapping[str, Any]) -> None:
    """Keep what a calibration found, in the place of the judge's last one.

    Raises:
        StorageError: The disk refuses.
    """
    body = json.dumps({**_read(project), key: dict(found)}, indent=2, sort_keys=True)
    write_atomic(project / CALIBRATIONS, body + "\n")


def note_of_calibration(
    project: Path, min_score: float | None, figures: Mapping[str, Any]
) -> list[str]:
    """Warn where rows go by a judge that was no better than chance, or that nobody has checked.

    Args:
        project: Folder of the calibrations.
        min_score: Below it rows are dropped; None where they aren't.
        figures: Of the stage.
    """
    if min_score is None:
        return []
    found = read_calibration(project, judge_key(figures))
    advice = "`domainforge judge calibrate RUN`"
    if found is None:
        return [
            f"rows are dropped by a judge that nobody has compared with a person: {advice} does, "
            "in a quarter of an hour"
        ]
    if found.get("usable"):
        return []
    return [
        f"rows are dropped by a judge that was no better than chance over {found.get('labels')} "
        f"labels (kappa {found.get('kappa')}, 95 % {found.get('low')} to {found.get('high')}): "
        f"take `judge.min_score` out, or calibrate another judge ({advice})"
    ]


def _read(project: Path) -> dict[str, Any]:
    path = project / CALIBRATIONS
    with storage_errors(path):
        text = path.read_text(encoding="utf-8") if path.exists() else "{}"
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""The sections on rows: why they left, how those that stayed score, what they cover."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from domainforge.generation.coverage import KIND_NAMES
from domainforge.report.look import Look
from domainforge.report.section import Section
from domainforge.table_writer import read_batches

_BINS = 20
_MOST_ROWS = 100_000
_STAYED = ("judge", "judged"), ("dedup", "unique"), ("filter", "kept")
# Scores whose threshold isn't called after them; any other's is `min_NAME_share` or like it.
_THRESHOLDS = {
    "judge": ("judge", "min_score"),
    "round_trip": ("judge", "min_agreement"),
    "known_without_document": ("judge", "known_agreement"),
}


@dataclass(frozen=True)
class Threshold:
    """What a score is held against, and the key that sets it."""

    key: str
    value: float
    at: float


@dataclass(frozen=True)
class Histogram:
    """How one score is spread over rows.

    Attributes:
        bars: Start, height (both of 100) and number of rows of each bin.
    """

    name: str
    rows: int
    low: float
    high: float
    least: float
    middle: float
    bars: tuple[tuple[float, float, int], ...]
    bar_width: float
    threshold: Threshold | None


def reasons_section(look: Look) -> Section:
    """Show every reason that rows left for, with examples."""
    stages: dict[str, list[Any]] = {}
    for reason in look.dropped:
        stages.setdefault(reason.stage, []).append(reason)
    values = {"stages": stages, "run": look.run.path.name}
    return Section("Why rows left", "reasons.html", values)


def scores_section(look: Look) -> Section | None:
    """Show how the scores of rows that stayed are spread, beside their thresholds."""
    stage, folder = next((pair for pair in _STAYED if pair[0] in look.manifests), ("", ""))
    if not stage:
        return None
    place = look.run.stage_folder(folder)
    found, rows = _read_scores(place)
    histograms = [_histogram(look, name, values) for name, values in sorted(found.items())]
    if not histograms:
        return None
    total = int(look.manifests[stage].tables[""]["rows"])
    values = {"histograms": histograms, "rows": rows, "total": total, "table": folder}
    return Section("How rows that stayed score", "scores.html", values)


def coverage_section(look: Look) -> Section | None:
    """Show how much of the documents the kept rows rest on."""
    kept = look.manifests.get("filter")
    told = (kept.figures.get("coverage") or {}) if kept else {}
    kinds = [
        (KIND_NAMES.get(kind, kind), share["covered"], share["total"])
        for kind, share in told.items()
        if isinstance(share, dict) and share.get("total")
    ]
    if not kinds:
        return None
    values = {"kinds": kinds, "run": look.run.path.name}
    return Section("What kept rows cover", "coverage.html", values)


def _read_scores(place: Path) -> tuple[dict[str, list[float]], int]:
    """Read scores; of many rows the first by id, which are a fair sample since ids are hashes."""
    found: dict[str, list[float]] = {}
    rows = 0
    for text in _score_texts(place):
        rows += 1
        for name, value in json.loads(text or "{}").items():
            if isinstance(value, int | float) and value == value:
                found.setdefault(name, []).append(float(value))
        if rows == _MOST_ROWS:
            break
    return found, rows


def _score_texts(place: Path) -> Iterator[str | None]:
    for batch in read_batches(place, ["scores"]):
        yield from batch.column(0).to_pylist()


def _histogram(look: Look, name: str, values: list[float]) -> Histogram:
    found = _find_threshold(look, name)
    least, most = min(values), max(values)
    # Most scores are shares; a scale of its own would make one look like another.
    low, high = (0.0, 1.0) if least >= 0 and most <= 1 else (least, most)
    if found is not None:
        low, high = min(low, found[1]), max(high, found[1])
    span = (high - low) or 1.0
    counts = [0] * _BINS
    for value in values:
        counts[min(int((value - low) / span * _BINS), _BINS - 1)] += 1
    width = 100 / _BINS
    bars = tuple(
        (at * width, round(100 * count / max(counts), 3), count)
        for at, count in enumerate(counts)
        if count
    )
    threshold = None
    if found is not None:
        threshold = Threshold(found[0], found[1], round(100 * (found[1] - low) / span, 3))
    return Histogram(name, len(values), low, high, least, median(values), bars, width, threshold)


def _find_threshold(look: Look, name: str) -> tuple[str, float] | None:
    """Return the key and the value of what a score is held against, where there is such a key."""
    places: list[tuple[str, str]] = [_THRESHOLDS[name]] if name in _THRESHOLDS else []
    for stage in ("filter", "judge"):
        for bound in ("min", "max"):
            places += [(stage, f"{bound}_{name}_share"), (stage, f"{bound}_{name}")]
    for stage, key in places:
        config: Mapping[str, Any] = look.config(stage)
        value = config.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{stage}.{key}", float(value)
    return None

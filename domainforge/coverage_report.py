"""Which parts of a run's documents have kept rows, read from what the filter wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from domainforge.errors import ConfigError, DataError
from domainforge.generation.coverage import COVERAGE, KIND_NAMES, Kind
from domainforge.run_folder import RunFolder, read_manifest, read_table


@dataclass(frozen=True)
class CoverageReport:
    """The parts that were asked for, and how many there are of all.

    Attributes:
        parts: Those with at most so many rows, in the order of the documents.
        totals: For each kind, parts with a row and parts in all.
    """

    parts: Sequence[dict[str, Any]]
    totals: dict[Kind, tuple[int, int]]

    def describe(self) -> list[str]:
        """Say how much of each kind has a row."""
        lines = [
            f"{KIND_NAMES[kind]} with a kept row: {covered:,} of {total:,} ({covered / total:.0%})"
            for kind, (covered, total) in self.totals.items()
        ]
        return lines or ["there is nothing in these documents that could be asked about"]


def read_coverage(run: RunFolder, kind: str | None = None, most_rows: int = 0) -> CoverageReport:
    """Read a run's coverage.

    Args:
        run: The run.
        kind: `sentence`, `section` or `entity`; None for all.
        most_rows: Parts with more kept rows are left out.

    Raises:
        ConfigError: There is no such kind.
        DataError: The run has not been filtered.
    """
    kinds: tuple[Kind, ...] = get_args(Kind)
    if kind is not None and kind not in kinds:
        raise ConfigError(f"--kind is one of {', '.join(kinds)}, not {kind!r}")
    folder = run.stage_folder("kept")
    manifest = read_manifest(folder)
    if manifest is None or COVERAGE not in manifest.tables:
        raise DataError(
            f"run {run.path.name} has no coverage yet: `domainforge run PIPELINE --until filter` "
            "counts it"
        )
    rows = read_table(folder, COVERAGE).to_pylist()
    rows.sort(key=lambda row: (row["uri"], row["kind"] != "section", row["start"], row["text"]))
    totals = {}
    for name in kinds:
        of_kind = [row for row in rows if row["kind"] == name]
        if of_kind:
            totals[name] = (sum(row["rows"] > 0 for row in of_kind), len(of_kind))
    wanted = [row for row in rows if row["rows"] <= most_rows and kind in (None, row["kind"])]
    return CoverageReport(wanted, totals)

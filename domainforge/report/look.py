"""All that the sections look at, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.dropped import DroppedReason, read_dropped
from domainforge.funnel import Funnel, read_funnel
from domainforge.pipeline import STAGES
from domainforge.run_folder import Manifest, RunFolder, read_manifest


@dataclass(frozen=True)
class Look:
    """A run, and what was read of it.

    Attributes:
        record: run.json.
        manifests: Of the whole stages, in the order of the line.
    """

    run: RunFolder
    record: Mapping[str, Any]
    manifests: Mapping[str, Manifest]
    funnel: Funnel
    dropped: Sequence[DroppedReason]

    @classmethod
    def at(cls, run: RunFolder, per_reason: int) -> "Look":
        """Look at a run.

        Raises:
            DataError: Nothing was generated yet.
            StorageError: Its folder was written by another version.
        """
        found = {stage.name: read_manifest(run.stage_folder(stage.writes)) for stage in STAGES}
        manifests = {name: manifest for name, manifest in found.items() if manifest is not None}
        funnel = read_funnel(run)
        return cls(run, run.read_record(), manifests, funnel, read_dropped(run, per_reason))

    def config(self, stage: str) -> Mapping[str, Any]:
        """Return a stage's settings as the run has them."""
        values = (self.record.get("pipeline") or {}).get(stage)
        return values if isinstance(values, dict) else {}

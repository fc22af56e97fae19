"""What a stage is: a config, a function, what it reads, and the account it must give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo


class Settings(BaseModel):
    """Base of every config that comes from outside: unknown keys are faults, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def transport_field(default: Any, description: str, **constraints: Any) -> Any:
    """Declare a config field that can't change what a stage writes (a port, a timeout, a cap).

    Such fields stay out of the stage's fingerprint, so changing one re-runs nothing.
    """
    extra: JsonDict = {"shapes_output": False}
    return Field(default, description=description, json_schema_extra=extra, **constraints)


def shapes_output(info: FieldInfo) -> bool:
    """Tell whether a config field belongs in the fingerprint."""
    extra = info.json_schema_extra
    return not (isinstance(extra, dict) and extra.get("shapes_output") is False)


def shaping_values(config: BaseModel) -> dict[str, Any]:
    """Return the part of a config that shapes the stage's output, as JSON-ready values."""
    values: dict[str, Any] = {}
    for name, info in type(config).model_fields.items():
        if not shapes_output(info):
            continue
        value = getattr(config, name)
        values[name] = (
            shaping_values(value)
            if isinstance(value, BaseModel)
            else config.model_dump(mode="json", include={name})[name]
        )
    return values


@dataclass(frozen=True)
class Account:
    """Where every planned unit went. `total == done + dropped + failed + not_reached`, always.

    Attributes:
        unit: What is counted: "rows", "files", "requests", "steps", "questions".
        total: Units read or planned.
        done: Units that came out.
        dropped: Units left out on purpose, by reason.
        failed: Units lost to a fault, by kind.
        not_reached: Units that the stage stopped before.
    """

    unit: str
    total: int
    done: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    not_reached: int = 0

    @property
    def balances(self) -> bool:
        """Whether the units add up."""
        parts = sum(self.dropped.values()) + sum(self.failed.values())
        return self.total == self.done + parts + self.not_reached

    def as_dict(self) -> dict[str, Any]:
        """Return the account as JSON-ready values, reasons in order of count."""

        def ordered(counts: Mapping[str, int]) -> dict[str, int]:
            return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

        return {
            "unit": self.unit,
            "total": self.total,
            "done": self.done,
            "dropped": ordered(self.dropped),
            "failed": ordered(self.failed),
            "not_reached": self.not_reached,
        }


@dataclass(frozen=True)
class StageResult:
    """What a stage reports when it is whole.

    Attributes:
        account: Where every unit went.
        notes: Sentences that the user should read (warnings included).
        figures: Numbers for run.json and the report, flat.
    """

    account: Account
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One stage of the line.

    Attributes:
        name: The stage, and its key in a pipeline file.
        config: Its settings.
        run: `run(config, inputs, out, context) -> StageResult`; writes only to `out`.
        reads: Names of the stages whose output it reads.
        writes: Folder of its output inside the run.
        version: Raised when the same inputs would give another output than before.
        identity: What else its output depends on (file hashes, prompts, model revisions).
        resumable: Its unfinished folder is kept and handed back after an interruption.
    """

    name: str
    config: type[Settings]
    run: Callable[..., StageResult]
    writes: str
    reads: tuple[str, ...] = ()
    version: int = 1
    identity: Callable[..., dict[str, Any]] | None = None
    resumable: bool = False

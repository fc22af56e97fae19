"""A pipeline file: YAML that is data, checked whole, all faults reported with their lines."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from domainforge.config_faults import KeyPath, explain_value, find_key
from domainforge.errors import ConfigError
from domainforge.filters.rows import FilterConfig
from domainforge.judging.config import JudgeConfig
from domainforge.sources.config import SourceConfig
from domainforge.splitting.config import SplitConfig
from domainforge.stage import Settings, transport_field
from domainforge.stages.assign import AssignConfig
from domainforge.stages.chunk import ChunkConfig
from domainforge.stages.dedup import DedupConfig
from domainforge.stages.evaluate import EvaluateConfig
from domainforge.stages.export import ExportConfig
from domainforge.stages.generate import GenerateConfig
from domainforge.stages.ingest import IngestConfig
from domainforge.teacher.config import TeacherConfig
from domainforge.training.config import TrainConfig


class Pipeline(Settings):
    """Everything that one run does. Every key has a default but `sources`."""

    name: str = Field("run", pattern=r"^[\w-][\w.-]*$", description="Name of the run's folder.")
    seed: int = Field(7, ge=0, description="One seed for the whole run.")
    # May be empty: Python can hand over sources that no file can name.
    sources: tuple[SourceConfig, ...] = Field(description="Where documents are.")
    teacher: TeacherConfig = Field(
        default_factory=lambda: TeacherConfig(embedded=True),
        description="Who writes: `embedded`, or an OpenAI-compatible endpoint.",
    )
    min_yield_share: float = transport_field(
        0.1, "Least share of requests that must come to a row that survives the filter.", ge=0, le=1
    )
    ingest: IngestConfig = Field(default_factory=IngestConfig, description="Reading the documents.")
    chunk: ChunkConfig = Field(
        default_factory=ChunkConfig, description="Cutting documents into passages."
    )
    assign: AssignConfig = Field(
        default_factory=AssignConfig, description="Which documents are held out of training."
    )
    generate: GenerateConfig = Field(
        default_factory=GenerateConfig, description="What the teacher is asked."
    )
    filter: FilterConfig = Field(
        default_factory=FilterConfig, description="Which generated rows are kept."
    )
    dedup: DedupConfig = Field(
        default_factory=DedupConfig, description="Which rows are copies of another."
    )
    judge: JudgeConfig = Field(
        default_factory=JudgeConfig, description="Which rows are worth training on."
    )
    split: SplitConfig = Field(
        default_factory=SplitConfig, description="Train, validation and test."
    )
    train: TrainConfig = Field(default_factory=TrainConfig, description="Training the student.")
    evaluate: EvaluateConfig = Field(
        default_factory=EvaluateConfig, description="Measuring the student."
    )
    export: ExportConfig = Field(default_factory=ExportConfig, description="Saving the student.")


def load_pipeline(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read and check a pipeline file; `overrides` are `key.path=value` and win over it.

    Raises:
        ConfigError: All faults together, one a line, with file, line and a near match.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such pipeline file; `domainforge init` writes one to start from"
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"{path}: a folder, no pipeline file; `domainforge init {path.name}` writes one for it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read as UTF-8 text ({error})") from error
    values, lines = _parse(path, text)
    for override in overrides:
        _override(values, override)
    return check_pipeline(values, str(path), lines)


def check_pipeline(
    values: Mapping[str, Any], origin: str, lines: Mapping[KeyPath, int] | None = None
) -> Pipeline:
    """Check values that came from a file, a wizard or a caller.

    Raises:
        ConfigError: All faults together.
    """
    try:
        return Pipeline.model_validate(values)
    except ValidationError as error:
        known = lines or {}
        faults = sorted(_real_faults(error), key=lambda fault: _line(fault["loc"], known) or 0)
        described = [_describe(fault, origin, known) for fault in faults]
        raise ConfigError("\n".join(dict.fromkeys(described))) from error


def _parse(path: Path, text: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not YAML: {error.problem or error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}:1: a pipeline file holds `key: value` lines; see `domainforge init`"
        )
    lines: dict[KeyPath, int] = {}
    faults = list(_collect_lines(tree, (), lines))
    if faults:
        raise ConfigError("\n".join(f"{path}:{fault}" for fault in faults))
    return values, lines


def _collect_lines(node: Any, at: KeyPath, lines: dict[KeyPath, int]) -> Sequence[str]:
    faults: list[str] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, key.value)
            if place in lines:
                line = key.start_mark.line + 1
                faults.append(f"{line}: {'.'.join(map(str, place))}: the key is here twice")
            lines[place] = key.start_mark.line + 1
            faults += _collect_lines(value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, index)] = value.start_mark.line + 1
            faults += _collect_lines(value, (*at, index), lines)
    return faults


def _override(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(f"--set {override}: write it as key.path=value, for example seed=8")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML") from error
    *parents, last = key.strip().split(".")
    place: Any = values
    for parent in parents:
        if isinstance(place, list) and parent.isdigit() and int(parent) < len(place):
            place = place[int(parent)]
        elif isinstance(place, dict):
            if not isinstance(place.get(parent), dict | list):
                place[parent] = {}
            place = place[parent]
        else:
            raise ConfigError(f"--set {override}: there is nothing at '{parent}'")
    if isinstance(place, list):
        if not last.isdigit() or int(last) >= len(place):
            raise ConfigError(f"--set {override}: '{last}' is not a place in the list")
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ConfigError(f"--set {override}: there is nothing at '{last}'")


def _real_faults(error: ValidationError) -> list[Any]:
    """Leave out that a list is too short where it only seems so, for its items are faulty."""
    faults = error.errors()
    places = [fault["loc"] for fault in faults]
    return [
        fault
        for fault, place in zip(faults, places, strict=True)
        if fault["type"] != "too_short"
        or not any(len(other) > len(place) and other[: len(place)] == place for other in places)
    ]


def _line(place: KeyPath, lines: Mapping[KeyPath, int]) -> int | None:
    """Find the line of a key, or of the nearest key above it."""
    return next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)


def _describe(fault: Mapping[str, Any], origin: str, lines: Mapping[KeyPath, int]) -> str:
    place: KeyPath = tuple(fault["loc"])
    line = _line(place, lines)
    where = f"{origin}:{line}" if line else origin
    key = ".".join(map(str, place)) or "pipeline"
    if fault["type"] == "extra_forbidden":
        near = find_key(Pipeline, place)
        hint = f"; did you mean '{near}'?" if near else ""
        return f"{where}: {key}: unknown key{hint}"
    if fault["type"] == "missing":
        return f"{where}: {key}: missing; this key has no default"
    seen = fault.get("input")
    secret = _may_be_secret(place, seen)
    message = explain_value(fault, Pipeline, secret=secret)
    told = str(seen).lower() if isinstance(seen, bool) else repr(seen)
    shown = f" (it is {told})" if isinstance(seen, str | int | float) and not secret else ""
    return f"{where}: {key}: {message}{shown}"


def _may_be_secret(place: KeyPath, seen: object) -> bool:
    """Tell whether a value may be a pasted key or password, which must not come back in an error.

    Addresses are told by their looks, since they stand in many places; those of databases have
    forms of their own.
    """
    name = str(place[-1]) if place else ""
    if place[:1] == ("teacher",) or name in ("sql", "url") or name.endswith("_env"):
        return True
    return isinstance(seen, str) and "://" in seen and ("@" in seen or "?" in seen)

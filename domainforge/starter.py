"""A pipeline file to start from; its comments are the descriptions of the fields."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from domainforge.config_faults import settings_of
from domainforge.errors import ConfigError, SourceError
from domainforge.pipeline_file import Pipeline, check_pipeline
from domainforge.run_folder import write_atomic
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FoundFiles, find_files
from domainforge.sources.kinds.known import KIND_NAMES
from domainforge.stage import Settings

_COLUMNS = 96
_EXAM_NAMES = ("exam.jsonl", "exam.csv")

MONEY_HINT = (
    "`domainforge run ... --estimate 20` asks 20 requests and tells what all would cost; a cap",
    "holds whatever happens, and wants a price where it isn't known:",
    "  budget: {max_usd: 5}",
    "  price: {input_usd_per_million: 0.15, output_usd_per_million: 0.60}",
)
ENDPOINT_HINT = (
    "An endpoint that speaks OpenAI's protocol writes better questions; the key stays in the",
    "environment, here stands only the name of its variable:",
    "teacher:",
    "  base_url: http://127.0.0.1:8000/v1",
    "  model: NAME",
    "  api_key_env: MY_KEY",
    *MONEY_HINT,
)
PROMPT_HINT = (
    "`cheap` and `rich` are the other recipes. Beside one or in its place, prompts that you name:",
    "  tasks: [{prompt: qa, per_chunk: 4}]",
    "To change how it asks: `domainforge prompts edit qa`; `domainforge prompts list` names them",
    "all. A new file in prompts/ (`domainforge prompts new`) is a new kind of example.",
)
EXAM_HINT = (
    "Questions whose answers you know, one a line, measure what the student learned:",
    '  {"question": "...", "answers": ["..."], "answer_kind": "person"}',
    "evaluate: {exam: exam.jsonl}",
)


def starter_values(folder: str, project: Path) -> dict[str, Any]:
    """Return the values of a first pipeline for a folder of documents."""
    values: dict[str, Any] = {
        "name": run_name(folder),
        "seed": 7,
        "sources": [{"files": folder}],
        "teacher": "embedded",
        "generate": {"recipe": "default"},
        "train": {"student": "embedded", "epochs": 4},
    }
    exams = [f"{folder.rstrip('/')}/{name}" for name in _EXAM_NAMES]
    exam = next((name for name in exams if (project / name).exists()), None)
    if exam:
        values["evaluate"] = {"exam": exam}
    return values


def run_name(folder: str) -> str:
    """Make a run's name of a folder's."""
    return re.sub(r"[^\w.-]+", "-", Path(folder).resolve().name).strip("-.") or "run"


def look_at_sources(files: str, project: Path) -> FoundFiles:
    """Find the files that a source names.

    Raises:
        SourceError: It names nothing, or nothing of a kind that can be read.
    """
    found = find_files((SourceConfig(files=files),), project)
    if not found.files:
        raise SourceError(f"{files}: no file of a kind that can be read ({KIND_NAMES})")
    return found


def pipeline_text(values: Mapping[str, Any], path: Path) -> str:
    """Write values as YAML, each key under the description of its field.

    Raises:
        ConfigError: The values make no pipeline.
    """
    check_pipeline(values, str(path))
    lines = [f"# domainforge run {path}", "# What is left out has a default; run.json of a run"]
    lines[1] += " shows every key."
    hints: dict[str, Sequence[str]] = {"generate": PROMPT_HINT}
    teacher = values.get("teacher")
    if teacher == "embedded":
        hints["teacher"] = ENDPOINT_HINT
    elif isinstance(teacher, Mapping) and "base_url" in teacher and "budget" not in teacher:
        hints["teacher"] = MONEY_HINT
    for name, info in Pipeline.model_fields.items():
        if name in values:
            lines += ["", *_comment(info.description, 0)]
            lines += _emit(name, values[name], info, 0, set())
            lines += [f"# {line}" for line in hints.get(name, ())]
    if "evaluate" not in values:
        lines += ["", *(f"# {line}" for line in EXAM_HINT)]
    return "\n".join(lines) + "\n"


def write_pipeline(path: Path, text: str) -> None:
    """Write a new pipeline file; one that is there stays.

    Raises:
        ConfigError: The file is there.
        StorageError: It can't be written.
    """
    if path.exists():
        raise ConfigError(
            f"{path}: is there already and stays as it is; `domainforge run {path}` runs it, "
            "`domainforge wizard` writes one under a name that you choose, and for a new one of "
            "this name move it away first"
        )
    write_atomic(path, text)


def _emit(name: str, value: Any, info: Any, indent: int, said: set[str]) -> list[str]:
    """Write one key; nested settings get comments of their own."""
    pad = " " * indent
    model = settings_of(info.annotation)
    if model is not None and isinstance(value, Mapping):
        return [f"{pad}{name}:", *_emit_fields(model, value, indent + 2, said)]
    if model is not None and isinstance(value, Sequence) and not isinstance(value, str):
        lines = [f"{pad}{name}:"]
        for item in value:
            lines += _emit_item(model, item, indent + 2, said)
        return lines
    return [f"{pad}{name}: {_flow(value)}"]


def _emit_fields(
    model: type[Settings], values: Mapping[str, Any], indent: int, said: set[str]
) -> list[str]:
    """Write the keys of a mapping, each description only where it comes first."""
    lines = []
    for name, info in model.model_fields.items():
        if name in values:
            if info.description not in said:
                lines += _comment(info.description, indent)
            said.add(info.description or "")
            lines += _emit(name, values[name], info, indent, said)
    return lines


def _emit_item(
    model: type[Settings], values: Mapping[str, Any], indent: int, said: set[str]
) -> list[str]:
    """Write a mapping of a list: its first key, which is no comment, stands behind the dash."""
    lines = _emit_fields(model, values, indent + 2, said)
    first = next(n for n, line in enumerate(lines) if not line.lstrip().startswith("#"))
    pad = " " * indent
    comments = [f"{pad}{line.strip()}" for line in lines[:first]]
    return [*comments, f"{pad}- {lines[first].strip()}", *lines[first + 1 :]]


def _comment(text: str | None, indent: int) -> list[str]:
    pad = " " * indent + "# "
    return [pad + line for line in textwrap.wrap(text or "", _COLUMNS - len(pad))]


def _flow(value: Any) -> str:
    """Write a value on one line of YAML."""
    text = yaml.safe_dump([value], default_flow_style=True, width=10**6, allow_unicode=True)
    return text.strip()[1:-1]

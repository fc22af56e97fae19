"""What the benchmarks share: running the product as a user does, and reading what it wrote."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finished:
    """One run of the command line.

    Attributes:
        cpu_seconds: User and system time of the process and all its children.
        wall_seconds: From start to end.
        record: run.json
        scores: scores.json, or None where the run stopped before it.
    """

    cpu_seconds: float
    wall_seconds: float
    record: dict[str, Any]
    scores: dict[str, Any] | None


def run_pipeline(project: Path, pipeline: Path, *options: str) -> Finished:
    """Run a pipeline in its own process and wait; its lines go to stderr.

    Raises:
        subprocess.CalledProcessError: The run failed; its message is on stderr.
    """
    project.mkdir(parents=True, exist_ok=True)
    before, started = os.times(), time.time()
    command = [sys.executable, "-m", "domainforge", "run", str(pipeline.resolve()), "--plain"]
    subprocess.run([*command, *options], cwd=project, check=True, stdout=sys.stderr)
    after = os.times()
    cpu = sum(getattr(after, n) - getattr(before, n) for n in ("children_user", "children_system"))
    name = next(o.partition("=")[2] for o in options if o.startswith("name="))
    folder = project / "runs" / name
    scores = folder / "scores.json"
    return Finished(
        cpu_seconds=round(cpu, 1),
        wall_seconds=round(time.time() - started, 1),
        record=json.loads((folder / "run.json").read_text(encoding="utf-8")),
        scores=json.loads(scores.read_text(encoding="utf-8")) if scores.exists() else None,
    )


def sets(**values: Any) -> list[str]:
    """Turn `train__epochs=3` into `--set train.epochs=3`."""
    options = []
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        options += ["--set", f"{name.replace('__', '.')}={text}"]
    return options


def metric(
    scores: dict[str, Any], name: str, line: str, slice_: str = "one_passage"
) -> dict[str, Any]:
    """Return one entry of scores.json.

    Raises:
        KeyError: It isn't there.
    """
    for entry in scores["metrics"]:
        if (entry["name"], entry["line"], entry["slice"]) == (name, line, slice_):
            return dict(entry)
    raise KeyError(f"{name} {line} {slice_}")


def shown(entry: dict[str, Any]) -> str:
    """Write a gain with its interval."""
    if entry["low"] is None:
        return f"{entry['gain']:+.2f} (too few)"
    return f"{entry['gain']:+.2f} [{entry['low']:+.2f}, {entry['high']:+.2f}]"


def keep_rates(record: dict[str, Any]) -> str:
    """Write what each stage kept, from plan to training row."""
    parts = []
    for stage in ("generate", "filter", "dedup"):
        account = record["stages"][stage]["account"]
        parts.append(f"{stage} {account['done']}/{account['total']}")
    return ", ".join(parts)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")

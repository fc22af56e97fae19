"""Everything to a folder that others can open; nothing leaves the machine."""

import json
import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from domainforge import __version__
from domainforge.context import Context
from domainforge.publish.cards import Facts, base_name, dataset_card, model_card, teacher_name
from domainforge.publish.folders import SPLITS, copy_model, write_datasets
from domainforge.records import GIVEN, NO_TEACHER, REPLAY
from domainforge.run_folder import Inputs, Output, storage_errors, write_atomic
from domainforge.stage import Account, Settings, Stage, StageResult

_READS = ("ingest", "assign", "generate", "split", "train", "evaluate")


class ExportConfig(Settings):
    """Saving the student; there is nothing to choose yet."""


def run(config: ExportConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Write `model/` and `dataset/`, each with its card."""
    splits = {name: inputs.table("split", name) for name in SPLITS}
    facts = _facts(inputs, context, splits)
    with storage_errors(out.folder):
        copy_model(inputs.folder("train"), out.folder / "model")
        files = write_datasets(splits, out.folder / "dataset")
    write_atomic(out.folder / "model" / "README.md", model_card(facts))
    write_atomic(out.folder / "dataset" / "README.md", dataset_card(facts, files))
    written = [path for path in out.folder.rglob("*") if path.is_file() and path.name[0] != "."]
    return StageResult(Account("files", len(written), len(written)))


def _facts(inputs: Inputs, context: Context, splits: dict[str, Any]) -> Facts:
    sides: dict[str, set[str]] = {}
    for row in inputs.table("assign").to_pylist():
        sides.setdefault(row["document_id"], set()).add(row["side"])
    rows: Counter[str] = Counter()
    prompts: dict[str, str] = {}
    makers: set[tuple[str, str]] = set()
    for name, table in splits.items():
        for row in table.select(["kind", "prompt", "prompt_hash", "teacher"]).to_pylist():
            if row["prompt"] == REPLAY:
                rows[f"{name} {REPLAY}"] += 1
                continue
            rows[f"{name} {row['kind']}"] += 1
            if row["prompt_hash"]:
                prompts[row["prompt"]] = row["prompt_hash"][:16]
                apart = row["teacher"] in (GIVEN, NO_TEACHER)
                makers.add((row["kind"], row["teacher"] if apart else "teacher"))
    train = inputs.manifest("train").figures
    scores = json.loads((inputs.folder("evaluate") / "scores.json").read_text(encoding="utf-8"))
    # A checkout that was never installed has no metadata of its own.
    versions = {"python": platform.python_version(), "domainforge": __version__}
    return Facts(
        name=inputs.folder("train").parent.name,
        base=base_name(context.student, context.project),
        teacher=teacher_name(str(inputs.manifest("generate").figures["teacher"])),
        prompts=prompts,
        makers=frozenset(makers),
        rows=dict(sorted(rows.items())),
        documents={
            "total": inputs.table("ingest").num_rows,
            "held_out": sum(found == {"test"} for found in sides.values()),
        },
        recipe=train["recipe"],
        figures=train,
        scores=scores,
        hashes={name: inputs.manifest(name).content_hash for name in _READS},
        replay_from=_replay_from(inputs, train),
        versions=versions | {name: version(name) for name in ("torch", "transformers", "trl")},
    )


def _replay_from(inputs: Inputs, train: Mapping[str, Any]) -> str | None:
    """Return where the general rows come from; None where the student saw none."""
    if not train.get("replay_rows_per_epoch"):
        return None
    return str(inputs.manifest("split").figures["replay_from"])


STAGE = Stage(
    name="export",
    config=ExportConfig,
    run=run,
    writes="export",
    reads=_READS,
)

"""Train split to student: documents and examples mixed, on the device that is there."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from domainforge.context import Context
from domainforge.records import REPLAY
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Stage, StageResult
from domainforge.training.config import TrainConfig
from domainforge.training.plan import Plan

_OVERFIT_RATIO = 1.1


def run(config: TrainConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Train the student; goes on from the last whole checkpoint of an interrupted run."""
    from domainforge.training.sft import train_student

    rows = inputs.table("split", "train").to_pylist()
    outcome = train_student(
        rows,
        inputs.table("split", "validation").to_pylist(),
        context.student_folder,
        out.folder,
        config,
        context.seed,
        lambda done, total, figures: context.progress(done, total, **figures),
    )
    plan = outcome.plan
    notes = _mixture_notes(plan, rows)
    if outcome.resumed_step:
        notes.append(f"went on from the checkpoint at step {outcome.resumed_step}")
    if plan.untrainable:
        notes.append(f"{len(plan.untrainable)} rows have no token to train on and were left out")
    checks = [p["validation_loss"] for p in outcome.curve if p["validation_loss"] is not None]
    if checks and checks[-1] > min(checks) * _OVERFIT_RATIO:
        kept = f"step {outcome.best_step} was kept" if config.keep_best else "the last was kept"
        notes.append(
            f"validation loss rose from {min(checks):.3f} to {checks[-1]:.3f} (overfitting); {kept}"
        )
    if not checks:
        notes.append("no validation rows: the last checkpoint was kept, unchecked")
    account = Account("steps", plan.steps, outcome.steps, not_reached=plan.steps - outcome.steps)
    figures = {
        "tokens": outcome.tokens,
        "tokens_per_epoch": plan.tokens_per_epoch,
        "text_tokens_per_epoch": plan.text_tokens_per_epoch,
        "trained_tokens_per_epoch": plan.trained_per_epoch,
        "text_rows_per_epoch": plan.text_rows,
        "chat_rows_per_epoch": plan.chat_rows,
        "replay_rows_per_epoch": plan.replay_rows,
        "replay_tokens_per_epoch": plan.replay_tokens_per_epoch,
        "preference_rows": plan.preference_rows,
        "sequences_per_epoch": plan.sequences,
        "best_step": outcome.best_step,
        "resumed_step": outcome.resumed_step,
        "tokens_per_second": outcome.tokens_per_second,
        "curve": [dict(point) for point in outcome.curve],
        "recipe": config.model_dump(mode="json"),
    }
    return StageResult(account, tuple(notes), figures)


def _mixture_notes(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what of the epoch is general, and what of the split is not trained on."""
    notes = []
    if plan.replay_rows:
        share = plan.replay_tokens_per_epoch / plan.tokens_per_epoch
        there = sum(row["prompt"] == REPLAY for row in rows)
        repeated = f", taken from {there} that repeat" if plan.replay_rows > there else ""
        notes.append(
            f"{plan.replay_rows} general rows an epoch{repeated}, {share:.1%} of its tokens"
        )
    if plan.preference_rows:
        notes.append(
            f"{plan.preference_rows} preference rows are not trained on by this method; they are "
            "in the exported dataset"
        )
    return notes


def identify(config: TrainConfig, context: Context) -> dict[str, Any]:
    """What the student depends on besides its rows: the base and the trainers."""
    return {
        "student": context.student_identity,
        "trl": version("trl"),
        "transformers": version("transformers"),
    }


STAGE = Stage(
    name="train",
    config=TrainConfig,
    run=run,
    writes="student",
    reads=("split",),
    identity=identify,
    resumable=True,
)

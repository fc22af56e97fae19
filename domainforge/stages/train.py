"""Train split to student: documents and examples mixed, on the device that is there."""

from importlib.metadata import version
from typing import Any

from domainforge.context import Context
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Stage, StageResult
from domainforge.training.config import TrainConfig

_OVERFIT_RATIO = 1.1


def run(config: TrainConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Train the student; goes on from the last whole checkpoint of an interrupted run."""
    from domainforge.training.sft import train_student

    outcome = train_student(
        inputs.table("split", "train").to_pylist(),
        inputs.table("split", "validation").to_pylist(),
        context.student_folder,
        out.folder,
        config,
        context.seed,
        lambda done, total, figures: context.progress(done, total, **figures),
    )
    plan = outcome.plan
    notes = []
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
        "sequences_per_epoch": plan.sequences,
        "best_step": outcome.best_step,
        "resumed_step": outcome.resumed_step,
        "tokens_per_second": outcome.tokens_per_second,
        "curve": [dict(point) for point in outcome.curve],
        "recipe": config.model_dump(mode="json"),
    }
    return StageResult(account, tuple(notes), figures)


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

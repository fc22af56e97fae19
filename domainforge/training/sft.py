"""One training run with TRL's SFTTrainer on rows that we rendered and packed ourselves."""

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.errors import TrainingError
from domainforge.run_folder import storage_errors
from domainforge.training.config import TrainConfig
from domainforge.training.packing import cut_long, pack_rows, sequence_columns
from domainforge.training.plan import Plan, plan_training
from domainforge.training.render import render_row
from domainforge.training.runtime import prepare_runtime
from domainforge.training.students import choose_device, load_model, load_tokenizer

CHECKPOINTS = "checkpoints"
_WHOLE_CHECKPOINT = ("trainer_state.json", "optimizer.pt", "scheduler.pt")


@dataclass(frozen=True)
class TrainOutcome:
    """What a training run did.

    Attributes:
        plan: Sequences, steps and tokens that were planned.
        steps: Optimiser steps that were made.
        resumed_step: The checkpoint it went on from; 0 for a fresh start.
        best_step: The checkpoint that was kept.
        tokens: Through the model in all steps that were made.
        curve: (step, training loss or None, validation loss or None), in order.
        seconds: Wall time in the trainer, since the last start.
        tokens_per_second: Tokens through the model per second of that time.
    """

    plan: Plan
    steps: int
    resumed_step: int
    best_step: int
    tokens: int
    curve: Sequence[Mapping[str, float | None]]
    seconds: float
    tokens_per_second: float


def train_student(
    train: Sequence[Mapping[str, Any]],
    validation: Sequence[Mapping[str, Any]],
    base: Path,
    out: Path,
    config: TrainConfig,
    seed: int,
    progress: Callable[[int, int, Mapping[str, Any]], None],
    *,
    max_tokens: int | None = None,
) -> TrainOutcome:
    """Train a student and save it to `out` as safetensors with tokenizer and chat template.

    Goes on from the newest whole checkpoint in `out/checkpoints`.

    Args:
        train: Rows of the training split; text rows and chats.
        validation: Rows that choose the checkpoint; may be empty.
        base: Folder of the weights before training.
        out: Folder to save to.
        config: Method, dose and rates.
        seed: Order of rows and initialisation of adapters.
        progress: Called with (step, steps, figures).
        max_tokens: Tokens per epoch, at most; used to give a control the same dose.

    Raises:
        TrainingError: No row has a token to train on, or the base can't be loaded.
    """
    prepare_runtime()
    from datasets import Dataset

    tokenizer = load_tokenizer(base)
    rendered = [render_row(row, tokenizer, config.loss_on) for row in train]
    plan, bins = plan_training(train, rendered, config, seed, max_tokens=max_tokens)
    checks = [r for row in validation if (r := render_row(row, tokenizer)).trained_tokens]
    check_bins = pack_rows(cut_long(checks, config.sequence_tokens), config.sequence_tokens, seed)
    trainer = _make_trainer(
        load_model(base),
        tokenizer,
        Dataset.from_dict(sequence_columns(bins)),
        Dataset.from_dict(sequence_columns(check_bins)) if check_bins else None,
        plan,
        out,
        config,
        seed,
    )
    _report_to(trainer, progress, plan)
    checkpoint = newest_checkpoint(out / CHECKPOINTS)
    resumed = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    started = time.time()
    with _disk_errors(out):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.time() - started
    state = trainer.state
    best = state.best_model_checkpoint
    best_step = int(best.rpartition("-")[2]) if best and config.keep_best else state.global_step
    with _disk_errors(out):
        _save(trainer, tokenizer, out)
    made = plan.total_tokens * (state.global_step - resumed) / plan.steps
    return TrainOutcome(
        plan=plan,
        steps=state.global_step,
        resumed_step=resumed,
        best_step=best_step,
        tokens=round(plan.total_tokens * state.global_step / plan.steps),
        curve=_curve(state.log_history),
        seconds=round(seconds, 1),
        tokens_per_second=round(made / seconds, 1) if seconds else 0.0,
    )


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint, and remove half-written ones.

    The Trainer picks a checkpoint by its number alone and then fails on a half-written one.
    """
    whole = None
    for path in _by_step(folder):
        if all((path / name).exists() for name in _WHOLE_CHECKPOINT) and _readable(path):
            whole = path
        else:
            shutil.rmtree(path)
    return whole


def _readable(path: Path) -> bool:
    import json

    try:
        json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return bool(list(path.glob("*.safetensors")))


def _make_trainer(
    model: Any,
    tokenizer: Any,
    train: Any,
    validation: Any,
    plan: Plan,
    out: Path,
    config: TrainConfig,
    seed: int,
) -> Any:
    import torch
    from transformers import EarlyStoppingCallback
    from trl import SFTConfig, SFTTrainer

    if config.threads or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(config.threads or os.cpu_count() or 1)
    checked = validation is not None
    on_cpu = choose_device() == "cpu"
    arguments = SFTConfig(
        output_dir=str(out / CHECKPOINTS),
        use_cpu=on_cpu,
        bf16=_has_bfloat16(),
        fp16=False,
        activation_checkpointing=False,
        max_length=None,
        packing=False,
        padding_free=True,
        dataset_kwargs={"skip_prepare_dataset": True},
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=plan.sequences_per_step,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        warmup_steps=config.warmup_share,
        weight_decay=config.weight_decay,
        lr_scheduler_type="cosine",
        logging_steps=max(1, plan.check_every_steps // 2),
        eval_strategy="steps" if checked else "no",
        eval_steps=plan.check_every_steps,
        save_strategy="steps",
        save_steps=plan.check_every_steps,
        save_total_limit=2,
        load_best_model_at_end=checked and config.keep_best,
        metric_for_best_model="eval_loss" if checked else None,
        greater_is_better=False if checked else None,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
        data_seed=seed,
        dataloader_pin_memory=not on_cpu,
    )
    callbacks = []
    if checked and config.patience_checks is not None:
        callbacks.append(EarlyStoppingCallback(config.patience_checks))
    return SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        peft_config=_lora(config) if config.method == "lora" else None,
        callbacks=callbacks,
    )


def _lora(config: TrainConfig) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _has_bfloat16() -> bool:
    """Whether autocast to bfloat16 pays: a GPU with it, or a CPU with the instructions."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.backends.mkldnn.is_available() and _cpu_has_bfloat16())


def _cpu_has_bfloat16() -> bool:
    from torch import cpu

    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        probe = getattr(cpu, name, None)
        if probe is not None and probe():
            return True
    return False


def _report_to(
    trainer: Any, progress: Callable[[int, int, Mapping[str, Any]], None], plan: Plan
) -> None:
    from transformers import PrinterCallback, TrainerCallback

    class Report(TrainerCallback):  # type: ignore[misc]
        """Hands steps and losses on as events, and has the last step checked too."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            numbers = {k: v for k, v in (logs or {}).items() if k in {"loss", "eval_loss"}}
            progress(state.global_step, state.max_steps, numbers)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            tokens = int(plan.total_tokens * state.global_step / state.max_steps)
            progress(state.global_step, state.max_steps, {"tokens": tokens})
            if state.global_step >= state.max_steps:
                # The Trainer saves its last step but checks only every so many; unchecked, the
                # last steps could never be the best.
                control.should_evaluate = args.eval_strategy != "no"

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Report())


def _curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, float | None]]:
    points: dict[int, dict[str, float | None]] = {}
    for entry in history:
        step = int(entry.get("step", 0))
        point = points.setdefault(step, {"step": step, "loss": None, "validation_loss": None})
        if "loss" in entry:
            point["loss"] = round(float(entry["loss"]), 4)
        if "eval_loss" in entry:
            point["validation_loss"] = round(float(entry["eval_loss"]), 4)
    kept = [p for p in points.values() if p["loss"] is not None or p["validation_loss"] is not None]
    return sorted(kept, key=lambda point: point["step"] or 0)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk into a StorageError; torch and safetensors raise errors of their own."""
    from safetensors import SafetensorError

    with storage_errors(folder):
        try:
            yield
        except (SafetensorError, RuntimeError) as error:
            # torch: "PytorchStreamWriter failed writing file"; safetensors: "I/O error".
            if re.search(r"I/O error|failed writing file|unexpected pos", str(error)):
                raise OSError(errno.ENOSPC, str(error).splitlines()[0]) from error
            raise


def _save(trainer: Any, tokenizer: Any, out: Path) -> None:
    """Save the student as plain safetensors; adapters are merged into the weights."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model = model.to("cpu").float()
    model.config.use_cache = True
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for path in out.iterdir():
        if path.is_file():
            path.chmod(0o644)  # safetensors are written 0600, unreadable for a server's user
    if not list(out.glob("*.safetensors")):
        raise TrainingError(f"{out}: the trainer saved no weights")
    # Newest first: a kill in between must not leave the last checkpoint without the best one.
    for path in reversed(_by_step(out / CHECKPOINTS)):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)


def _by_step(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import TrainingError
from domainforge.training.config import Mixture, TrainConfig
from domainforge.training.plan import plan_training
from domainforge.training.render import render_row
from domainforge.training.sft import (
    CHECKPOINTS,
    TrainOutcome,
    newest_checkpoint,
    train_student,
)
from domainforge.training.students import load_model, load_tokenizer
from tests.training.rows import make_rows

ROOT = Path(__file__).parents[2]
ROWS = make_rows(6, 12)
CHECKS = make_rows(0, 3, seed=1)
QUICK: dict[str, Any] = {
    "method": "full",
    "epochs": 3,
    "learning_rate": 5e-3,
    "sequence_tokens": 96,
    "mixture": Mixture(documents=1, replay=0),
    "threads": 1,
}


def run(
    base: Path,
    out: Path,
    rows: Sequence[Mapping[str, Any]] = ROWS,
    checks: Sequence[Mapping[str, Any]] = CHECKS,
    events: list[tuple[int, int, Mapping[str, Any]]] | None = None,
    *,
    die_at: int | None = None,
    max_tokens: int | None = None,
    **settings: Any,
) -> TrainOutcome:
    def progress(step: int, steps: int, figures: Mapping[str, Any]) -> None:
        if events is not None:
            events.append((step, steps, figures))
        if die_at is not None and step >= die_at:
            raise KeyboardInterrupt

    config = TrainConfig(**{**QUICK, **settings})
    out.mkdir(parents=True, exist_ok=True)
    return train_student(rows, checks, base, out, config, 7, progress, max_tokens=max_tokens)


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def validation_losses(outcome: TrainOutcome) -> dict[int, float]:
    points = [(p["step"], p["validation_loss"]) for p in outcome.curve]
    return {int(step or 0): loss for step, loss in points if loss is not None}


@pytest.fixture(scope="module")
def undisturbed(
    tiny_student: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainOutcome, list[tuple[int, int, Mapping[str, Any]]]]:
    out = tmp_path_factory.mktemp("undisturbed")
    events: list[tuple[int, int, Mapping[str, Any]]] = []
    return out, run(tiny_student, out, events=events), events


Undisturbed = tuple[Path, TrainOutcome, list[tuple[int, int, Mapping[str, Any]]]]


def test_full_training_moves_every_weight_and_the_loss_falls(
    undisturbed: Undisturbed, tiny_student: Path
) -> None:
    out, outcome, _ = undisturbed
    losses = [p["loss"] for p in outcome.curve if p["loss"] is not None]
    assert losses[-1] < losses[0] - 0.5
    before, after = weights(tiny_student), weights(out)
    assert before.keys() == after.keys()
    assert [name for name in before if bool((before[name] == after[name]).all())] == []


def test_the_steps_are_those_that_were_planned(undisturbed: Undisturbed) -> None:
    _, outcome, events = undisturbed
    assert outcome.steps == outcome.plan.steps == events[-1][0] == events[-1][1]
    assert outcome.tokens == outcome.plan.total_tokens
    tokens = [figures["tokens"] for *_, figures in events if "tokens" in figures]
    assert tokens == sorted(tokens)
    assert tokens[-1] == outcome.plan.total_tokens
    assert outcome.tokens_per_second > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 1.5, "sequences_per_step": 2},
        {"epochs": 0.3},
        {"epochs": 2, "sequences_per_step": 99},
    ],
)
def test_the_trainer_makes_the_planned_steps(
    tiny_student: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    outcome = run(tiny_student, tmp_path, checks=[], **settings)
    assert outcome.steps == outcome.plan.steps
    assert outcome.best_step == outcome.steps


@pytest.mark.slow
def test_the_last_step_is_checked_too(tiny_student: Path, tmp_path: Path) -> None:
    outcome = run(tiny_student, tmp_path, epochs=1, checks_per_epoch=1, sequences_per_step=2)
    assert max(validation_losses(outcome)) == outcome.steps
    fraction = run(tiny_student, tmp_path / "part", epochs=0.5, checks_per_epoch=1)
    assert list(validation_losses(fraction)) == [fraction.steps]


def test_the_student_loads_with_plain_transformers(
    undisturbed: Undisturbed, tiny_student: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, *_ = undisturbed
    tokenizer, own = AutoTokenizer.from_pretrained(out), load_tokenizer(tiny_student)
    messages = [{"role": "user", "content": "Who rings the bell?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == own.apply_chat_template(messages, tokenize=False)
    assert tokenizer(text)["input_ids"] == own(text)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.dtype == torch.float32
    assert model.config.use_cache


def test_nothing_of_the_trainer_is_left(undisturbed: Undisturbed) -> None:
    out, *_ = undisturbed
    names = sorted(path.name for path in out.iterdir())
    assert names == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o644}


@pytest.mark.slow
def test_what_is_saved_is_what_was_trained(tiny_student: Path, tmp_path: Path) -> None:
    """Merged adapters give the validation loss that the trainer measured with them apart."""
    outcome = run(
        tiny_student, tmp_path, method="lora", lora_rank=4, lora_alpha=8, learning_rate=2e-2
    )
    assert validation_loss(tmp_path) == pytest.approx(
        validation_losses(outcome)[outcome.best_step], abs=0.02
    )
    before, after = weights(tiny_student), weights(tmp_path)
    assert before.keys() == after.keys()
    moved = {name for name in before if not bool((before[name] == after[name]).all())}
    assert moved == {name for name in before if "proj" in name}


def validation_loss(folder: Path) -> float:
    """Measure what the trainer calls `eval_loss`: the mean of the losses of its sequences."""
    import torch

    model, tokenizer = load_model(folder).eval(), load_tokenizer(folder)
    rendered = [render_row(row, tokenizer) for row in CHECKS]
    config = TrainConfig(**QUICK)
    _, bins = plan_training(CHECKS, rendered, config, 7)
    losses = []
    for packed in bins:
        total = count = 0.0
        for row in packed:
            labels = torch.tensor([[-100, *row.labels[1:]]])
            with torch.no_grad():
                loss = model(input_ids=torch.tensor([list(row.input_ids)]), labels=labels).loss
            total += float(loss) * row.trained_tokens
            count += row.trained_tokens
        losses.append(total / count)
    return sum(losses) / len(losses)


@pytest.mark.slow
def test_the_best_checkpoint_is_kept(tiny_student: Path, tmp_path: Path) -> None:
    # So long on so few rows that the loss on other rows rises again.
    settings: dict[str, Any] = {"epochs": 14, "learning_rate": 2e-2, "checks_per_epoch": 1}
    best = run(tiny_student, tmp_path / "best", ROWS[6:10], **settings)
    losses = validation_losses(best)
    lowest = min(losses, key=lambda step: losses[step])
    assert best.best_step == lowest < best.steps
    assert losses[lowest] < losses[best.steps] - 0.2
    assert validation_loss(tmp_path / "best") == pytest.approx(losses[lowest], abs=0.02)
    last = run(tiny_student, tmp_path / "last", ROWS[6:10], keep_best=False, **settings)
    assert last.best_step == last.steps
    assert validation_loss(tmp_path / "last") == pytest.approx(losses[best.steps], abs=0.05)


@pytest.mark.slow
def test_training_stops_when_validation_gets_no_better(tiny_student: Path, tmp_path: Path) -> None:
    outcome = run(
        tiny_student,
        tmp_path,
        ROWS[6:10],
        epochs=30,
        learning_rate=2e-2,
        checks_per_epoch=1,
        patience_checks=2,
    )
    losses = validation_losses(outcome)
    assert outcome.steps < outcome.plan.steps
    assert outcome.best_step == list(losses)[-3]
    assert outcome.tokens == pytest.approx(
        outcome.plan.total_tokens * outcome.steps / outcome.plan.steps, abs=1
    )


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_end(
    undisturbed: Undisturbed, tiny_student: Path, tmp_path: Path
) -> None:
    _, whole, _ = undisturbed
    die_at = whole.steps // 2 + 1
    with pytest.raises(KeyboardInterrupt):
        run(tiny_student, tmp_path, die_at=die_at)
    checkpoint = newest_checkpoint(tmp_path / CHECKPOINTS)
    assert checkpoint is not None
    events: list[tuple[int, int, Mapping[str, Any]]] = []
    outcome = run(tiny_student, tmp_path, events=events)
    assert 0 < outcome.resumed_step <= die_at
    assert events[0][0] == outcome.resumed_step + 1
    assert outcome.steps == whole.steps
    assert validation_losses(outcome) == pytest.approx(validation_losses(whole), abs=1e-3)
    assert outcome.best_step == whole.best_step


def test_a_half_written_checkpoint_is_removed(tmp_path: Path) -> None:
    def checkpoint(step: int, *names: str, state: str = "{}") -> Path:
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in names:
            (folder / name).write_text(state)
        return folder

    parts = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
    whole = checkpoint(9, *parts)
    for missing in range(len(parts)):
        checkpoint(10 + missing, *parts[:missing], *parts[missing + 1 :])
    checkpoint(100, *parts, state='{"global_step": 1')
    assert newest_checkpoint(tmp_path) == whole
    assert list(tmp_path.iterdir()) == [whole]


def test_without_checkpoints_there_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "absent") is None


@pytest.mark.slow
def test_a_dose_in_tokens(undisturbed: Undisturbed, tiny_student: Path, tmp_path: Path) -> None:
    _, whole, _ = undisturbed
    dose = whole.plan.tokens_per_epoch
    outcome = run(tiny_student, tmp_path, make_rows(2, 30, seed=3), [], max_tokens=dose)
    assert dose - 40 < outcome.plan.tokens_per_epoch <= dose


def test_rows_without_answers_are_refused_before_training(
    tiny_student: Path, tmp_path: Path
) -> None:
    row = {"id": "c", "kind": "chat", "messages": [{"role": "user", "content": "Who?"}]}
    with pytest.raises(TrainingError, match="no row has a token to train on"):
        run(tiny_student, tmp_path, [row])


CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.training.test_sft import run

    class Steps(list):
        def append(self, event):
            print(event[0], flush=True)

    run(Path(sys.argv[1]), Path(sys.argv[2]), events=Steps(), epochs=20)
    """
)


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_checkpoint(tiny_student: Path, tmp_path: Path) -> None:
    whole = run(tiny_student, tmp_path / "whole", epochs=20)
    out = tmp_path / "killed"
    command = [sys.executable, "-c", CHILD, str(tiny_student), str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= whole.steps // 3:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    newest = newest_checkpoint(out / CHECKPOINTS)
    assert newest is not None
    half = out / CHECKPOINTS / f"checkpoint-{whole.steps - 1}"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    outcome = run(tiny_student, out, epochs=20)
    assert outcome.resumed_step == int(newest.name.rpartition("-")[2])
    assert outcome.steps == whole.steps
    last = validation_losses(outcome)[whole.steps]
    assert last == pytest.approx(validation_losses(whole)[whole.steps], abs=1e-2)
    assert json.loads((out / "config.json").read_text())["model_type"] == "llama"

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from domainforge.stages import train as stage
from tests.stages.students import GENERAL, QUICK, SmallRun, mix_replay


@pytest.fixture
def small(tmp_path: Path, tiny_student: Path) -> SmallRun:
    return SmallRun(tmp_path, tiny_student)


def test_a_student_is_trained_and_accounted_for(small: SmallRun) -> None:
    result = small.train()
    figures = result.figures
    assert result.account.unit == "steps"
    assert result.account.total == result.account.done > 0
    assert result.notes == ()
    assert (figures["text_rows_per_epoch"], figures["chat_rows_per_epoch"]) == (12, 10)
    assert figures["tokens"] == 2 * figures["tokens_per_epoch"]
    assert figures["trained_tokens_per_epoch"] < figures["tokens_per_epoch"]
    assert figures["recipe"] == json.loads(json.dumps(QUICK.model_dump(mode="json")))
    assert figures["curve"][-1]["validation_loss"] is not None
    assert (small.inputs.folder("train") / "model.safetensors").exists()
    done = [fields["done"] for kind, fields in small.events if kind == "progress"]
    assert done[-1] == result.account.total
    assert json.dumps(dict(figures))


def test_general_rows_have_their_share_and_preferences_wait(small: SmallRun) -> None:
    small.add_rows()
    result = small.train(mix_replay(0.5))
    figures = result.figures
    share = figures["replay_tokens_per_epoch"] / figures["tokens_per_epoch"]
    assert share == pytest.approx(0.5, abs=0.05)
    assert (figures["text_rows_per_epoch"], figures["chat_rows_per_epoch"]) == (12, 10)
    assert figures["replay_rows_per_epoch"] > GENERAL
    assert figures["preference_rows"] == 3
    seen = figures["replay_rows_per_epoch"]
    assert result.notes == (
        f"{seen} general rows an epoch, taken from {GENERAL} that repeat, {share:.1%} of its "
        "tokens",
        "3 preference rows are not trained on by this method; they are in the exported dataset",
    )


@pytest.mark.slow
def test_an_interrupted_stage_goes_on(small: SmallRun) -> None:
    config = QUICK.model_copy(update={"sequences_per_step": 1, "epochs": 4})
    seen: list[int] = []

    def stop(kind: str, fields: Any) -> None:
        if kind == "progress" and "loss" not in fields:
            seen.append(fields["done"])
            if fields["done"] == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small.run(stage.STAGE, config, replace(small.context, emit=stop))
    result = small.train(config)
    step = result.figures["resumed_step"]
    assert 0 < step <= 6
    assert f"went on from the checkpoint at step {step}" in result.notes
    assert result.account.done == result.account.total


@pytest.mark.slow
def test_overfitting_is_told(small: SmallRun) -> None:
    splits = {name: small.inputs.table("split", name) for name in ("train", "test")}
    odd = [
        {**row, "messages": [row["messages"][0], {"role": "assistant", "content": "Every night."}]}
        for row in splits["train"].to_pylist()
        if row["kind"] == "chat"
    ]
    odd_table = pa.Table.from_pylist(odd[:2], schema=splits["train"].schema)
    small.write("split", {**splits, "validation": odd_table})
    result = small.train(QUICK.model_copy(update={"epochs": 10, "learning_rate": 2e-2}))
    (note,) = result.notes
    assert note.startswith("validation loss rose from")
    assert note.endswith(f"step {result.figures['best_step']} was kept")


@pytest.mark.slow
def test_stopping_early_is_not_reached_steps(small: SmallRun) -> None:
    config = QUICK.model_copy(update={"epochs": 40, "learning_rate": 3e-2, "patience_checks": 1})
    account = small.train(config).account
    assert account.not_reached > 0
    assert account.done + account.not_reached == account.total


def test_without_validation_rows_it_says_so(small: SmallRun) -> None:
    splits = {name: small.inputs.table("split", name) for name in ("train", "test")}
    small.write("split", {**splits, "validation": splits["train"].slice(0, 0)})
    assert small.train().notes == ("no validation rows: the last checkpoint was kept, unchecked",)


def test_what_the_student_depends_on(small: SmallRun) -> None:
    identity = stage.identify(QUICK, small.context)
    assert identity.keys() == {"student", "trl", "transformers"}
    assert identity["student"].startswith("sha256:")

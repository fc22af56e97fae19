from pathlib import Path

import pyarrow.parquet as pq
import pytest

from domainforge.errors import ExportError
from domainforge.publish.folders import copy_model, write_datasets
from domainforge.records import Example
from domainforge.tables import example_table


def example(kind: str, text: str) -> Example:
    messages = ({"role": "user", "content": text},) if kind == "chat" else ()
    plain = text if kind == "text" else None
    return Example(
        kind,  # type: ignore[arg-type]
        "d",
        "d.md",
        "c",
        0,
        9,
        "p",
        "h",
        "t",
        messages=messages,
        text=plain,
        reason="private",
        evidence="private",
    )


def test_only_what_transformers_loads_is_copied(tmp_path: Path) -> None:
    student, target = tmp_path / "student", tmp_path / "model"
    (student / "checkpoints").mkdir(parents=True)
    wanted = {"model.safetensors", "config.json", "tokenizer.model", "chat_template.jinja"}
    private = {"training_args.bin", "manifest.json", "origin.json", ".fingerprint", "optimizer.pt"}
    for name in wanted | private:
        (student / name).write_text(name)
    copy_model(student, target)
    copy_model(student, target)  # again, over what is there
    assert {path.name for path in target.iterdir()} == wanted
    assert (target / "config.json").read_text() == "config.json"


def test_a_student_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ExportError, match=r"holds no \*\.safetensors; run again with --from train"):
        copy_model(tmp_path, tmp_path / "model")


def test_a_file_for_each_kind_and_split_that_has_rows(tmp_path: Path) -> None:
    splits = {
        "train": example_table([example("chat", "Who?"), example("text", "The bell.")]),
        "validation": example_table([example("chat", "When?")]),
        "test": example_table([]),
    }
    assert write_datasets(splits, tmp_path) == {"chat": ["train", "validation"], "text": ["train"]}
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet")) == [
        "chat/train.parquet",
        "chat/validation.parquet",
        "text/train.parquet",
    ]
    (row,) = pq.read_table(tmp_path / "text" / "train.parquet").to_pylist()
    assert row["text"] == "The bell."
    assert not {"messages", "fields", "reason", "evidence"} & row.keys()

import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import ConfigError
from domainforge.evaluation.control import control_hash, load_control, share_replay
from domainforge.records import Example
from domainforge.run_folder import RunFolder
from domainforge.tables import example_table
from tests.training.rows import chat_row, text_row

CHAT = {"kind": "chat", "messages": chat_row("", "Who?", "The keeper.")["messages"]}
TEXT = {"kind": "text", "text": "The bell rings."}


def write(folder: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_rows_of_a_file(tmp_path: Path) -> None:
    odd = {**TEXT, "text": "One line\u2028and another.", "id": "own"}
    preference = {**CHAT, "kind": "preference", "rejected": "Nobody."}
    write(tmp_path, CHAT, odd, "", {**CHAT, "split": "validation"}, preference)
    train, validation = load_control(tmp_path)
    assert [row["id"] for row in train] == ["rows.jsonl:1", "own"]
    assert train[0]["messages"][1]["content"] == "The keeper."
    assert train[0]["text"] is None
    assert train[1]["text"] == odd["text"]
    assert [row["id"] for row in validation] == ["rows.jsonl:4"]


def test_the_hash_follows_the_rows(tmp_path: Path) -> None:
    first = control_hash(write(tmp_path, CHAT))
    assert control_hash(write(tmp_path, CHAT)) == first
    assert control_hash(write(tmp_path, CHAT, TEXT)) != first


def make_run(folder: Path, *texts: str) -> Path:
    run = RunFolder(folder)
    run.path.mkdir()
    output = run.begin("splits", "f", resumable=False)
    for split, chosen in (("train", texts), ("validation", texts[:1]), ("test", texts[:0])):
        rows = [Example("text", "d", "d.md", "c", 0, 9, "p", "h", "t", text=t) for t in chosen]
        output.write(example_table(rows), split)
    facts: dict[str, Any] = {"stage": "split", "fingerprint": "f", "account": {}, "notes": []}
    run.finish("splits", output, {**facts, "figures": {}, "seconds": 0.0})
    return folder


def test_the_splits_of_a_run(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", "The bell rings.", "The lamp burns.")
    write(folder, CHAT)  # a file beside whole splits is not looked at
    train, validation = load_control(folder)
    assert sorted(row["text"] for row in train) == ["The bell rings.", "The lamp burns."]
    assert [row["text"] for row in validation] == ["The bell rings."]
    other = make_run(tmp_path / "other", "The bell rings.")
    assert control_hash(folder) != control_hash(other)
    (folder / "rows.jsonl").unlink()
    assert control_hash(folder) == control_hash(make_run(tmp_path / "x", *map_texts(train)))


def map_texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def test_a_folder_with_neither_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"domainforge run control\.yaml --until split"):
        load_control(tmp_path)
    assert control_hash(tmp_path) == "none"


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("{broken", "rows.jsonl:2: not JSON"),
        ('["a list"]', "rows.jsonl:2: a row needs kind"),
        ({"kind": "table"}, "rows.jsonl:2: a row needs kind 'chat', 'text' or 'preference'"),
        ({"kind": "chat", "messages": []}, "rows.jsonl:2: a chat row needs messages"),
        ({"kind": "chat", "messages": ["hi"]}, "rows.jsonl:2: a chat row needs messages"),
        ({"kind": "chat", "messages": [{"role": "user"}]}, "each with role and content"),
        ({"kind": "text", "messages": CHAT["messages"]}, "rows.jsonl:2: a text row needs text"),
        ({**TEXT, "split": "test"}, "split must be 'train' or 'validation', not 'test'"),
    ],
)
def test_faults_name_their_line(tmp_path: Path, row: Any, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        load_control(write(tmp_path, CHAT, row))


def test_a_control_without_training_rows(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no row with split 'train'"):
        load_control(write(tmp_path, {**TEXT, "split": "validation"}))
    (tmp_path / "rows.jsonl").write_bytes(b'{"kind": "text", "text": "caf\xe9"}\n')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_control(tmp_path)


def test_a_row_as_training_takes_it(tmp_path: Path) -> None:
    (row, *_), _ = load_control(write(tmp_path, TEXT))
    assert text_row(row["id"], row["text"]).items() <= row.items()


def test_the_general_rows_are_the_students() -> None:
    rows = [{**chat_row(name, "Who?", "The keeper."), "prompt": "qa"} for name in ("a", "b", "c")]
    plain, theirs, mine = rows[0], {**rows[1], "prompt": "replay"}, {**rows[2], "prompt": "replay"}
    bare = text_row("d", "The bell rings.")  # a row of a file may lack the name of a prompt
    assert share_replay([plain, theirs, bare], [rows[1], mine]) == [plain, bare, mine]

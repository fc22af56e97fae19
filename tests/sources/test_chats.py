import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domainforge.records import CHAT_MEDIA_TYPE
from domainforge.sources.chats import make_chat, read_messages, write_transcript
from domainforge.sources.config import SourceConfig
from domainforge.sources.hub_datasets.source import DatasetSource
from domainforge.sources.kinds.known import kind_of
from domainforge.sources.kinds.members import merge
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all

ASK = {"role": "user", "content": "When was the bell cast?"}
TELL = {"role": "assistant", "content": "In 1702, by Ansel Rook."}
CHAT = [ASK, TELL]
SHARED = [{"from": "human", "value": ASK["content"]}, {"from": "gpt", "value": TELL["content"]}]


def load(path: Path, **settings: Any) -> Loaded:
    file = SourceFile(path, f"chats/{path.name}", SourceConfig(files="chats", **settings))
    kind = kind_of(path.name)
    assert kind is not None
    if kind.load is not None:
        return kind.load(path.read_bytes(), file)
    assert kind.stream is not None
    with path.open("rb") as handle:
        parts = kind.stream(handle, file, 0)
        return merge(part for part in parts if isinstance(part, Loaded))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.json"])
@pytest.mark.parametrize("row", [{"messages": CHAT}, {"conversations": SHARED}])
def test_rows_of_messages_are_chats_where_the_source_says_so(
    tmp_path: Path, name: str, row: dict[str, Any]
) -> None:
    path = write_rows(tmp_path / name, [{**row, "topic": "bells", "license": "CC0-1.0"}])
    (document,) = load(path, chats=True).documents
    assert document.media_type == CHAT_MEDIA_TYPE
    assert document.metadata["messages"] == CHAT
    assert document.metadata["topic"] == "bells"
    assert document.license == "CC0-1.0"
    assert document.title == "When was the bell cast?"
    assert document.text == (
        "**User:** When was the bell cast?\n\n**Assistant:** In 1702, by Ansel Rook."
    )
    assert not load(path).documents


def test_without_the_word_of_the_source_chats_are_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [{"messages": CHAT}])
    assert [item.reason for item in load(path).dropped] == ["example_file"]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.json"])
def test_examples_of_domainforge_itself_stay_out(tmp_path: Path, name: str) -> None:
    path = write_rows(tmp_path / name, [{"id": "x", "kind": "chat", "messages": CHAT}])
    loaded = load(path, chats=True)
    assert not loaded.documents
    assert [item.reason for item in loaded.dropped] == ["example_file"]


def test_rows_without_messages_are_documents_still(tmp_path: Path) -> None:
    rows = [{"messages": CHAT}, {"text": "The ferry costs three marks."}]
    documents = load(write_rows(tmp_path / "rows.jsonl", rows), chats=True).documents
    assert [d.media_type for d in documents] == [CHAT_MEDIA_TYPE, "application/jsonl"]


def test_a_bad_chat_is_the_fault_of_its_row(tmp_path: Path) -> None:
    rows = [{"messages": CHAT}, {"messages": [ASK, ASK, TELL]}, {"messages": CHAT}]
    loaded = load(write_rows(tmp_path / "rows.jsonl", rows), chats=True)
    assert len(loaded.documents) == 2
    (fault,) = loaded.faults
    assert (fault.uri, fault.reason) == ("chats/rows.jsonl#line-2", "bad_chat")
    assert "message 2 is of the user, where the assistant is due" in fault.detail


def test_the_raw_messages_are_kept_where_asked(tmp_path: Path) -> None:
    soft = [ASK, {"role": "assistant", "content": "In seven\xadteen hundred."}]
    path = write_rows(tmp_path / "rows.jsonl", [{"messages": soft}])
    (document,) = load(path, chats=True, keep_raw=True).documents
    assert document.metadata["messages"][1]["content"] == "In seventeen hundred."
    assert json.loads(str(document.raw)) == soft


def test_what_nobody_answered_is_left_off() -> None:
    assert read_messages([ASK, TELL, {"role": "user", "content": "Thanks"}]) == (ASK, TELL)


def test_a_system_message_may_stand_in_front() -> None:
    system = {"role": "system", "content": "Answer briefly."}
    messages = read_messages([system, ASK, TELL])
    assert messages == (system, ASK, TELL)
    assert write_transcript(messages).startswith("**System:** Answer briefly.\n\n**User:**")
    assert make_chat("x", messages, {}).title == "When was the bell cast?"


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [ASK],
        [TELL],
        [TELL, ASK, TELL],
        [ASK, TELL, TELL],
        [ASK, {"role": "tool", "content": "7"}, TELL],
        [ASK, {"role": "assistant", "content": ["picture"]}],
        [ASK, {"role": "assistant", "content": None}],
        [ASK, {"role": "assistant", "content": "  "}],
        [ASK, {"role": "assistant", "content": "", "tool_calls": [{"name": "ring"}]}],
        [ASK, {"role": 7, "content": "In 1702."}],
        [ASK, "In 1702."],
        [ASK, TELL, ASK, {"role": "system", "content": "Stop."}, TELL],
    ],
)
def test_what_is_no_chat(turns: list[Any]) -> None:
    with pytest.raises(UnreadableError) as caught:
        read_messages(turns)
    assert caught.value.reason == "bad_chat"


def test_a_long_question_is_cut_for_the_title() -> None:
    long = {"role": "user", "content": "Why does the bell ring " + "so very often " * 20}
    title = make_chat("x", (long, TELL), {}).title
    assert len(title) <= 81
    assert title.endswith("…")


def test_chats_of_a_dataset(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = [{"messages": CHAT, "n": 1}, {"messages": [TELL, ASK], "n": 2}]
    write_rows(folder / "rows.parquet", rows)
    config = SourceConfig.model_validate({"dataset": str(folder), "chats": True})
    readings = read_all(DatasetSource(config, tmp_path), SourceReader(tmp_path))
    (document,) = documents_of(readings)
    assert document.metadata["messages"] == CHAT
    assert document.metadata["n"] == 1
    assert [fault.reason for fault in faults_of(readings)] == ["bad_chat"]

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.samples import load_bytes


def lines(*rows: Any) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_each_row_with_a_text_is_a_document(tmp_path: Path) -> None:
    data = lines(
        {"id": "a", "title": "Ferry", "text": "It runs.", "year": 1347},
        {"url": "https://example.org/b", "content": "# Toll\nTwo crowns."},
        {"body": "No name."},
    )
    first, second, third = load_bytes(tmp_path, "kb.jsonl", data).documents
    assert (first.uri, first.title, first.text) == ("kb/kb.jsonl#a", "Ferry", "It runs.")
    assert first.metadata == {"id": "a", "year": 1347}
    assert (second.uri, second.title) == ("kb/kb.jsonl#https://example.org/b", "Toll")
    assert (third.uri, third.title) == ("kb/kb.jsonl#line-3", "kb line-3")


def test_fields_can_be_named(tmp_path: Path) -> None:
    row = {"name": "n1", "head": "H", "passage": "The passage.", "text": "not this"}
    (document,) = load_bytes(
        tmp_path, "x.jsonl", lines(row), text_field="passage", title_field="head", id_field="name"
    ).documents
    assert (document.uri, document.title, document.text) == ("kb/x.jsonl#n1", "H", "The passage.")


def test_bad_lines_are_faults_with_their_number(tmp_path: Path) -> None:
    good = lines({"text": "good"})
    data = good + b'\n{"text": \n\n[1, 2]\n{"text": 5}\n' + b"[" * 100_000
    loaded = load_bytes(tmp_path, "x.jsonl", data)
    assert [document.text for document in loaded.documents] == ["good"]
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [
        ("kb/x.jsonl#line-2", "bad_line"),
        ("kb/x.jsonl#line-4", "bad_line"),
        ("kb/x.jsonl#line-6", "bad_line"),
        ("kb/x.jsonl#line-5", "no_text_field"),
    ]
    assert "line 2" in loaded.faults[0].detail


def test_blank_text_is_dropped(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "x.jsonl", lines({"text": " \n"}, {"text": "t"}))
    assert [(item.uri, item.reason) for item in loaded.dropped] == [("kb/x.jsonl#line-1", "empty")]


def test_rows_of_one_name_stay_apart(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a"}, {"id": 1, "text": "b"}]
    documents = load_bytes(tmp_path, "x.jsonl", lines(*rows)).documents
    assert [document.uri for document in documents] == ["kb/x.jsonl#1", "kb/x.jsonl#1-line-2"]


EXAM = {"id": 1, "question": "Who?", "answers": ["Ilse"], "passages": []}


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("exam.jsonl", EXAM, "exam_file"),
        ("questions.jsonl", EXAM, "exam_file"),
        ("exam.jsonl", {**EXAM, "text": "Who?"}, "exam_file"),
        ("rows.jsonl", {"messages": [{"role": "user", "content": "Hi"}]}, "example_file"),
    ],
)
def test_exams_and_examples_are_no_documents(
    tmp_path: Path, name: str, row: dict[str, Any], reason: str
) -> None:
    loaded = load_bytes(tmp_path, name, lines(row, row))
    assert not loaded.documents
    assert [(item.uri, item.reason) for item in loaded.dropped] == [(f"kb/{name}", reason)]


def test_rows_that_a_run_wrote_are_no_documents(tmp_path: Path) -> None:
    chat = {"kind": "chat", "messages": [{"role": "user", "content": "Hi"}], "text": None}
    text = {"kind": "text", "messages": None, "text": "Veltren lies on the Osk."}
    loaded = load_bytes(tmp_path, "rows.jsonl", lines(chat, text))
    assert not loaded.documents
    assert [item.reason for item in loaded.dropped] == ["example_file"]
    alone = load_bytes(tmp_path, "texts.jsonl", lines(text))
    assert [document.text for document in alone.documents] == ["Veltren lies on the Osk."]


def test_a_file_with_questions_and_texts_is_documents(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "faq.jsonl", lines({**EXAM, "text": "Ilse built it."}))
    assert [document.text for document in loaded.documents] == ["Ilse built it."]


def test_half_characters_can_be_stored(tmp_path: Path) -> None:
    data = b'{"text": "a \\ud800 b", "id": "x\\udfff", "note": ["\\ud800"]}'
    (document,) = load_bytes(tmp_path, "x.jsonl", data).documents
    json.dumps([document.uri, document.text, document.metadata], ensure_ascii=False).encode()

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.jsonl import stream_jsonl
from domainforge.sources.loaded import Loaded, SourceFile
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


def parts_of(path: Path, skip: int) -> list[Loaded]:
    file = SourceFile(path, "kb/x.jsonl", SourceConfig(files="x"))
    with path.open("rb") as handle:
        return list(stream_jsonl(handle, file, skip))


def test_reading_goes_on_after_any_part(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"id": i % 2000, "text": f"row {i}"} if i % 7 else [i] for i in range(3500)]
    path.write_bytes(lines(*rows))
    whole = parts_of(path, 0)
    assert sum(len(part.documents) for part in whole) == 3000
    assert len({document.uri for part in whole for document in part.documents}) == 3000
    for skip in range(len(whole) + 1):
        assert parts_of(path, skip) == whole[skip:]


def test_an_exam_is_told_from_its_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(*[EXAM] * 5000))
    (part,) = parts_of(path, 0)
    assert [item.reason for item in part.dropped] == ["exam_file"]
    assert parts_of(path, 1) == []


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as out:
        for index in range(4000):
            out.write(b'{"id": %d, "text": "%s"}\n' % (index, b"Two crowns a head. " * 500))
    file = SourceFile(path, "kb/x.jsonl", SourceConfig(files="x"))
    tracemalloc.start()
    with path.open("rb") as handle:
        count = sum(len(part.documents) for part in stream_jsonl(handle, file, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 20_000_000


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    row = '{"text": "Jürgen wohnt schön in Köln"}\n'
    loaded = load_bytes(tmp_path, "x.jsonl", (row * 3).encode(encoding))
    assert [document.text for document in loaded.documents] == ["Jürgen wohnt schön in Köln"] * 3


@pytest.mark.slow
def test_stray_bytes_far_down_cost_nothing(tmp_path: Path) -> None:
    data = b'{"text": "plain"}\n' * 30_000 + b'{"text": "K\xf6ln"}\n'
    loaded = load_bytes(tmp_path, "x.jsonl", data)
    assert loaded.documents[-1].text == "Köln"
    assert not loaded.faults


def test_a_line_that_never_ends_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domainforge.sources.kinds.text_lines._MAX_LINE_BYTES", 1000)
    long = b'{"text": "' + b"x" * 5000 + b'"}\n'
    loaded = load_bytes(tmp_path, "x.jsonl", b'{"text": "a"}\n' + long + b'{"text": "b"}')
    assert [document.text for document in loaded.documents] == ["a", "b"]
    assert [fault.uri for fault in loaded.faults] == ["kb/x.jsonl#line-2"]


def test_dates_and_licences_of_rows(tmp_path: Path) -> None:
    row = {"text": "t", "date": "2020-01-02", "updated": "2021-01-02T03:04:05Z", "license": "MIT"}
    (document,) = load_bytes(tmp_path, "x.jsonl", lines(row)).documents
    assert (document.created, document.modified) == ("2020-01-02", "2021-01-02T03:04:05Z")
    assert document.license == "MIT"
    (odd,) = load_bytes(tmp_path, "x.jsonl", lines({"text": "t", "date": "soon"})).documents
    assert odd.created is None

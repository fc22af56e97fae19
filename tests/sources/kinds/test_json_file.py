import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.samples import load_bytes


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"version": 2, "data": rows}])
def test_a_list_of_texts_is_rows(tmp_path: Path, wrap: Any) -> None:
    rows = [{"id": "a", "title": "T", "text": "One.", "n": 1}, {"text": "Two."}, {"x": 1}]
    loaded = load_bytes(tmp_path, "kb.json", dump(wrap(rows)))
    first, second = loaded.documents
    assert (first.uri, first.title, first.metadata) == ("kb/kb.json#a", "T", {"id": "a", "n": 1})
    assert (second.uri, second.text) == ("kb/kb.json#item-2", "Two.")
    assert [(f.uri, f.reason) for f in loaded.faults] == [("kb/kb.json#item-3", "no_text_field")]


def test_other_values_are_readable_markdown(tmp_path: Path) -> None:
    value = {
        "name": "Ferry",
        "fares": [{"who": "adult", "crowns": 2.5}, {"who": "child", "crowns": None}],
        "free": [],
        "note": "first line\nsecond line",
        "open": True,
    }
    (document,) = load_bytes(tmp_path, "x.json", dump(value)).documents
    assert (document.uri, document.title) == ("kb/x.json", "Ferry")
    assert document.media_type == "application/json"
    assert document.text == (
        "- name: Ferry\n- fares:\n  -\n    - who: adult\n    - crowns: 2.5\n  -\n"
        "    - who: child\n    - crowns: null\n- free:\n- note: first line\n  second line\n"
        "- open: true"
    )


def test_a_text_field_makes_rows(tmp_path: Path) -> None:
    data = dump([{"passage": "The passage."}])
    assert load_bytes(tmp_path, "x.json", data).documents[0].text.startswith("-")
    (row,) = load_bytes(tmp_path, "x.json", data, text_field="passage").documents
    assert row.text == "The passage."


def test_exams_are_no_documents(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "q.json", dump([{"question": "Who?", "answers": ["Ilse"]}]))
    assert [item.reason for item in loaded.dropped] == ["exam_file"]


def test_odd_json_is_read(tmp_path: Path) -> None:
    data = '\ufeff{"a": NaN, "b": "half \\ud800", "c": "ü"}'.encode("utf-16-le")
    (document,) = load_bytes(tmp_path, "x.json", data).documents
    assert "- a: NaN" in document.text
    assert "- c: ü" in document.text
    document.text.encode()


@pytest.mark.parametrize(
    "data", [b"{", b"", b"[" * 100_000, b'{"a":' * 150 + b"1" + b"}" * 150, b"1" * 5000 + b".x"]
)
def test_what_cannot_be_read_is_a_fault(tmp_path: Path, data: bytes) -> None:
    loaded = load_bytes(tmp_path, "x.json", data)
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]

import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import ConfigError
from domainforge.evaluation.exam import exam_hash, load_exam


def write(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_whole_question(tmp_path: Path) -> None:
    row = {
        "id": "q1",
        "question": "Who designed the bridge?",
        "answers": ["Ilse Varga", "Varga"],
        "answer_kind": "person",
        "passages": [{"document": "town.md", "quote": "Ilse Varga designed it."}, "It has arches."],
    }
    (question,) = load_exam(write(tmp_path / "exam.jsonl", row))
    assert (question.id, question.answers) == ("q1", ("Ilse Varga", "Varga"))
    assert question.answer_kind == "person"
    assert [passage.document for passage in question.passages] == ["town.md", None]
    assert question.passages[1].quote == "It has arches."
    assert not question.one_passage


def test_the_least_that_a_question_needs(tmp_path: Path) -> None:
    path = write(tmp_path / "exam.jsonl", "", {"question": "Who?", "answers": ["Varga"]})
    (question,) = load_exam(path)
    assert (question.id, question.answer_kind, question.passages) == ("line-2", None, ())
    assert question.one_passage


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "exam.csv"
    path.write_text(
        "question,answers,answer_kind,passages\n"
        '"Who, then, designed it?",Ilse Varga | Varga,person,"She did, in 1347.|It stands."\n'
        "What does it cost?,2 crowns,,\n",
        encoding="utf-8-sig",
    )
    first, second = load_exam(path)
    assert first.question == "Who, then, designed it?"
    assert first.answers == ("Ilse Varga", "Varga")
    assert [passage.quote for passage in first.passages] == ["She did, in 1347.", "It stands."]
    assert (second.id, second.answer_kind) == ("line-3", None)


def test_all_faults_are_named_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path / "exam.jsonl",
        {"id": "a", "question": "Who?", "answers": ["Varga"]},
        "{broken",
        {"question": "When?", "answer": ["1347"]},
        {"question": " ", "answers": []},
        ["a list"],
        {"id": "a", "question": "WHO?", "answers": ["Lind"]},
        {"question": "Where?", "answers": ["Osk"], "passages": [{"quotes": "x"}]},
    )
    with pytest.raises(ConfigError) as caught:
        load_exam(path)
    lines = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert lines[0].startswith("2: not JSON")
    assert "3: answers: missing" in lines
    assert "3: answer: unknown key; did you mean 'answers'?" in lines
    assert any(line.startswith("4: question: ") for line in lines)
    assert any(line.startswith("4: answers: ") for line in lines)
    assert '5: an object with question and answers wanted, not ["a list"]' in lines
    assert "6: id: the same as in line 1" in lines
    assert "6: question: the same as in line 1" in lines
    assert "7: passages.0.quotes: unknown key; did you mean 'quote'?" in lines


def test_faults_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "exam.csv"
    path.write_text("question,answers\nWho?,Varga,Lind\nWhen?,\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_exam(path)
    assert f"{path}:2: more cells than the header has columns" in str(caught.value)
    assert f"{path}:3: answers: missing" in str(caught.value)


def test_files_that_are_no_exam(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_exam(tmp_path / "absent.jsonl")
    with pytest.raises(ConfigError, match="no questions"):
        load_exam(write(tmp_path / "empty.jsonl"))
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b'{"question": "\xff"}')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_exam(binary)


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", {"question": "Who?", "answers": ["Varga"]})
    two = write(tmp_path / "two.jsonl", {"question": "Who?", "answers": ["Lind"]})
    assert exam_hash(one) == exam_hash(one)
    assert exam_hash(one) != exam_hash(two)

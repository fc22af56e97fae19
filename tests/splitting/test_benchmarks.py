from pathlib import Path

import pytest

from domainforge.errors import ConfigError
from domainforge.splitting.benchmarks import load_benchmark


def write(folder: Path, *lines: str) -> Path:
    path = folder / "trivia.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_items_are_questions_or_texts(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '\ufeff{"id": 7, "question": "Who?", "answers": ["Ilse", " "], "level": "hard"}',
        '{"question": "When?", "answer": 1347}',
        "",
        '{"text": "A ferry crosses.\\u2028It costs 2.50."}',
    )
    items = [(item.id, item.question, item.answers) for item in load_benchmark(path)]
    assert items == [
        ("trivia.jsonl:7", "Who?", ("Ilse",)),
        ("trivia.jsonl:2", "When?", ("1347",)),
        ("trivia.jsonl:4", "A ferry crosses.\u2028It costs 2.50.", ()),
    ]


@pytest.mark.parametrize("odd", [r"\ud800", r"a\nb", "x" * 5_000, r"\u001b[31m"])
def test_an_id_that_cannot_stand_in_evidence_is_the_line(tmp_path: Path, odd: str) -> None:
    (item,) = load_benchmark(write(tmp_path, f'{{"id": "{odd}", "text": "Who rows?"}}'))
    assert item.id == "trivia.jsonl:1"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{broken", r"trivia\.jsonl:1: Expecting"),
        ("[1]", "an object wanted, not list"),
        ('{"prompt": "Who?"}', "question or text wanted"),
        ('{"question": "  "}', "question or text wanted"),
        ('{"question": 7}', "question or text wanted"),
        ("[" * 100_000, r"trivia\.jsonl:1: "),
        ("", "no items"),
    ],
)
def test_a_line_that_is_no_item_is_named(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"split\.benchmarks: .*{fault}"):
        load_benchmark(write(tmp_path, line))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_benchmark(tmp_path)
    (tmp_path / "x").write_bytes(b'{"question": "\xff"}')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_benchmark(tmp_path / "x")


def test_of_many_faults_the_first_are_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="and 12 more lines"):
        load_benchmark(write(tmp_path, *["[]"] * 20))

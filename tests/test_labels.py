import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.errors import DataError
from domainforge.label_file import LABELS, LabelFile
from domainforge.labels import Content, Label, Labels, Undo, Verdict, content_key, label_row

ROOT = Path(__file__).parents[1]


def row(number: int, answer: str = "Fourteen days.", chunk: str = "c1") -> dict[str, Any]:
    asked = {"role": "user", "content": f"How long do refunds take, case {number}?"}
    return {
        "id": f"row{number}",
        "kind": "chat",
        "messages": [asked, {"role": "assistant", "content": answer}],
        "text": None,
        "rejected": None,
        "document_id": "d1",
        "uri": "docs/refunds.md",
        "chunk_id": chunk,
        "also": [],
        "scores": '{"support":0.8}',
    }


def edited(answer: str, number: int = 1) -> Content:
    return Content.model_validate({"messages": row(number, answer)["messages"]})


def verdict(labels: Labels, found: dict[str, Any]) -> str | None:
    label = labels.find(found)
    return label.verdict if label else None


def test_the_newest_label_counts_and_undo_brings_back_what_was_before(tmp_path: Path) -> None:
    file = LabelFile(tmp_path)
    first = label_row(row(1), "keep", file.read())
    file.add(first)
    second = label_row(row(1), "drop", file.read(), comment="wrong number")
    file.add(second)
    assert verdict(file.read(), row(1)) == "drop"
    file.undo(second)
    assert verdict(file.read(), row(1)) == "keep"
    file.undo(first)
    assert verdict(file.read(), row(1)) is None
    assert len((tmp_path / LABELS).read_text().splitlines()) == 4


def test_a_label_knows_the_same_content_under_another_id(tmp_path: Path) -> None:
    labels = Labels([label_row(row(1), "drop", Labels())])
    again = {**row(1, "Fourteen  days. "), "id": "another"}
    assert verdict(labels, again) == "drop"
    assert verdict(labels, {**again, "chunk_id": "c2"}) is None
    assert verdict(labels, {**row(1, "Forty days."), "id": "another"}) is None
    assert content_key(row(1)) != content_key(row(2))


def test_an_edited_row_is_known_by_both_of_its_texts() -> None:
    first = label_row(row(1), "keep", Labels(), edited=edited("14 days."))
    labels = Labels([first])
    elsewhere = {**row(1, "14 days."), "id": "another"}
    assert labels.find(elsewhere) == first
    kept = label_row(elsewhere, "keep", labels, comment="still good")
    assert (kept.key, kept.edited, kept.said) == (first.key, first.edited, first.said)
    dropped = label_row(elsewhere, "drop", labels)
    assert verdict(Labels([first, dropped]), row(1)) == "drop"


def test_only_labels_about_the_passages_at_hand_are_in_the_hash() -> None:
    here = label_row(row(1), "drop", Labels())
    there = label_row(row(2, chunk="c2"), "drop", Labels())
    remark = label_row(row(3), None, Labels(), comment="odd")
    general = label_row({**row(4), "chunk_id": None}, "drop", Labels())
    assert Labels([here, there]).hash_for(["c1"]) == Labels([here, remark]).hash_for(["c1"])
    assert Labels([there, remark]).hash_for(["c1"]) == ""
    assert Labels([here]).hash_for(["c1"]) != Labels([here, general]).hash_for(["c1"])
    again = label_row(row(1), "keep", Labels())
    assert Labels([here]).hash_for(["c1"]) != Labels([here, again]).hash_for(["c1"])


def test_a_torn_last_line_is_ignored_and_mended(tmp_path: Path) -> None:
    file = LabelFile(tmp_path)
    one, two = (label_row(row(number), "drop", Labels()) for number in (1, 2))
    file.add(one)
    start = (tmp_path / LABELS).stat().st_size
    file.add(two)
    whole = (tmp_path / LABELS).read_bytes()
    for cut in range(start, len(whole), 37):
        (tmp_path / LABELS).write_bytes(whole[:cut])
        assert list(file.read()) == [one], cut
        file.add(two)
        assert list(file.read()) == [one, two], cut
        assert (tmp_path / LABELS).read_bytes() == whole
    (tmp_path / LABELS).write_bytes(whole[:-1])  # an editor's doing: the label is whole
    assert list(file.read()) == [one, two]
    file.add(label_row(row(3), "keep", Labels()))
    assert len(file.read()) == 3
    (tmp_path / LABELS).write_bytes(whole[:-9])
    file.rewrite(lambda line: line)
    assert (tmp_path / LABELS).read_bytes() == whole[:start], "no trace of it stays"


@pytest.mark.parametrize(
    "line", [b"{}", b'{"label": 1}', b"\xff\xfe", b"[" * 100_000, b'{"undo": "a", "at": 3}']
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes) -> None:
    file = LabelFile(tmp_path)
    file.add(label_row(row(1), "drop", Labels()))
    with file.path.open("ab") as handle:
        handle.write(line + b"\n")
    with pytest.raises(DataError, match=r"labels\.jsonl:2: is no label"):
        file.read()


WRITER = """
import json, sys
from pathlib import Path
from domainforge.label_file import LabelFile
from domainforge.labels import Label
project, start, line = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for number in range(start, start + 50):
    label = Label.model_validate_json(line)
    LabelFile(project).add(label.model_copy(update={"label": str(number), "key": str(number)}))
    print(number, flush=True)
    if number == start + 24 and sys.argv[4] == "die":
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_two_at_once_and_one_killed_lose_nothing(tmp_path: Path) -> None:
    line = label_row(row(1), "keep", Labels(), comment="x" * 9000).model_dump_json()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), start, line, end],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for start, end in (("0", "live"), ("1000", "die"))
    ]
    acknowledged = [child.communicate(timeout=60)[0].split() for child in children]
    assert [len(numbers) for numbers in acknowledged] == [50, 25]
    labels = [label for label in LabelFile(tmp_path).lines() if isinstance(label, Label)]
    assert sorted(label.label for label in labels) == sorted(chain(*acknowledged))


FULL = """
import resource, signal, sys
from pathlib import Path
from domainforge.errors import StorageError
from domainforge.label_file import LabelFile
from domainforge.labels import Label
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = LabelFile(Path(sys.argv[1]))
label = Label.model_validate_json(sys.argv[2])
file.add(label)
size = file.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
try:
    file.add(label)
except StorageError as error:
    print(file.path.stat().st_size == size, error)
"""


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    line = label_row(row(1), "keep", Labels()).model_dump_json()
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), line],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.startswith("True")
    assert "full" in ended.stdout


def test_an_edit_that_changes_who_speaks_is_no_label(tmp_path: Path) -> None:
    line = label_row(row(1), "keep", Labels(), edited=edited("14 days.")).model_dump()
    line["edited"] = {"text": "No chat any more."}
    (tmp_path / LABELS).write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match="an edit must have the same messages"):
        LabelFile(tmp_path).read()


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["keep", "drop", "undo"]))))
def test_what_counts_is_the_last_that_was_not_taken_back(steps: list[tuple[int, str]]) -> None:
    lines: list[Label | Undo] = []
    wanted: dict[int, list[Label]] = {number: [] for number in range(3)}
    for number, step in steps:
        if step == "undo" and wanted[number]:
            lines.append(Undo(undo=wanted[number].pop().label, at=""))
        elif step in ("keep", "drop"):
            made = label_row(row(number), cast(Verdict, step), Labels(lines))
            lines.append(made)
            wanted[number].append(made)
    labels = Labels(lines)
    for number, given_labels in wanted.items():
        assert labels.find(row(number)) == (given_labels[-1] if given_labels else None)
    assert len(labels) == sum(map(bool, wanted.values()))

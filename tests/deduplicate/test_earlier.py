import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domainforge.deduplicate.earlier import Earlier, Seen, find_earlier, find_seen
from domainforge.deduplicate.shingles import Shingling
from domainforge.deduplicate.text_store import TextStore
from domainforge.errors import ConfigError, DataError

SAID = "Who designed the old bridge of nine stone arches over the river Osk?"
CHAT = [{"role": "user", "content": SAID}, {"role": "assistant", "content": "Ilse Varga"}]


def write_lines(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def find(project: Path, *names: str) -> list[Earlier]:
    return find_earlier(names, project / "runs", "own", lambda name: project / name)


def compare(
    earlier: list[Earlier],
    texts: list[str],
    near_jaccard: float | None = 0.7,
    scratch: Path | None = None,
    copies_only: bool = False,
) -> dict[int, Seen]:
    store = TextStore(None)
    for text in texts:
        store.add(text)
    store.close()
    only = np.full(len(texts), copies_only)
    return find_seen(store, earlier, near_jaccard, 7, Shingling(), only, scratch)


def test_rows_of_files_are_matched_directly(tmp_path: Path) -> None:
    write_lines(tmp_path / "old/a.jsonl", {"id": "x", "messages": CHAT}, {"n": 1}, 5)
    texts = pa.table({"text": ["The ferry Sablewren is painted in a dark red.", None]})
    pq.write_table(texts, tmp_path / "old/b.parquet")
    earlier = find(tmp_path, "old")
    rows = [
        "The ferry Sablewren is painted in a dark red!",
        f"{SAID}\nIlse Varga",
        f"{SAID.replace('old ', '')}\nIlse Varga",
        "Something else is said here about the eels of the Osk.",
    ]
    found = compare(earlier, rows, scratch=tmp_path / "scratch")
    assert {row: seen.where for row, seen in found.items()} == {
        0: "old/b.parquet row 1",
        1: "old/a.jsonl row x",
        2: "old/a.jsonl row x",
    }
    assert (found[1].jaccard, str(found[0])) == (1.0, "old/b.parquet row 1, jaccard 1.00")
    assert 0.7 <= found[2].jaccard < 1
    assert compare(earlier, rows, near_jaccard=None).keys() == {0, 1}
    assert compare(earlier, rows, copies_only=True).keys() == {0, 1}


def test_what_rows_are_called_can_stand_in_evidence(tmp_path: Path) -> None:
    said = ["The ferry Sablewren is painted in a dark red.", "Its bell was cast by Ilse Varga."]
    ids = ["\\ud800", "x" * 5_000]
    lines = [f'{{"id": "{own}", "text": "{text}"}}' for own, text in zip(ids, said, strict=True)]
    (tmp_path / "a\nb.jsonl").write_text("\n".join(lines))
    found = compare(find(tmp_path, "a\nb.jsonl"), said)
    assert [seen.where for seen in found.values()] == [
        r"a\nb.jsonl row \ud800",
        r"a\nb.jsonl row 2",
    ]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs/first").mkdir(parents=True)
    (tmp_path / "runs/first/run.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"frist is no run .*runs there are: first"):
        find(tmp_path, "frist")
    with pytest.raises(ConfigError, match="run first has no rows to train on yet"):
        find(tmp_path, "first")
    with pytest.raises(ConfigError, match="own is this run"):
        find(tmp_path, "own")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty is no run"):
        find(tmp_path, "empty")
    write_lines(tmp_path / "runs/own/splits/train/rows.jsonl", {"text": "one"})
    for name in ("runs/own/splits/train/rows.jsonl", "runs"):
        with pytest.raises(ConfigError, match=f"{name} holds files of this run"):
            find(tmp_path, name)


def test_what_a_file_holds_is_its_identity(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", {"text": "one"})
    (one,) = find(tmp_path, "a.jsonl")
    before = one.identity
    write_lines(path, {"text": "two"})
    assert one.identity != before


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.jsonl", b"{", r"a\.jsonl:1: not JSON"),
        ("a.jsonl", b"\xff\xfe", r"a\.jsonl:1: not JSON"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: not JSON"),
        ("a.jsonl", b'{"messages": 5, "text": 7}\n', "no row with messages or text"),
        ("a.parquet", b"PAR1 and nothing more", r"a\.parquet can't be read"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=fault):
        compare(find(tmp_path, name), ["one"])

import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.deduplicate.near import find_clusters
from domainforge.errors import ConfigError, DataError, SourceError
from domainforge.evaluation.exam import load_exam
from domainforge.files import shipped_folder
from domainforge.records import Example, said_in
from domainforge.splitting.config import ReplayConfig, SplitConfig
from domainforge.splitting.exam_overlap import Giveaways
from domainforge.splitting.replay import find_replay, identify_replay, load_replay, source_of
from domainforge.tables import example_table

ROPES = {"messages": [{"role": "user", "content": "What is a rope?"}]}
ASKED = {"role": "user", "content": "What is a rope made of?"}
ANSWERED = {"role": "assistant", "content": "Of fibres, twisted into strands."}
GOOD = {"messages": [ASKED, ANSWERED]}
SAME = {"messages": [{**ASKED, "content": "WHAT  is a rope made of?"}, ANSWERED]}


def numbered(count: int) -> list[dict[str, Any]]:
    return [
        {"messages": [ASKED, {"role": "assistant", "content": f"Of {number} strands."}]}
        for number in range(count)
    ]


def write(folder: Path, *rows: Any, name: str = "mine.jsonl") -> ReplayConfig:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n")
    return ReplayConfig(file=name)


def said(rows: list[Example]) -> set[str]:
    return {row.messages[-1]["content"] for row in rows}


def test_the_shipped_rows_are_good_and_none_is_like_another(tmp_path: Path) -> None:
    rows = load_replay(ReplayConfig(), tmp_path, 7)
    assert len(rows) >= 200
    assert [(row.uri, row.reason, row.evidence) for row in rows if row.reason] == []
    assert {row.kind for row in rows} == {"chat"}
    assert sum(len(row.messages) > 2 for row in rows) >= 10
    table = example_table(rows).to_pylist()
    labels = find_clusters([said_in(row) for row in table], 0.5, 7).labels
    assert labels.tolist() == list(range(len(table)))
    exam = load_exam(shipped_folder("data") / "handbook" / "exam.jsonl")
    leaks = Giveaways(exam, SplitConfig())
    leaks.count(table)
    assert leaks.find(table) == {}


def test_a_row_says_where_it_comes_from_and_that_it_is_about_nothing(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", "", GOOD, {"text": "Ropes  \nare old.\r\n"})
    chat, text = load_replay(ReplayConfig(file="deep/mine.jsonl"), tmp_path, 7)
    assert chat.messages == (ASKED, ANSWERED)
    assert (chat.kind, chat.uri, chat.side) == ("chat", "replay/mine.jsonl#2", "train")
    assert (chat.document_id, chat.chunk_id, chat.basis) == ("", "", "free")
    assert (chat.prompt, chat.prompt_hash, chat.teacher) == ("replay", "replay", "given")
    assert (text.kind, text.text, text.uri) == ("text", "Ropes\nare old.", "replay/mine.jsonl#3")
    assert source_of({"uri": chat.uri}) == "mine.jsonl"


@pytest.mark.parametrize(
    ("row", "reason", "evidence"),
    [
        ("{broken", "bad_line", "line 2: no valid JSON"),
        ("[1, 2]", "bad_line", "line 2: a list"),
        (ROPES, "bad_chat", "no assistant answers in it"),
        ({"messages": [ANSWERED]}, "bad_chat", "where the user is due"),
        ({"question": "Who?"}, "no_text_field", "neither messages nor text"),
        ({"text": " \n"}, "empty", "blank text"),
        ({"text": "..."}, "empty", "without a letter or digit"),
        ({"text": "stuck " * 9}, "repetition", "'stuck'"),
        (SAME, "exact_duplicate", "the same as replay/mine.jsonl#1"),
    ],
)
def test_a_bad_row_is_left_out_for_a_reason(
    tmp_path: Path, row: Any, reason: str, evidence: str
) -> None:
    good, bad = load_replay(write(tmp_path, GOOD, row), tmp_path, 7)
    assert good.reason is None
    assert bad.reason == reason
    assert evidence in str(bad.evidence)
    assert good.id != bad.id


def test_an_answer_that_declines_is_kept(tmp_path: Path) -> None:
    declines = {"role": "assistant", "content": "I don't know what is in your pocket."}
    (row,) = load_replay(write(tmp_path, {"messages": [ASKED, declines]}), tmp_path, 7)
    assert row.reason is None


def test_rows_are_chosen_by_what_they_say_and_the_seed(tmp_path: Path) -> None:
    rows = numbered(40)
    forth, back = write(tmp_path, *rows), write(tmp_path, *rows[::-1], name="back.jsonl")
    few = {"max_rows": 10}
    chosen = said(load_replay(forth.model_copy(update=few), tmp_path, 1))
    assert len(chosen) == 10
    assert said(load_replay(back.model_copy(update=few), tmp_path, 1)) == chosen
    assert said(load_replay(forth.model_copy(update=few), tmp_path, 2)) != chosen


def test_a_dataset_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "general").mkdir()
    rows = [{"conversations": row["messages"]} for row in numbered(45)]
    write(tmp_path / "general", *rows, name="train.jsonl")
    config = ReplayConfig.model_validate({"dataset": "general", "max_rows": 2})
    found = load_replay(config, tmp_path, 7)
    assert len(found) == 2
    assert {source_of({"uri": row.uri}) for row in found} == {"datasets/general"}
    assert all(int(row.uri.rpartition("#")[2]) <= 40 for row in found)  # the first 20 x 2 rows
    assert said(load_replay(config, tmp_path, 7)) == said(found)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"file": "none.jsonl"}, ConfigError, r"split\.replay\.file: no such file: none\.jsonl"),
        ({"dataset": "./none"}, SourceError, r"^split\.replay\.dataset: \./none: no folder there"),
        (
            {"dataset": {"name": "a/b", "token_env": "NOT_SET"}},
            ConfigError,
            r"^split\.replay\.dataset: the environment variable NOT_SET is not set",
        ),
    ],
)
def test_what_is_not_there_is_named_at_once(
    tmp_path: Path, config: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_replay(ReplayConfig.model_validate(config), tmp_path)


def test_a_dataset_that_cannot_be_read_is_an_error_of_the_replay(tmp_path: Path) -> None:
    config = ReplayConfig.model_validate({"dataset": "owner/rows"})  # tests have no network
    with pytest.raises(SourceError, match=r"^split\.replay\.dataset: owner/rows: .*HF_HUB_OFFLINE"):
        load_replay(config, tmp_path, 7)


def test_a_file_without_a_row_that_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mine\.jsonl has no row .*#1: neither messages nor text"):
        load_replay(write(tmp_path, {"question": "Who?"}), tmp_path, 7)
    with pytest.raises(DataError, match=r"mine\.jsonl has no row"):
        load_replay(write(tmp_path, ""), tmp_path, 7)
    (tmp_path / "mine.jsonl").write_bytes(bytes(range(256)) * 40)
    with pytest.raises((DataError, SourceError), match=r"split\.replay"):
        load_replay(ReplayConfig(file="mine.jsonl"), tmp_path, 7)


def test_the_identity_follows_the_rows(tmp_path: Path) -> None:
    before = identify_replay(write(tmp_path, GOOD), tmp_path)
    assert identify_replay(write(tmp_path, GOOD), tmp_path) == before
    assert identify_replay(write(tmp_path, GOOD, GOOD), tmp_path) != before
    folder = ReplayConfig.model_validate({"dataset": "general"})
    (tmp_path / "general").mkdir()
    write(tmp_path / "general", GOOD, name="train.jsonl")
    before = identify_replay(folder, tmp_path)
    write(tmp_path / "general", GOOD, GOOD, name="train.jsonl")
    assert identify_replay(folder, tmp_path) != before
    hub = ReplayConfig.model_validate({"dataset": "owner/rows"})
    assert identify_replay(hub, tmp_path) == "hub"

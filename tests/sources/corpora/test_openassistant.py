import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.records import CHAT_MEDIA_TYPE
from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.openassistant import open_openassistant
from domainforge.sources.kinds.openassistant import stream_openassistant
from domainforge.sources.loaded import Loaded, SourceFile
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all


def message(name: str, text: str, *replies: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Write a message as the project's own exports have it; its role comes with the tree."""
    return {
        "message_id": name,
        "text": text,
        "lang": "en",
        "review_count": 3,
        "review_result": True,
        "deleted": False,
        "synthetic": False,
        "emojis": {"+1": 2},
        "labels": {"spam": {"value": 0.0, "count": 3}, "quality": {"value": 0.75, "count": 3}},
        "replies": list(replies),
        **fields,
    }


def tree(root: dict[str, Any], state: str = "ready_for_export") -> dict[str, Any]:
    def cast(node: dict[str, Any], depth: int) -> dict[str, Any]:
        role = ("prompter", "assistant")[depth % 2]
        replies = [cast(reply, depth + 1) for reply in node["replies"]]
        return {"role": role, **node, "replies": replies}

    return {
        "message_tree_id": root["message_id"],
        "tree_state": state,
        "prompt": {**cast(root, 0), "created_date": "2023-02-03T04:05:06+00:00"},
    }


def flat(trees: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write trees as a list of messages, each after the one it answers."""
    rows: list[dict[str, Any]] = []

    def add(node: dict[str, Any], parent: str | None, state: str) -> None:
        own = {name: value for name, value in node.items() if name != "replies"}
        rows.append({**own, "parent_id": parent, "tree_state": state})
        for reply in node["replies"]:
            add(reply, node["message_id"], state)

    for each in trees:
        add(each["prompt"], None, each["tree_state"])
    return rows


BELL = tree(
    message(
        "root",
        "When was the bell of Orl cast?",
        message("worse", "A long time ago.", rank=1),
        message(
            "best",
            "In 1702, by Ansel Rook.",
            message("more", "Who was he?", message("end", "A founder from Harrow."), rank=0),
            message("other", "Thanks", rank=1),
            rank=0,
        ),
        message("unranked", "I would say 1702."),
    )
)
BEST = ["When was the bell of Orl cast?", "In 1702, by Ansel Rook.", "Who was he?",
        "A founder from Harrow."]  # fmt: skip


def load(rows: list[dict[str, Any]], skip: int = 0, **settings: Any) -> Loaded:
    import io

    from domainforge.sources.kinds.members import merge

    config = SourceConfig.model_validate({"openassistant": {"files": "x", **settings}})
    file = SourceFile(Path("x"), "oasst.trees.jsonl.gz", config)
    data = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    return merge(stream_openassistant(io.BytesIO(data), file, skip))


def said(loaded: Loaded) -> list[str]:
    (document,) = loaded.documents
    return [turn["content"] for turn in document.metadata["messages"]]


@pytest.mark.parametrize("rows", [[BELL], flat([BELL])], ids=["trees", "messages"])
def test_the_best_ranked_way_through_a_tree_is_a_chat(rows: list[dict[str, Any]]) -> None:
    loaded = load(rows)
    (document,) = loaded.documents
    assert said(loaded) == BEST
    assert [turn["role"] for turn in document.metadata["messages"]] == ["user", "assistant"] * 2
    assert document.uri == "oasst.trees.jsonl.gz#root"
    assert document.media_type == CHAT_MEDIA_TYPE
    assert document.title == BEST[0]
    assert document.created == "2023-02-03T04:05:06+00:00"
    facts = {name: value for name, value in document.metadata.items() if name != "messages"}
    assert facts == {
        "tree_id": "root",
        "tree_state": "ready_for_export",
        "lang": "en",
        "message_ids": ["root", "best", "more", "end"],
        "quality": 0.75,
    }
    assert not loaded.dropped
    assert not loaded.faults


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"deleted": True}, "deleted"),
        ({"review_result": False}, "review_failed"),
        ({"review_result": None}, "not_reviewed"),
        ({"labels": {"spam": {"value": 0.6, "count": 3}}}, "spam"),
        ({"labels": {"name": ["toxicity", "spam"], "value": [0.1, 0.9]}}, "spam"),
        ({"text": " \u200b "}, "empty"),
        ({"text": None}, "bad_message"),
        ({"role": "prompter"}, "bad_message"),
    ],
)
def test_what_may_not_be_learned_gives_way_to_the_next(change: dict[str, Any], reason: str) -> None:
    root = message(
        "root",
        "When?",
        {**message("best", "In 1702.", rank=0), **change},
        message("next", "Long ago.", rank=1),
    )
    loaded = load([tree(root)])
    assert said(loaded) == ["When?", "Long ago."]
    (item,) = loaded.dropped
    assert (item.uri, item.reason) == ("oasst.trees.jsonl.gz#best", reason)
    bad_root = {**message("root", "When?", message("best", "In 1702.")), **change}
    alone = load([tree(bad_root)])
    if "role" not in change:
        assert [item.reason for item in alone.dropped] == [reason]
        assert not alone.documents


def test_only_answers_of_the_wanted_quality() -> None:
    low = {"labels": {"quality": {"value": 0.25, "count": 2}}}
    root = message(
        "root",
        "When?",
        message("best", "In 1702.", rank=0, **low),
        message("unrated", "In 1703.", rank=1, labels={}),
        message("good", "Long ago.", rank=2),
        **low,
    )
    assert said(load([tree(root)])) == ["When?", "In 1702."]
    loaded = load([tree(root)], min_quality=0.5)
    assert said(loaded) == ["When?", "Long ago."]
    assert [item.reason for item in loaded.dropped] == ["low_quality", "low_quality"]
    assert "rated 0.25" in loaded.dropped[0].detail
    assert "not rated" in loaded.dropped[1].detail


def test_languages_and_states_choose_trees() -> None:
    german = tree(message("de", "Wann?", message("a", "1702.", lang="de"), lang="de"))
    growing = tree(message("g", "Where?", message("b", "In Orl.")), state="growing")
    both = load([BELL, german, growing])
    assert [d.metadata["lang"] for d in both.documents] == ["en", "de"]
    assert [item.reason for item in both.dropped] == ["tree_state"]
    only = load([BELL, german], languages="de")
    assert [d.metadata["lang"] for d in only.documents] == ["de"]
    assert [item.reason for item in only.dropped] == ["language"]
    all_states = load([growing], states=["growing"])
    assert said(all_states) == ["Where?", "In Orl."]


def test_a_tree_that_nobody_answered_is_left_out() -> None:
    lonely = tree(message("root", "Is anybody there?"))
    assert [item.reason for item in load([lonely]).dropped] == ["no_answer"]
    spam = {"labels": {"spam": {"value": 1.0, "count": 3}}}
    only_spam = tree(message("root", "Hello?", message("s", "Buy bells", **spam)))
    assert [item.reason for item in load([only_spam]).dropped] == ["spam", "no_answer"]


def test_a_question_at_the_end_is_left_off() -> None:
    open_end = tree(message("root", "When?", message("a", "In 1702.", message("q", "Sure?"))))
    loaded = load([open_end])
    assert said(loaded) == ["When?", "In 1702."]
    assert loaded.documents[0].metadata["message_ids"] == ["root", "a"]


def test_synthetic_answers_say_so() -> None:
    made = tree(message("root", "When?", message("a", "In 1702.", synthetic=True)))
    assert load([made]).documents[0].metadata["synthetic"] is True


def test_rows_that_are_neither_and_replies_to_nothing_are_faults() -> None:
    rows: list[dict[str, Any]] = [
        {"text": "no tree"},
        {"message_id": "x", "parent_id": "nobody", "role": "assistant", "text": "Yes."},
        *flat([BELL]),
        {"message_id": "best", "parent_id": "root", "role": "assistant", "text": "Twice."},
    ]
    loaded = load(rows)
    assert [fault.reason for fault in loaded.faults] == ["bad_row", "orphan", "orphan"]
    assert said(loaded) == BEST


def test_a_tree_that_comes_twice_is_taken_once() -> None:
    loaded = load([BELL, BELL])
    assert len(loaded.documents) == 1
    assert [item.reason for item in loaded.dropped] == ["duplicate_id"]


def test_absurd_nesting_is_a_fault_of_its_row() -> None:
    import io

    from domainforge.sources.kinds.members import merge

    deep = b'{"prompt": ' + b'{"replies": [' * 100_000 + b"\n" + json.dumps(BELL).encode()
    config = SourceConfig.model_validate({"openassistant": "x"})
    file = SourceFile(Path("x"), "oasst.jsonl", config)
    loaded = merge(stream_openassistant(io.BytesIO(deep), file, 0))
    assert [fault.reason for fault in loaded.faults] == ["bad_line"]
    assert said(loaded) == BEST


@pytest.mark.slow
def test_parts_that_are_there_already_are_not_given_again() -> None:
    import io

    rows = [tree(message(f"r{n}", f"Number {n}?", message(f"a{n}", "Yes."))) for n in range(2500)]
    config = SourceConfig.model_validate({"openassistant": "x"})
    file = SourceFile(Path("x"), "oasst.jsonl", config)
    for lines in (rows, flat(rows)):
        data = "\n".join(map(json.dumps, lines)).encode()
        parts = list(stream_openassistant(io.BytesIO(data), file, 0))
        assert sum(len(part.documents) for part in parts) == 2500
        assert len(parts) > 2
        assert list(stream_openassistant(io.BytesIO(data), file, 2)) == parts[2:]


def test_the_source_reads_a_folder_under_the_licence_of_the_release(tmp_path: Path) -> None:
    (tmp_path / "oasst").mkdir()
    packed = gzip.compress(json.dumps(BELL).encode())
    (tmp_path / "oasst" / "ready.trees.jsonl.gz").write_bytes(packed)
    (tmp_path / "oasst" / "readme.md").write_text("# OpenAssistant")
    config = SourceConfig.model_validate({"openassistant": "oasst"})
    source = open_openassistant(config, tmp_path)
    readings = read_all(source, SourceReader(tmp_path))
    (document,) = documents_of(readings)
    assert document.license == "Apache-2.0"
    assert document.uri == "oasst/ready.trees.jsonl.gz#root"
    assert [d.uri for r in readings for d in r.loaded.dropped] == ["oasst/readme.md"]
    assert not faults_of(readings)
    named = SourceConfig.model_validate({"openassistant": "oasst", "license": "CC0-1.0"})
    other = read_all(open_openassistant(named, tmp_path), SourceReader(tmp_path))
    assert documents_of(other)[0].license == "CC0-1.0"

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.deciding import decide
from domainforge.deduplicate.semantic import SemanticConfig
from domainforge.records import NO_TEACHER, Chunk, Example, stable_id
from domainforge.run_folder import Inputs, Output
from domainforge.stages import dedup as stage
from domainforge.stages.dedup import DedupConfig, dedup_rows
from domainforge.tables import content_hash, example_table
from tests.stages.runs import make_context
from tests.support.tables import chunk_table

QUESTION = "Who designed the old bridge of nine stone arches over the river Osk?"
ANSWER = "The engineer Ilse Varga designed it."
CLOSE = "Who designed the bridge of nine stone arches over the river Osk?"


def example(question: str, answer: str, side: str | None = "train", **changes: Any) -> Example:
    values: dict[str, Any] = {
        "kind": "chat",
        "document_id": "d",
        "uri": "d.md",
        "chunk_id": "c",
        "start": 0,
        "end": 9,
        "prompt": "qa",
        "prompt_hash": "h",
        "teacher": "t",
        "messages": (
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ),
        "side": side,
        **changes,
    }
    return Example(**values)


def dedup(*examples: Example, **settings: Any) -> tuple[list[Any], list[Any]]:
    found = dedup_rows(example_table(examples), DedupConfig(**settings).rules(7))
    return found.unique.to_pylist(), found.dropped.to_pylist()


def stage_inputs(kept: Output) -> Inputs:
    chunks = Output(kept.folder.parent / "chunks")
    passage = Chunk("d", "d.md", "D", (), 0, 0, 9, "The ferry is red.", 5)
    chunks.write(chunk_table([passage]))
    return Inputs({"filter": kept.folder, "chunk": chunks.folder})


def test_the_better_supported_row_survives() -> None:
    weak = example(QUESTION, ANSWER, scores={"support": 0.7})
    strong = example(CLOSE, ANSWER, scores={"support": 0.9})
    (unique,), (dropped,) = dedup(weak, strong)
    assert (unique["id"], dropped["id"]) == (strong.id, weak.id)
    assert dropped["reason"] == "near_duplicate"
    assert dropped["evidence"].startswith(f"{strong.id}, jaccard 0.8")
    assert unique["cluster"] == dropped["cluster"]
    assert unique["cluster"] == stable_id("cluster", min(weak.id, strong.id))


def test_among_equals_the_shorter_question_survives_then_the_lower_id() -> None:
    long, short = example(QUESTION, ANSWER), example(CLOSE, ANSWER)
    (unique,), _ = dedup(long, short)
    assert unique["id"] == short.id
    twins = [example(QUESTION, ANSWER, sample=sample) for sample in range(3)]
    (unique,), dropped = dedup(*twins)
    assert unique["id"] == min(twin.id for twin in twins)
    assert [row["reason"] for row in dropped] == ["exact_duplicate"] * 2
    assert {row["evidence"] for row in dropped} == {f"{unique['id']}, jaccard 1.00"}


def test_another_answer_is_another_row() -> None:
    unique, dropped = dedup(
        example("Who designed the bridge?", "The engineer Ilse Varga of Veltren"),
        example("Who designed the bridge?", "Nobody knows for certain any more."),
    )
    assert (len(unique), len(dropped)) == (2, 0)
    assert len({row["cluster"] for row in unique}) == 2


def test_each_side_keeps_its_survivor() -> None:
    rows = [
        example(QUESTION, ANSWER),
        example(CLOSE, ANSWER),
        example(QUESTION, ANSWER, side="test"),
        example(CLOSE, ANSWER, side="test"),
    ]
    unique, dropped = dedup(*rows)
    assert sorted(row["side"] for row in unique) == ["test", "train"]
    assert len({row["cluster"] for row in unique}) == 1
    survivors = {row["side"]: row["id"] for row in unique}
    assert all(row["evidence"].startswith(survivors[row["side"]]) for row in dropped)


def test_a_row_linked_through_another_says_so() -> None:
    rng = random.Random(1)
    words = [f"word{rng.randrange(1000)}" for _ in range(40)]
    chain = [" ".join([*words[cut : cut + 30]]) for cut in (0, 4, 8)]
    unique, dropped = dedup(*(example(f"{text}?", "Yes") for text in chain))
    assert len(unique) == 1
    evidence = [row["evidence"] for row in dropped]
    assert sum("linked through" in text for text in evidence) == 1


def test_settings_are_read() -> None:
    pair = example(QUESTION, ANSWER), example(CLOSE, ANSWER)
    assert len(dedup(*pair)[0]) == 1
    assert len(dedup(*pair, near_jaccard=None)[0]) == 2
    assert len(dedup(*pair, near_jaccard=0.95)[0]) == 2
    assert len(dedup(*pair, long_text_words=5)[0]) == 1
    assert len(dedup(*pair, long_text_words=5, shingle_words=12)[0]) == 2
    assert len(dedup(*pair, shingle_chars=32)[0]) == 2
    assert len(dedup(*pair, near_jaccard=0.95, shingle_chars=1)[0]) == 1


def test_text_rows_are_compared_by_their_text() -> None:
    texts = [
        example("", "", kind="text", messages=(), text=text)
        for text in ("The bridge has nine arches.", "the bridge has nine arches", "The ferry.")
    ]
    unique, dropped = dedup(*texts)
    assert len(unique) == 2
    assert [row["reason"] for row in dropped] == ["exact_duplicate"]


WORDS = st.sampled_from(["bridge", "osk", "veltren", "ferry", "eel", "salt", "arch"])
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
SIDES = st.sampled_from(["train", "test", None])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(TEXTS, TEXTS, SIDES, st.integers(0, 3)), max_size=15),
    st.sampled_from([None, 0.4, 0.7]),
    st.sampled_from([None, SemanticConfig(min_cosine=0.5)]),
    st.randoms(use_true_random=False),
)
def test_rows_balance_no_cluster_is_lost_and_order_does_not_matter(
    rows: list[tuple[str, str, str | None, int]],
    near_jaccard: float | None,
    semantic: SemanticConfig | None,
    rng: random.Random,
) -> None:
    config = DedupConfig(near_jaccard=near_jaccard, semantic=semantic)
    table = example_table(
        example(f"{question}?", answer, side, sample=at, scores={"support": score / 3})
        for at, (question, answer, side, score) in enumerate(rows)
    )
    unique, dropped = dedup_rows(table, config.rules(7))
    ids = unique.column("id").to_pylist() + dropped.column("id").to_pylist()
    assert sorted(ids) == table.column("id").to_pylist()
    survivors = Counter((row["cluster"], row["side"]) for row in unique.to_pylist())
    assert set(survivors.values()) <= {1}
    assert {(row["cluster"], row["side"]) for row in dropped.to_pylist()} <= survivors.keys()
    order = list(range(table.num_rows))
    rng.shuffle(order)
    mixed = dedup_rows(table.take(pa.array(order, pa.int64())), config.rules(7))
    assert content_hash(mixed.unique) == content_hash(unique)
    assert content_hash(mixed.dropped) == content_hash(dropped)


def test_the_stage_writes_both_tables_and_balances(tmp_path: Path) -> None:
    kept = Output(tmp_path / "kept")
    rows = [example(QUESTION, ANSWER), example(QUESTION, ANSWER, sample=1), example(CLOSE, ANSWER)]
    kept.write(example_table([*rows, example("What does the ferry cost?", "2.50 crowns")]))
    out = Output(tmp_path / "unique")
    inputs = stage_inputs(kept)
    result = stage.STAGE.run(DedupConfig(), inputs, out, make_context(tmp_path))
    assert result.account.balances
    assert (result.account.unit, result.account.total, result.account.done) == ("rows", 4, 2)
    # The short question survives, and both copies of the long one are only near it.
    assert result.account.dropped == {"near_duplicate": 2}
    assert out.read().num_rows == 2
    assert out.read("dropped").num_rows == 2
    assert result.figures == {"clusters": 2}


def test_no_rows_are_no_fault(tmp_path: Path) -> None:
    kept = Output(tmp_path / "kept")
    kept.write(example_table([]))
    out = Output(tmp_path / "unique")
    inputs = stage_inputs(kept)
    result = stage.STAGE.run(DedupConfig(), inputs, out, make_context(tmp_path))
    assert (result.account.total, result.account.balances) == (0, True)
    assert (out.read().num_rows, out.read("dropped").num_rows) == (0, 0)


def test_the_best_candidates_stay_for_the_judge() -> None:
    rows = [
        example(QUESTION, ANSWER, sample=at, scores={"support": 0.5 + at / 10}) for at in range(4)
    ]
    unique, dropped = dedup(*rows, candidates=2)
    assert {row["id"] for row in unique} == {rows[3].id, rows[2].id}
    assert {row["cluster"] for row in unique} == {dropped[0]["cluster"]}
    assert all(row["evidence"].startswith(rows[3].id) for row in dropped)


def test_a_reviewed_row_stays_before_a_better_judged_one() -> None:
    judged = example(QUESTION, ANSWER, scores={"judge": 1.0, "support": 1.0})
    reviewed = example(QUESTION, ANSWER, sample=1, scores={"reviewed": 1.0})
    (unique,), _ = dedup(judged, reviewed)
    assert unique["id"] == reviewed.id


def test_on_disk_and_in_batches_rows_fare_as_in_memory(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = []
    for at in range(60):
        said = [rng.choice(["bridge", "osk", "veltren", "ferry", "eel", "salt"]) for _ in range(9)]
        side, sample = rng.choice(["train", "test"]), at
        rows += [example(f"{' '.join(said)}?", "Yes", side, sample=sample)]
        said[rng.randrange(9)] = "tower"
        rows += [example(f"{' '.join(said)}?", "Yes", "train", sample=sample)]
    table = example_table(rows)
    rules = DedupConfig(semantic=SemanticConfig(min_cosine=0.6)).rules(7)
    whole = dedup_rows(table, rules)
    assert 0 < whole.dropped.num_rows < len(rows)
    batches = table.to_batches(max_chunksize=7)
    decision = decide(batches, rules, tmp_path)
    parts = list(stage.part_rows(batches, decision, rules))
    assert content_hash(pa.concat_tables([part.unique for part in parts])) == (
        content_hash(whole.unique)
    )
    assert content_hash(pa.concat_tables([part.dropped for part in parts])) == (
        content_hash(whole.dropped)
    )
    assert (tmp_path / "texts.arrow").exists()
    assert {"near_duplicate", "semantic_duplicate"} <= {
        row["reason"] for row in whole.dropped.to_pylist()
    }


def test_the_same_in_other_words_goes_where_it_is_asked_for() -> None:
    one = example("Who put up the mill at Harrow Bend?", "Rook", scores={"support": 0.9})
    other = example("By whom was the mill at Harrow Bend put up?", "Rook")
    held = example("At Harrow Bend, who put up the mill?", "Rook", side="test")
    said = example("", "", kind="text", messages=(), text="Rook put up the mill at Harrow Bend.")
    rows = [one, other, held, said]
    assert len(dedup(*rows)[0]) == 4
    unique, dropped = dedup(*rows, semantic={"min_cosine": 0.4})
    assert [row["id"] for row in dropped] == [other.id]
    assert dropped[0]["reason"] == "semantic_duplicate"
    assert dropped[0]["evidence"].startswith(f"{one.id}, cosine 0.")
    clusters = {row["id"]: row["cluster"] for row in unique}
    assert clusters[one.id] == clusters[held.id] == dropped[0]["cluster"] != clusters[said.id]
    changed = example("By whom was the mill at Harrow Bend put up?", "Ilse Varga")
    assert len(dedup(one, changed, semantic={"min_cosine": 0.4})[0]) == 2


def test_a_threshold_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="near_jaccard"):
        DedupConfig(near_jaccard=0)


def test_gaps_in_one_sentence_are_different_rows() -> None:
    made = {"teacher": NO_TEACHER, "prompt": "cloze"}
    said = "Complete: The mill beside the old stone bridge was built in 1742 by Anselm Rook"
    first = example(said.replace("built", "____"), "built", **made)
    second = example(said.replace("1742", "____"), "1742", sample=1, **made)
    other = example(f"{said.replace('built', '____')}, they say", "built", unit=9, **made)
    assert len(dedup(first, second, near_jaccard=0.5)[0]) == 2
    assert len(dedup(first, other, near_jaccard=0.5)[0]) == 1, "of another sentence"
    written = [replace(row, teacher="t") for row in (first, second)]
    alike = dedup(*written, near_jaccard=0.5, keep_other_answers=False)[0]
    assert len(alike) == 1, "by a teacher"


def test_facts_that_sound_alike_both_stay() -> None:
    asked = "How many berths does the {} quay of the harbour of Veltren have for fishing boats?"
    east = example(asked.format("east"), "It has 24.")
    west = example(asked.format("west"), "It has 31.")
    again = example(asked.format("western"), "31 berths.")
    unique, dropped = dedup(east, west, again)
    assert {row["id"] for row in unique} >= {east.id}
    assert len(unique) == 2
    assert [row["reason"] for row in dropped] == ["near_duplicate"]
    assert dropped[0]["id"] in (west.id, again.id)
    assert len({row["cluster"] for row in unique}) == 2
    unique, dropped = dedup(east, west, again, keep_other_answers=False)
    assert len(unique) == 1

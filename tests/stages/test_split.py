import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.deduplicate.overlap import ExamItem
from domainforge.errors import ConfigError, DataError
from domainforge.evaluation.exam import ExamPassage, ExamQuestion
from domainforge.records import Chunk, Example
from domainforge.run_folder import Inputs, Output
from domainforge.splitting.audit import Audit
from domainforge.splitting.audit import audit_splits as audit_files
from domainforge.splitting.config import ReplayConfig, SplitConfig
from domainforge.splitting.passages_as_rows import chunk_text
from domainforge.stages import split as stage
from domainforge.stages.split import split_rows
from domainforge.tables import CHUNK_SCHEMA, content_hash, example_table
from tests.stages.runs import make_context
from tests.support.tables import chunk_table

TEXTS = {
    "a.md": "Veltren lies on the east bank of the river Osk, below the salt hills of Kirren.",
    "b.md": "The engineer Ilse Varga designed the bridge of nine stone arches in Veltren in 1347.",
    "c.md": "A ferry crosses every hour while the harbour bell rings, and costs 2.50 crowns.",
}
# What is said of different documents isn't alike, however alike the questions of a test are.
ANSWERS = {
    "a.md": "The old salt guild did.",
    "b.md": "Nine arches of grey stone carry it.",
    "c.md": "Every hour, while the bell of the harbour rings.",
}
EXAM = (
    ExamQuestion(
        id="e1",
        question="Who designed the bridge of nine stone arches in the town of Veltren?",
        answers=("Ilse Varga",),
        passages=(ExamPassage(quote=TEXTS["b.md"]),),
    ),
)


def make_chunk(uri: str, text: str | None = None, index: int = 0) -> Chunk:
    text = TEXTS[uri] if text is None else text
    return Chunk(f"doc-{uri}", uri, "Handbook", ("Town",), index, 0, len(text), text, 20)


SIDE_SCHEMA = pa.schema([("id", pa.string()), ("unit", pa.string())])
CHUNKS = {uri: make_chunk(uri) for uri in TEXTS}


def chat(uri: str, question: str, cluster: str | None = None, **changes: Any) -> Example:
    values: dict[str, Any] = {
        "kind": "chat",
        "document_id": f"doc-{uri}",
        "uri": uri,
        "chunk_id": CHUNKS[uri].id,
        "start": 0,
        "end": 9,
        "prompt": "qa",
        "prompt_hash": "h",
        "teacher": "t",
        "messages": (
            {"role": "user", "content": question},
            {"role": "assistant", "content": ANSWERS[uri]},
        ),
        "cluster": cluster or f"cluster of {question}",
        **changes,
    }
    return Example(**values)


def numbered(uri: str, count: int) -> list[Example]:
    return [chat(uri, f"What is number {number} of {uri}?") for number in range(count)]


def general(number: int, answer: str = "A knot.") -> Example:
    plain = chat("a.md", f"What is thing {number}?", prompt="replay", prompt_hash="replay")
    return replace(
        plain,
        document_id="",
        chunk_id="",
        uri=f"replay/mine.jsonl#{number}",
        messages=(plain.messages[0], {"role": "assistant", "content": answer}),
        unit=number,
        side="train",
        cluster=None,
    )


def sides_table(sides: dict[str, str], chunks: dict[str, Chunk] = CHUNKS) -> pa.Table:
    rows = [
        {"id": chunk.id, "document_id": chunk.document_id, "uri": uri, "unit": uri, "side": side}
        for uri, side in sides.items()
        for chunk in [chunks[uri]]
    ]
    return pa.Table.from_pylist(rows)


HELD_OUT = {"a.md": "train", "b.md": "train", "c.md": "test"}


class Splits(NamedTuple):
    """The tables that a split wrote."""

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    dropped: pa.Table


def split(
    examples: list[Example],
    sides: dict[str, str] | None = None,
    exam: tuple[ExamQuestion, ...] = (),
    chunks: dict[str, Chunk] = CHUNKS,
    seed: int = 7,
    replay: Sequence[Example] = (),
    benchmarks: Sequence[ExamItem] = (),
    shard_rows: int = 50_000,
    **changes: Any,
) -> Splits:
    tables = {
        "judge": example_table(examples),
        "chunk": chunk_table(chunks.values()),
        "assign": sides_table(sides or HELD_OUT, chunks),
    }
    with TemporaryDirectory() as name:
        folder = Path(name)
        for stage_name, rows in tables.items():
            write_shards(folder / stage_name, rows, shard_rows)
        inputs = Inputs({stage_name: folder / stage_name for stage_name in tables})
        out = Output(folder / "splits")
        split_rows(inputs, out, exam, SplitConfig(**changes), seed, replay, benchmarks)
        return Splits(*(out.read(at) for at in Splits._fields))


def write_shards(folder: Path, rows: pa.Table, shard_rows: int) -> None:
    folder.mkdir(parents=True)
    for at, start in enumerate(range(0, max(rows.num_rows, 1), shard_rows)):
        pq.write_table(rows.slice(start, shard_rows), folder / f"part-{at:05d}.parquet")


def audit_splits(
    train: pa.Table,
    validation: pa.Table,
    test: pa.Table,
    exam: Sequence[ExamQuestion],
    *,
    units: dict[str, str] | None = None,
    passages: dict[str, str] | None = None,
    benchmarks: Sequence[ExamItem] = (),
    dropped: pa.Table | None = None,
) -> list[str]:
    return audit(train, validation, test, exam, units, passages, benchmarks, dropped).findings


def audit(
    train: pa.Table,
    validation: pa.Table,
    test: pa.Table,
    exam: Sequence[ExamQuestion],
    units: dict[str, str] | None = None,
    passages: dict[str, str] | None = None,
    benchmarks: Sequence[ExamItem] = (),
    dropped: pa.Table | None = None,
) -> Audit:
    nothing = example_table([])
    chunks = [{"id": at, "title": "", "text": text} for at, text in (passages or {}).items()]
    sides = [{"id": at, "unit": unit} for at, unit in (units or {}).items()]
    with TemporaryDirectory() as name:
        folder = Path(name)
        for table_name, rows in (
            ("train", train),
            ("validation", validation),
            ("test", test),
            ("dropped", nothing if dropped is None else dropped),
            ("chunk", pa.Table.from_pylist(chunks, schema=CHUNK_SCHEMA)),
            ("assign", pa.Table.from_pylist(sides, schema=SIDE_SCHEMA)),
        ):
            write_shards(folder / table_name, rows, 50_000)
        inputs = Inputs({at: folder / at for at in ("chunk", "assign")})
        return audit_files(Output(folder), inputs, exam, benchmarks, SplitConfig(), 7)


def column(table: pa.Table, name: str, kind: str | None = None) -> list[Any]:
    return [row[name] for row in table.to_pylist() if kind in (None, row["kind"])]


def test_rows_go_to_the_side_of_their_chunk() -> None:
    # The row claims a side, the sides table decides.
    rows = [chat("a.md", "Where does Veltren lie?", side="test"), chat("c.md", "What costs 2.50?")]
    found = split(rows)
    assert column(found.train, "uri", "chat") == ["a.md"]
    assert column(found.test, "uri", "chat") == ["c.md"]
    assert set(column(found.train, "side")) == {"train"}
    assert set(column(found.test, "side")) == {"test"}


def test_every_chunk_becomes_a_text_row_with_its_lineage() -> None:
    found = split([])
    assert sorted(column(found.train, "uri", "text")) == ["a.md", "b.md"]
    assert column(found.validation, "id") == []
    (row,) = found.test.to_pylist()
    chunk = CHUNKS["c.md"]
    assert row["text"] == f"# Handbook\n## Town\n\n{chunk.text}"
    lineage = row["chunk_id"], row["document_id"], row["uri"], row["start"], row["end"]
    assert lineage == (chunk.id, chunk.document_id, "c.md", 0, len(chunk.text))
    assert (row["prompt"], row["prompt_hash"], row["teacher"]) == ("document", "", "")
    assert row["messages"] == []
    assert json.loads(row["fields"]) == {}


@pytest.mark.parametrize(
    ("title", "headings", "text", "expected"),
    [
        ("", [], "It is stone.", "It is stone."),
        ("Book", None, "It is stone.", "# Book\n\nIt is stone."),
        ("Book", ["Book", "Town"], "It.", "# Book\n### Town\n\nIt."),
        ("Book", ["Town"], "## Town\n\nIt.", "# Book\n\n## Town\n\nIt."),
        (
            "Book",
            list("ABCDEF"),
            "It.",
            "# Book\n## A\n### B\n#### C\n##### D\n###### E\n###### F\n\nIt.",
        ),
    ],
)
def test_texts_say_each_heading_once(
    title: str, headings: list[str] | None, text: str, expected: str
) -> None:
    assert chunk_text({"title": title, "headings": headings, "text": text}) == expected


def test_validation_takes_its_share_of_training_chats() -> None:
    rows = [*numbered("a.md", 40), *numbered("c.md", 20)]
    found = split(rows, validation_share=0.25)
    assert found.validation.num_rows == 10
    assert set(column(found.validation, "uri")) == {"a.md"}
    assert set(column(found.validation, "kind")) == {"chat"}
    assert set(column(found.validation, "side")) == {"train"}
    assert not set(column(found.validation, "id")) & set(column(found.train, "id"))


def test_validation_depends_on_the_seed_only() -> None:
    rows = numbered("a.md", 40)
    chosen = [set(column(split(rows, seed=seed).validation, "id")) for seed in (7, 7, 8)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_small_sets_get_one_row_for_validation_and_tiny_ones_none() -> None:
    assert split(numbered("a.md", 10), validation_share=0.01).validation.num_rows == 1
    assert split(numbered("a.md", 9), validation_share=0.01).validation.num_rows == 0
    assert split(numbered("a.md", 40), validation_share=0).validation.num_rows == 0


def test_clusters_move_to_validation_as_a_whole() -> None:
    rows = [chat("a.md", f"What is {at}?", cluster=f"cluster {at // 4}") for at in range(40)]
    found = split(rows, validation_share=0.2)
    assert set(Counter(column(found.validation, "cluster")).values()) == {4}
    assert found.validation.num_rows == 8


def test_rows_that_give_an_exam_question_away_are_dropped_on_every_side() -> None:
    ngram = "Tell me: who designed the bridge of nine stone arches, and when?"
    alike = "Who, in the town of Veltren, designed the bridge of stone arches?"
    rows = [
        chat("a.md", ngram),
        chat("c.md", alike),
        chat("a.md", "Who rings the bell at the harbour?"),
    ]
    found = split(rows, exam=EXAM)
    assert column(found.dropped, "reason") == ["exam_overlap"] * 2
    evidence = {row["side"]: row["evidence"] for row in found.dropped.to_pylist()}
    assert evidence["train"].startswith("exam question e1: 8 words in a row: 'who designed the")
    why = "exam question e1: words alike, jaccard 0.91; it asks 'Who designed the bridge of"
    assert evidence["test"].startswith(why)
    assert column(found.train, "kind").count("chat") == 1


def test_an_exam_question_in_an_answer_is_found() -> None:
    leak = "He asked who designed the bridge of nine stone arches."
    messages = (
        {"role": "user", "content": "What did he ask?"},
        {"role": "assistant", "content": leak},
    )
    found = split([chat("a.md", "", messages=messages)], exam=EXAM)
    assert column(found.dropped, "reason") == ["exam_overlap"]


def test_documents_may_say_what_the_exam_asks() -> None:
    text = "Who designed the bridge of nine stone arches in the town of Veltren? Ilse Varga did."
    chunks = {**CHUNKS, "b.md": make_chunk("b.md", text)}
    found = split([], exam=EXAM, chunks=chunks)
    assert found.dropped.num_rows == 0


def test_an_exam_question_in_other_words_is_found_by_its_answer() -> None:
    question = {"role": "user", "content": "By whom was the Veltren bridge of nine arches planned?"}
    answer = {"role": "assistant", "content": "By Ilse Varga."}
    others = [*numbered("a.md", 9), *numbered("b.md", 9)]
    leak = chat("b.md", "", messages=(question, answer))
    wrong = chat("b.md", "", messages=(question, {**answer, "content": "By the salt guild."}))
    found = split([leak, wrong, *others], exam=EXAM)
    (row,) = found.dropped.to_pylist()
    assert (row["id"], row["reason"]) == (leak.id, "exam_overlap")
    assert row["evidence"].startswith("exam question e1: asks alike, cosine 0.")
    assert "answers 1.00; it asks 'Who designed the bridge of nine stone arches" in row["evidence"]


def test_no_row_and_no_document_holds_an_item_of_a_benchmark() -> None:
    item = ExamItem("trivia.jsonl:1", "Which guild of the salt hills owned the ferry in 1347?")
    quiz = make_chunk("b.md", f"An exercise. {item.question} Write two lines.")
    asks = chat("a.md", "In 1347, which guild of the salt hills owned the ferry?")
    chunks = {**CHUNKS, "b.md": quiz}
    found = split([asks, *numbered("a.md", 4)], chunks=chunks, benchmarks=[item])
    assert column(found.dropped, "reason") == ["benchmark_overlap"] * 2
    evidence = {row["kind"]: row["evidence"] for row in found.dropped.to_pylist()}
    held = "'which guild of the salt hills owned the ferry in 1347'"
    assert evidence["text"] == f"benchmark question trivia.jsonl:1: held word by word: {held}"
    assert evidence["chat"].startswith("benchmark question trivia.jsonl:1: 8 words in a row")
    about = make_chunk("b.md", "The ferry of 1347 was owned by a guild of the salt hills.")
    assert split([], chunks={**CHUNKS, "b.md": about}, benchmarks=[item]).dropped.num_rows == 0


def test_exam_settings_are_read() -> None:
    row = chat("a.md", "Who designed the bridge of nine arches then?")
    assert split([row], exam=EXAM).dropped.num_rows == 0
    assert split([row], exam=EXAM, exam_jaccard=0.5).dropped.num_rows == 1
    assert split([row], exam=EXAM, exam_cosine=0.6).dropped.num_rows == 1
    run = chat("a.md", "Who designed the bridge of wood, and nine stone arches in the town?")
    assert split([run], exam=EXAM).dropped.num_rows == 0
    assert split([run], exam=EXAM, exam_ngram_words=5).dropped.num_rows == 1
    same = {"role": "assistant", "content": "Ilse Varga."}
    asked = {"role": "user", "content": "Whose plan is the bridge of nine arches?"}
    other = chat("a.md", "", messages=(asked, same))
    assert split([other], exam=EXAM).dropped.num_rows == 0
    assert split([other], exam=EXAM, exam_answer_cosine=0.3).dropped.num_rows == 1


def test_a_training_row_in_the_cluster_of_a_test_row_is_dropped() -> None:
    mine = chat("a.md", "What does it cost?", cluster="same")
    theirs = chat("c.md", "What does that cost?", cluster="same")
    found = split([mine, theirs])
    (row,) = found.dropped.to_pylist()
    assert (row["id"], row["reason"]) == (mine.id, "near_test")
    assert theirs.id in row["evidence"]
    assert column(found.test, "kind").count("chat") == 1


@pytest.mark.parametrize("change", ["", " It is never late."])
def test_a_training_passage_like_a_held_out_one_is_dropped_with_its_rows(change: str) -> None:
    chunks = {**CHUNKS, "a.md": make_chunk("a.md", TEXTS["c.md"] + change)}
    row = chat("a.md", "What does the ferry cost?", chunk_id=chunks["a.md"].id)
    found = split([row], chunks=chunks)
    assert column(found.dropped, "reason") == ["near_test"] * 2
    assert sorted(column(found.dropped, "kind")) == ["chat", "text"]
    assert all(chunks["c.md"].id in text for text in column(found.dropped, "evidence"))
    if change:
        assert split([row], chunks=chunks, near_test_jaccard=0.99).dropped.num_rows == 0


def test_without_held_out_documents_nothing_is_near_them() -> None:
    chunks = {**CHUNKS, "a.md": make_chunk("a.md", TEXTS["c.md"])}
    found = split([], dict.fromkeys(TEXTS, "train"), chunks=chunks)
    assert (found.train.num_rows, found.test.num_rows, found.dropped.num_rows) == (3, 0, 0)


def test_a_chunk_without_a_side_stops_the_run() -> None:
    with pytest.raises(DataError, match="has no side"):
        split([], {"a.md": "train"})


def test_general_rows_are_only_trained_on() -> None:
    rows = [general(number) for number in range(30)]
    found = split(numbered("a.md", 20), replay=rows, validation_share=0.5)
    assert column(found.train, "prompt").count("replay") == 30
    assert set(column(found.validation, "prompt")) == {"qa"}
    assert found.validation.num_rows == 10  # half of the chats about documents
    assert audit_splits(*found[:3], (), units={c.id: uri for uri, c in CHUNKS.items()}) == []


def test_general_rows_go_that_give_something_away() -> None:
    rows = [
        general(1, f"I wonder {EXAM[0].question}"),
        replace(general(2), kind="text", messages=(), text=TEXTS["c.md"] + " Always."),
        replace(general(3), reason="bad_chat", evidence="no assistant answers in it"),
        general(4),
    ]
    found = split([], exam=EXAM, replay=rows)
    why = {row["unit"]: row["reason"] for row in found.dropped.to_pylist()}
    assert why == {1: "exam_overlap", 2: "near_test", 3: "bad_chat"}
    kept = [row["unit"] for row in found.train.to_pylist() if row["prompt"] == "replay"]
    assert kept == [4]


def test_preferences_go_to_their_side_and_never_to_validation() -> None:
    rows = [
        chat(uri, f"What is number {number} of {uri}?", kind="preference", rejected="A cup.")
        for uri in ("a.md", "c.md")
        for number in range(20)
    ]
    leak = chat("a.md", "What?", kind="preference", rejected=f"Is it {EXAM[0].question}")
    found = split([*rows, leak], exam=EXAM, validation_share=0.5)
    assert column(found.train, "kind").count("preference") == 20
    assert column(found.test, "kind").count("preference") == 20
    assert found.validation.num_rows == 0
    assert column(found.dropped, "id") == [leak.id]


def test_a_chat_that_is_like_a_preference_is_not_validation() -> None:
    rows = numbered("a.md", 20)
    pairs = [replace(row, kind="preference", rejected="A cup.") for row in rows[:18]]
    found = split([*rows, *pairs], validation_share=0.5)
    assert set(column(found.validation, "id")) == {row.id for row in rows[18:]}
    assert audit_splits(*found[:3], (), units={c.id: uri for uri, c in CHUNKS.items()}) == []


QUESTIONS = st.sampled_from(
    ["Who designed the bridge of nine stone arches in Veltren?", "What costs 2.50?", "Who rings?"]
)
URIS = st.sampled_from(sorted(TEXTS))
CLUSTERS = st.sampled_from(["one", "two", "three", "four"])


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(URIS, QUESTIONS, CLUSTERS), max_size=20),
    st.fixed_dictionaries(dict.fromkeys(sorted(TEXTS), st.sampled_from(["train", "test"]))),
    st.randoms(use_true_random=False),
)
def test_rows_balance_audits_pass_and_order_does_not_matter(
    rows: list[tuple[str, str, str]], sides: dict[str, str], rng: Any
) -> None:
    examples = [chat(*row, sample=at) for at, row in enumerate(rows)]
    found = split(examples, sides, EXAM, validation_share=0.3)
    ids = [at for table in found for at in column(table, "id")]
    assert len(ids) == len(set(ids)) == len(examples) + len(CHUNKS)
    assert audit_splits(*found[:3], EXAM, units={CHUNKS[uri].id: uri for uri in TEXTS}) == []
    rng.shuffle(examples)
    again = split(examples, sides, EXAM, shard_rows=3, validation_share=0.3)
    assert [content_hash(table) for table in again] == [content_hash(table) for table in found]


def table(*examples: Example, side: str = "train") -> pa.Table:
    return example_table(Example(**{**vars(row), "side": side}) for row in examples)


NONE = table()
ROW = chat("a.md", "Where does Veltren lie?")
HELD = chat("c.md", "What does it cost?")


def test_an_audit_of_good_splits_finds_nothing() -> None:
    good = table(ROW), table(chat("a.md", "What river is it?")), table(HELD, side="test")
    assert audit_splits(*good, EXAM) == []


@pytest.mark.parametrize(
    ("train", "validation", "test", "finding"),
    [
        (table(ROW), NONE, table(ROW, side="test"), f"row {ROW.id} is in the training side"),
        (
            table(ROW),
            table(ROW),
            NONE,
            f"row {ROW.id} is in train (row {ROW.id}) and in validation",
        ),
        (
            table(ROW),
            NONE,
            table(chat("a.md", "Which river?", document_id="x"), side="test"),
            f"chunk {ROW.chunk_id} is in the training side",
        ),
        (
            NONE,
            table(ROW),
            table(chat("a.md", "Which river?", chunk_id="other"), side="test"),
            "unit doc-a.md is in the training side",
        ),
        (
            table(chat("a.md", "Which river?", "same")),
            NONE,
            table(chat("c.md", "What cost?", "same"), side="test"),
            "cluster same is in the training side",
        ),
        (
            table(chat("a.md", "Which river?", "same")),
            table(chat("a.md", "What river?", "same")),
            NONE,
            "cluster same is in train",
        ),
        (table(ROW, side="test"), NONE, NONE, "of side test is in train"),
        (NONE, table(ROW, side="test"), NONE, "of side test is in validation"),
        (NONE, NONE, table(HELD), "of side train is in test"),
        (table(chat("a.md", EXAM[0].question)), NONE, NONE, "in train matches exam question e1"),
        (NONE, table(chat("a.md", EXAM[0].question)), NONE, "in validation matches exam question"),
        (
            NONE,
            NONE,
            table(chat("c.md", EXAM[0].question), side="test"),
            "in test matches exam question e1",
        ),
        (NONE, table(general(1)), NONE, f"general row {general(1).id} is in validation"),
        (NONE, NONE, table(general(1), side="test"), f"general row {general(1).id} is in test"),
    ],
)
def test_the_audit_finds_bad_splits(
    train: pa.Table, validation: pa.Table, test: pa.Table, finding: str
) -> None:
    findings = audit_splits(train, validation, test, EXAM)
    assert any(finding in text for text in findings), findings


def test_the_audit_finds_the_same_passage_on_both_sides() -> None:
    tables = table(ROW), NONE, table(HELD, side="test")
    passages = {ROW.chunk_id: "The  ferry costs 2.50.", HELD.chunk_id: "the ferry costs 2.50"}
    (finding,) = audit_splits(*tables, (), passages=passages)
    assert finding.startswith("passage ")
    assert audit_splits(*tables, (), passages={**passages, ROW.chunk_id: "The bridge."}) == []


def test_sections_of_one_document_may_stand_on_two_sides() -> None:
    section = chat("a.md", "Which river?", chunk_id="section 2")
    tables = table(ROW), NONE, table(section, side="test")
    units = {ROW.chunk_id: "a.md#1", "section 2": "a.md#2"}
    assert audit_splits(*tables, (), units=units) == []
    assert audit_splits(*tables, (), units=dict.fromkeys(units, "a.md#1")) != []


def run_stage(
    folder: Path,
    examples: list[Example],
    sides: dict[str, str],
    exam: Path | None = None,
    replay: str | None = None,
    benchmarks: tuple[str, ...] = (),
) -> tuple[Any, Output]:
    tables = {
        "judge": example_table(examples),
        "chunk": chunk_table(CHUNKS.values()),
        "assign": sides_table(sides),
    }
    for name, rows in tables.items():
        Output(folder / name).write(rows)
    out = Output(folder / "splits")
    inputs = Inputs({name: folder / name for name in tables})
    context = replace(make_context(folder, exam_path=exam), replays=replay is not None)
    general_rows = ReplayConfig(file=replay or "unread.jsonl")
    config = SplitConfig(replay=general_rows, benchmarks=benchmarks)
    return stage.STAGE.run(config, inputs, out, context), out


def test_the_stage_writes_its_tables_and_balances(tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    question = {"question": EXAM[0].question, "answers": ["Ilse Varga"]}
    exam.write_text(json.dumps(question), encoding="utf-8")
    rows = [*numbered("a.md", 20), chat("b.md", EXAM[0].question), *numbered("c.md", 2)]
    twin = chat("a.md", "What is it?", cluster=rows[-1].cluster)
    result, out = run_stage(tmp_path, [*rows, twin], HELD_OUT, exam)
    assert result.account.balances
    assert (result.account.unit, result.account.total, result.account.done) == ("rows", 27, 25)
    assert result.account.dropped == {"exam_overlap": 1, "near_test": 1}
    assert result.figures == {
        "train_chats": 18,
        "train_texts": 2,
        "validation_chats": 2,
        "validation_texts": 0,
        "test_chats": 2,
        "test_texts": 1,
        "audit_checks": 12,
        "audit_compared": 266,
        "audit_found": 0,
    }
    assert out.read("train").num_rows == 20
    assert out.read("dropped").num_rows == 2
    checks = out.read("audit").to_pylist()
    assert [row["id"] for row in checks] == [f"{number:02d}" for number in range(1, 13)]
    assert sum(row["compared"] for row in checks) == 266
    assert {row["found"] for row in checks} == {0}
    assert result.notes == (
        "20 rows to train on (18 chats, 2 texts), 2 for validation, 3 for test",
        "dropped because they match one of the 1 exam questions: 1",
        "dropped from training because they are like what is held out: 1",
    )


def test_general_rows_are_in_the_account_the_figures_and_the_notes(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "A knot."}
    lines = [
        {"messages": [{"role": "user", "content": f"What is thing {number}?"}, answer]}
        for number in range(5)
    ]
    text = "\n".join(map(json.dumps, [*lines, {"messages": [answer]}]))
    (tmp_path / "mine.jsonl").write_text(text)
    preference = chat("a.md", "What is it?", kind="preference", rejected="A cup.")
    rows = [*numbered("a.md", 4), preference]
    result, out = run_stage(tmp_path, rows, HELD_OUT, replay="mine.jsonl")
    assert result.account.balances
    assert (result.account.total, result.account.done) == (14, 13)
    assert result.account.dropped == {"bad_chat": 1}
    figures = dict(result.figures)
    assert (figures["train_chats"], figures["train_texts"]) == (4, 2)
    assert (figures["train_preferences"], figures["replay_rows"]) == (1, 5)
    assert figures["replay_from"] == "mine.jsonl"
    assert result.notes[0].startswith(
        "7 rows to train on (4 chats, 2 texts, 1 preferences) beside 5 general ones (their share: "
        "train.mixture.replay), 0 for validation"
    )
    (dropped,) = out.read("dropped").to_pylist()
    assert (dropped["uri"], dropped["side"]) == ("replay/mine.jsonl#6", "train")


def test_general_rows_alone_are_nothing_to_train_on(tmp_path: Path) -> None:
    row = {"text": "Ropes are made of fibres that are twisted."}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match="none of 4 rows is left to train on"):
        run_stage(tmp_path, [], dict.fromkeys(TEXTS, "test"), replay="mine.jsonl")
    (tmp_path / "mine.jsonl").write_text(json.dumps({"text": TEXTS["c.md"]}))
    with pytest.raises(
        DataError, match=r"split\.replay: none of 1 general rows.*1 dropped as near"
    ):
        run_stage(tmp_path, [], HELD_OUT, replay="mine.jsonl")


def test_nothing_to_train_on_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 held out for test.*lower assign\.test_share"):
        run_stage(tmp_path, [], dict.fromkeys(TEXTS, "test"))


def test_a_failed_audit_stops_the_stage(tmp_path: Path) -> None:
    # Units that cross the sides can't come from assign; here the sides table is made by hand.
    sides = sides_table(HELD_OUT).to_pylist()
    broken = pa.Table.from_pylist([{**row, "unit": "one"} for row in sides])
    for name, rows in (
        ("judge", example_table([])),
        ("chunk", chunk_table(CHUNKS.values())),
        ("assign", broken),
    ):
        Output(tmp_path / name).write(rows)
    inputs = Inputs({name: tmp_path / name for name in ("judge", "chunk", "assign")})
    out = Output(tmp_path / "splits")
    with pytest.raises(DataError, match="unit one is in the training side"):
        stage.STAGE.run(SplitConfig(), inputs, out, make_context(tmp_path))


def test_benchmarks_are_read_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "trivia.jsonl").write_text(json.dumps({"question": EXAM[0].question}))
    rows = [*numbered("a.md", 20), chat("b.md", EXAM[0].question)]
    result, out = run_stage(tmp_path, rows, HELD_OUT, benchmarks=("trivia.jsonl",))
    assert result.account.dropped == {"benchmark_overlap": 1}
    assert "dropped because they match one of the 1 items of benchmarks: 1" in result.notes
    names = out.read("audit").column("check").to_pylist()
    assert names[-2:] == ["benchmarks, words in a row", "benchmarks, asked alike"]
    with pytest.raises(ConfigError, match=r"split\.benchmarks: no such file: none\.jsonl"):
        run_stage(tmp_path / "other", rows, HELD_OUT, benchmarks=("none.jsonl",))


def test_a_changed_benchmark_runs_the_split_again(tmp_path: Path) -> None:
    config = SplitConfig(benchmarks=("trivia.jsonl",))
    identify, seen = stage.STAGE.identity, []
    assert identify is not None
    for question in ("Who?", "When?"):
        (tmp_path / "trivia.jsonl").write_text(json.dumps({"question": question}))
        seen.append(identify(config, make_context(tmp_path)))
    assert seen[0] != seen[1]
    (tmp_path / "trivia.jsonl").unlink()
    with pytest.raises(ConfigError, match="with the questions as JSON lines"):
        identify(config, make_context(tmp_path))


def test_the_exam_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    exam.write_text('{"question": "Who?", "answers": ["Varga"]}', encoding="utf-8")
    identify = stage.STAGE.identity
    assert identify is not None
    with_exam = identify(SplitConfig(), make_context(tmp_path, exam_path=exam))
    plain = make_context(tmp_path)
    assert with_exam != identify(SplitConfig(), plain)
    assert identify(SplitConfig(), replace(plain, replays=True)) != identify(SplitConfig(), plain)

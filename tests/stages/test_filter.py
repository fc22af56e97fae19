import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domainforge.errors import DataError
from domainforge.filters.filtering import filter_rows
from domainforge.filters.rows import FilterConfig
from domainforge.records import Chunk, Example
from domainforge.run_folder import Inputs, Output
from domainforge.stages import filter as stage
from domainforge.tables import example_table
from tests.stages.runs import make_context
from tests.support.tables import chunk_table

TEXT = (
    "Veltren lies on the east bank of the river Osk. "
    "The engineer Ilse Varga designed its bridge of nine stone arches in 1347."
)
CHUNK = Chunk("doc", "town.md", "Veltren", ("The bridge",), 0, 100, 100 + len(TEXT), TEXT, 30)
GOOD = ("Who designed the bridge?", "Ilse Varga", "The engineer Ilse Varga designed its bridge")


def example(question: str, answer: str, quote: str | None = None, **changes: Any) -> Example:
    fields = {"question": question, "answer": answer}
    values: dict[str, Any] = {
        "kind": "chat",
        "document_id": "doc",
        "uri": "town.md",
        "chunk_id": CHUNK.id,
        "start": CHUNK.start,
        "end": CHUNK.end,
        "prompt": "qa",
        "prompt_hash": "h",
        "teacher": "t",
        "messages": (
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ),
        "fields": fields if quote is None else {**fields, "quote": quote},
        "side": "train",
        **changes,
    }
    return Example(**values)


def reasons(table: pa.Table) -> list[str]:
    found: list[str] = table.column("reason").to_pylist()
    return found


def test_kept_rows_carry_their_scores() -> None:
    row = example(*GOOD, scores={"judge": 4.0})
    kept, dropped = filter_rows(example_table([row]), chunk_table([CHUNK]), FilterConfig())
    assert dropped.num_rows == 0
    (out,) = kept.to_pylist()
    assert json.loads(out["scores"]) == {
        "judge": 4.0,
        "question_related": 1.0,
        "support": 1.0,
        "similarity": 1.0,
    }
    assert out["reason"] is None


def test_dropped_rows_carry_reason_and_evidence() -> None:
    row = example("Who designed the bridge?", "Tove Lind", "Tove Lind designed its bridge")
    kept, dropped = filter_rows(example_table([row]), chunk_table([CHUNK]), FilterConfig())
    assert kept.num_rows == 0
    (out,) = dropped.to_pylist()
    assert out["id"] == row.id
    assert (out["reason"], out["evidence"]) == (
        "quote_missing",
        "not in the passage: 'Tove Lind designed its bridge'",
    )


def test_a_quote_is_only_wanted_where_the_task_asks_for_one() -> None:
    row = example("Who designed the bridge?", "Ilse Varga")
    kept, _ = filter_rows(example_table([row]), chunk_table([CHUNK]), FilterConfig())
    assert kept.num_rows == 1


def test_the_span_of_a_row_is_what_its_teacher_saw() -> None:
    first_sentence = CHUNK.start + TEXT.index(".") + 1
    row = example("Who designed the bridge?", "Ilse Varga", end=first_sentence)
    _, dropped = filter_rows(example_table([row]), chunk_table([CHUNK]), FilterConfig())
    assert reasons(dropped) == ["unsupported"]


def test_headings_count_for_the_question() -> None:
    row = example("What is the Veltren bridge made of?", "Stone")
    bare = Chunk("doc", "a.md", "", (), 0, 0, 12, "It is stone.", 4)
    titled = Chunk("doc", "b.md", "Veltren", ("The bridge",), 0, 0, 12, "It is stone.", 4)
    for chunk, expected in ((bare, ["question_unrelated"]), (titled, [])):
        about = example_table([Example(**{**vars(row), "chunk_id": chunk.id})])
        dropped = filter_rows(about, chunk_table([chunk]), FilterConfig()).dropped
        assert reasons(dropped) == expected


def test_a_row_without_its_chunk_stops_the_run() -> None:
    row = example(*GOOD, chunk_id="gone")
    with pytest.raises(DataError, match="gone"):
        filter_rows(example_table([row]), chunk_table([CHUNK]), FilterConfig())


QUESTIONS = st.sampled_from(
    ["Who designed the bridge?", "", "Why?", "Why do volcanoes erupt?", "What is Rest Rest Rest?"]
)
ANSWERS = st.sampled_from(["Ilse Varga", "", "I don't know.", "In 1348", "It is [insert name]"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(QUESTIONS, ANSWERS), max_size=12), st.integers(1, 5))
def test_rows_balance_and_shards_do_not_matter(pairs: list[tuple[str, str]], cut: int) -> None:
    rows = [example(*pair, sample=at) for at, pair in enumerate(pairs)]
    table, chunks = example_table(rows), chunk_table([CHUNK])
    kept, dropped = filter_rows(table, chunks, FilterConfig())
    ids = kept.column("id").to_pylist() + dropped.column("id").to_pylist()
    assert sorted(ids) == sorted(table.column("id").to_pylist())
    assert all(reasons(dropped))
    parts = [
        filter_rows(table.slice(start, cut), chunks, FilterConfig())
        for start in range(0, table.num_rows, cut)
    ]
    if parts:
        assert pa.concat_tables([part.kept for part in parts]).equals(kept)
        assert pa.concat_tables([part.dropped for part in parts]).equals(dropped)


def test_the_stage_writes_both_tables_and_balances(tmp_path: Path) -> None:
    rows = [
        example(*GOOD),
        example("Who designed the bridge?", "Tove Lind"),
        example("When was the bridge designed?", ""),
    ]
    generated, chunked = Output(tmp_path / "examples"), Output(tmp_path / "chunks")
    generated.write(example_table(rows))
    chunked.write(chunk_table([CHUNK]))
    out, events = Output(tmp_path / "kept"), list[Any]()
    inputs = Inputs({"generate": generated.folder, "chunk": chunked.folder})
    context = replace(make_context(tmp_path, events=events), run_name="town")
    result = stage.STAGE.run(FilterConfig(), inputs, out, context)
    assert result.account.balances
    assert (result.account.unit, result.account.total, result.account.done) == ("rows", 3, 1)
    assert result.account.dropped == {"unsupported": 1, "empty": 1}
    assert out.read().num_rows == 1
    assert sorted(reasons(out.read("dropped"))) == ["empty", "unsupported"]
    shares = {"section": {"covered": 1, "total": 1}, "sentence": {"covered": 1, "total": 2}}
    assert result.figures == {"kept_share": 0.3333, "coverage": shares}
    assert [(p["text"][:8], p["rows"]) for p in out.read("coverage").to_pylist() if p["rows"]] != []
    assert "1 of 2 sentences" in result.notes[-1]
    assert "`domainforge coverage town` lists" in result.notes[-1]
    assert "2 of 3 rows were dropped" in result.notes[0]
    assert events[-1] == ("progress", {"done": 3, "total": 3, "kept": 1})


def test_no_rows_at_all(tmp_path: Path) -> None:
    kept, dropped = filter_rows(example_table([]), chunk_table([]), FilterConfig())
    assert (kept.num_rows, dropped.num_rows) == (0, 0)

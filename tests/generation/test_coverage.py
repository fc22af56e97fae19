import json
from typing import Any

from domainforge.generation.coverage import Coverage, Share, part_shares
from tests.generation.prompts import TEXT, make_chunk

FIRST = "The mill at Harrow Bend was built in 1742."
LAST = "The miller keeps two grey horses behind the house."


def row(question: str = "Who?", answer: str = "Rook.", **changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {
        "kind": "chat",
        "messages": messages,
        "text": None,
        "fields": json.dumps(changes.pop("fields", {})),
        "chunk_id": "chunk-1",
        "also": [],
        "basis": "passage",
        "start": 100,
        "end": 100 + len(TEXT),
        **changes,
    }


def open_texts(coverage: Coverage, chunk: dict[str, Any] | None = None) -> list[str]:
    chunk = chunk or make_chunk()
    begin = chunk["start"]
    spans = coverage.open_sentences(chunk["id"])
    return [chunk["text"][start - begin : end - begin] for start, end in spans]


def covered(*rows: dict[str, Any]) -> Coverage:
    coverage = Coverage([make_chunk()])
    coverage.add(rows)
    return coverage


def test_without_rows_every_sentence_of_some_length_is_open() -> None:
    assert open_texts(covered()) == [FIRST, LAST]  # "It burned twice." is too short


def test_a_row_rests_on_the_sentence_of_its_quote() -> None:
    coverage = covered(row(fields={"quote": "the mill at Harrow Bend was built in 1742"}))
    assert open_texts(coverage) == [LAST]


def test_a_row_rests_on_the_sentence_that_was_asked_about() -> None:
    start = 100 + TEXT.index(LAST)
    assert open_texts(covered(row(start=start, end=start + len(LAST)))) == [FIRST]


def test_a_row_about_a_whole_passage_rests_on_what_it_says() -> None:
    said = row("How many grey horses does the miller keep behind the house?", "Two.")
    assert open_texts(covered(said)) == [FIRST]
    text = row(kind="text", messages=[], text="Harrow Bend had its mill built in 1742.")
    assert open_texts(covered(text)) == [LAST]


def test_a_quote_of_another_text_is_no_quote() -> None:
    assert open_texts(covered(row(fields={"quote": "the barn burned down"}))) == [FIRST, LAST]


def test_rows_that_stand_on_no_passage_cover_nothing() -> None:
    coverage = covered(row(basis="absent", fields={"quote": FIRST}))
    assert open_texts(coverage) == [FIRST, LAST]


def test_a_row_about_two_passages_covers_both() -> None:
    text = "The old bridge at Lund was swept away in spring."
    other = make_chunk(text, id="chunk-2", document_id="doc-2", uri="bridge.md", headings=[])
    coverage = Coverage([make_chunk(), other])
    question = "Was the mill at Harrow Bend built in 1742 before the old bridge at Lund was swept?"
    coverage.add(
        [row(question, "Yes, it was swept away in spring.", also=[{"chunk_id": other["id"]}])]
    )
    assert open_texts(coverage) == [LAST]
    assert open_texts(coverage, other) == []


def test_sections_and_names_are_counted_too() -> None:
    about = row("Where was the mill built?", "At Harrow Bend.", fields={"quote": FIRST})
    text = "The road to Harrow Bend is steep. Below it lies the river."
    coverage = Coverage([make_chunk(), make_chunk(text, 900, id="chunk-2")])
    coverage.add([about])
    parts = {(part.kind, part.text): part.rows for part in coverage.parts()}
    assert parts[("section", "History")] == 1
    assert parts[("entity", "Harrow Bend")] == 1
    assert parts[("sentence", LAST)] == 0
    assert part_shares(covered(about).parts())["sentence"] == Share(1, 2)


def test_a_sentence_of_overlapping_chunks_counts_once() -> None:
    start = TEXT.index(LAST)
    overlap = make_chunk(LAST, 100 + start, id="chunk-2")
    coverage = Coverage([make_chunk(), overlap])
    coverage.add([row(fields={"quote": LAST})])
    assert open_texts(coverage, overlap) == []
    assert [part.text for part in coverage.parts() if part.kind == "sentence"] == [FIRST, LAST]


def test_chats_have_no_parts() -> None:
    assert Coverage([make_chunk(messages=[{"role": "user", "content": "Hi"}])]).parts() == []

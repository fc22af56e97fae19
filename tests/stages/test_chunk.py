from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from domainforge.context import Context
from domainforge.errors import DataError
from domainforge.records import Document
from domainforge.run_folder import Inputs, Output
from domainforge.stage import StageResult
from domainforge.stages import chunk as stage
from domainforge.tables import CHUNK_SCHEMA, ordered_table
from tests.stages.runs import make_context
from tests.support.tables import document_table

PAGES = {
    "a.md": "# Fares\n\nA crossing costs two crowns. " + "Every child travels free. " * 30,
    "b.md": "# Hours\n\n## Summer\n\nFrom six to ten.\n\n## Winter\n\nFrom eight to six.",
    "c.md": "# Only a title",
}


def make_student(folder: Path, vocabulary: int = 300) -> Path:
    """Write a folder that has what chunking needs of a student: a fast tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(PAGES.values(), trainer)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text("{}")
    return folder


def context_of(project: Path, events: list[Any] | None = None) -> Context:
    student = project / "student"
    if not student.exists():
        make_student(student)
    return replace(make_context(project, events=events), student=str(student))


def chunk(
    context: Context, pages: dict[str, str], **config: Any
) -> tuple[StageResult, list[dict[str, Any]]]:
    documents = Output(context.project / "documents")
    titles = {uri: text.split("\n")[0].lstrip("# ") for uri, text in pages.items()}
    documents.write(document_table(Document(uri, titles[uri], pages[uri]) for uri in pages))
    out = Output(context.project / "chunks")
    inputs = Inputs({"ingest": documents.folder})
    result = stage.run(stage.ChunkConfig(**config), inputs, out, context)
    rows = sorted(out.read().to_pylist(), key=lambda row: (row["uri"], row["index"]))
    return result, rows


def test_chunks_are_exact_and_bounded_in_the_students_tokens(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    result, rows = chunk(context, PAGES, max_tokens=40, min_tokens=5)
    tokenizer = context.tokenizer()
    for row in rows:
        assert PAGES[row["uri"]][row["start"] : row["end"]] == row["text"]
        ids = tokenizer.encode(row["text"], add_special_tokens=False).ids
        assert row["tokens"] == len(ids) <= 40
    assert len([row for row in rows if row["uri"] == "a.md"]) > 3
    assert [row["headings"] for row in rows if row["uri"] == "b.md"] == [["Summer"], ["Winter"]]
    assert result.figures["chunks"] == len(rows)
    assert result.figures["tokens"] == sum(row["tokens"] for row in rows)


def test_documents_are_accounted_for(tmp_path: Path) -> None:
    events: list[Any] = []
    result, _ = chunk(context_of(tmp_path, events), PAGES)
    assert result.account.balances
    assert (result.account.total, result.account.done) == (3, 2)
    assert result.account.dropped == {"only_a_title": 1}
    assert any("c.md" in note for note in result.notes)
    assert [(fields["done"], fields["total"]) for _, fields in events] == [(1, 3), (2, 3), (3, 3)]


def test_document_ids_are_those_of_ingest(tmp_path: Path) -> None:
    _, rows = chunk(context_of(tmp_path), PAGES)
    written = document_table(
        [Document("a.md", "Fares", PAGES["a.md"]), Document("b.md", "Hours", PAGES["b.md"])]
    )
    assert {row["document_id"] for row in rows} == set(written.column("id").to_pylist())


def run_again(
    context: Context, now: Iterable[Document], *, same_recipe: bool
) -> tuple[StageResult, list[dict[str, Any]]]:
    """Chunk after an earlier output whose rows can be told by their counts of tokens."""
    _, rows = chunk(context, PAGES, max_tokens=40)
    for row in rows:
        row["tokens"] += 1000
    earlier = Output(context.project / "earlier")
    earlier.write(ordered_table(rows, CHUNK_SCHEMA))
    documents = Output(context.project / "documents")
    documents.write(document_table(now))
    out = Output(context.project / "chunks", earlier.folder, same_recipe=same_recipe)
    inputs = Inputs({"ingest": documents.folder})
    result = stage.run(stage.ChunkConfig(max_tokens=40), inputs, out, context)
    return result, out.read().to_pylist()


def test_chunks_of_unchanged_documents_are_taken_over(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    titles = {uri: text.split("\n")[0].lstrip("# ") for uri, text in PAGES.items()}
    documents = {
        "same": Document("a.md", titles["a.md"], PAGES["a.md"]),
        "edited": Document("b.md", titles["b.md"], PAGES["b.md"] + " Or later."),
    }
    result, rows = run_again(context, documents.values(), same_recipe=True)
    old = {row["uri"] for row in rows if row["tokens"] > 1000}
    assert (old, result.figures["documents_unchanged"]) == ({"a.md"}, 1)
    assert {row["uri"] for row in rows} == {"a.md", "b.md"}
    assert "Or later." in "".join(row["text"] for row in rows)
    assert result.figures["chunks"] == len(rows)
    assert result.figures["tokens"] == sum(row["tokens"] for row in rows)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_another_title_or_recipe_takes_nothing_over(tmp_path: Path) -> None:
    context = context_of(tmp_path)
    retitled = [Document("a.md", "Another", PAGES["a.md"])]
    _, rows = run_again(context, retitled, same_recipe=True)
    assert {row["title"] for row in rows} == {"Another"}
    assert all(row["tokens"] < 1000 for row in rows)
    same = [Document("a.md", "Fares", PAGES["a.md"])]
    _, rows = run_again(context, same, same_recipe=False)
    assert all(row["tokens"] < 1000 for row in rows)


def test_small_leftovers_join_only_when_asked(tmp_path: Path) -> None:
    pages = {"a.md": "# A\n\n" + "Every child travels free. " * 8 + "\n\nOk."}
    context = context_of(tmp_path)
    _, apart = chunk(context, pages, max_tokens=400, min_tokens=0)
    assert len(apart) == 1, "what fits is one chunk"
    tokens = apart[0]["tokens"]
    _, tight = chunk(context, pages, max_tokens=tokens - 1, min_tokens=0)
    assert tight[-1]["text"] == "Ok."


def test_nothing_but_titles_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 1 documents"):
        chunk(context_of(tmp_path), {"c.md": "# Only a title"})


def test_another_tokenizer_is_another_identity(tmp_path: Path) -> None:
    config = stage.ChunkConfig()
    one = context_of(tmp_path)
    other = replace(one, student=str(make_student(tmp_path / "other", 280)))
    assert stage.identify(config, one) == stage.identify(config, replace(one, seed=8))
    assert stage.identify(config, one) != stage.identify(config, other)


def test_min_tokens_must_be_below_max_tokens() -> None:
    with pytest.raises(ValidationError, match="min_tokens"):
        stage.ChunkConfig(max_tokens=20, min_tokens=20)

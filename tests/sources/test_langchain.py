"""LangChain loaders and vector stores as sources."""

import datetime
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from domainforge.errors import ConfigError, SourceError
from domainforge.pipeline import run_pipeline
from domainforge.pipeline_file import check_pipeline
from domainforge.sources.langchain import LangChainSource
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all


class ListLoader(BaseLoader):
    """Gives what it is told to; raises what is an error."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def lazy_load(self) -> Iterator[Document]:
        for item in self._items:
            if isinstance(item, BaseException):
                raise item
            yield item


class ForeignError(Exception):
    """An error of a library that DomainForge has never heard of."""


def page(text: str, **metadata: Any) -> Document:
    return Document(page_content=text, metadata=metadata)


def test_documents_keep_what_the_loader_knows(tmp_path: Path) -> None:
    loader = ListLoader(
        page(
            "The tide turns\u00a0twice.",
            source="/home/me/secret/notes/tides.pdf",
            title="Tides",
            creationdate="2024-03-01T10:00:00",
            moddate=datetime.date(2024, 3, 2),
            license="CC-BY-4.0",
            page=3,
        ),
        page("# Boats\n\nThey float.", source="https://me:hunter2@example.org/boats?a=1"),
        page("Nowhere from."),
    )
    readings = read_all(LangChainSource(loader, name="notes"), SourceReader(tmp_path))
    tides, boats, third = documents_of(readings)
    assert tides.uri == "langchain/notes/notes/tides.pdf"
    assert (tides.title, tides.text) == ("Tides", "The tide turns twice.")
    assert (tides.created, tides.modified) == ("2024-03-01T10:00:00", "2024-03-02")
    assert tides.license == "CC-BY-4.0"
    assert tides.metadata["page"] == 3
    assert tides.metadata["source"] == "notes/tides.pdf"
    assert boats.uri == "langchain/notes/https://example.org/boats?a=1"
    assert boats.title == "Boats"
    assert third.uri == "langchain/notes/document-3"
    assert not {"hunter2", "secret"} & set(
        str(readings).replace("/", " ").replace(":", " ").split()
    )
    assert {r.kind for r in readings} == {"langchain document"}


def test_pages_of_one_file_have_names_of_their_own(tmp_path: Path) -> None:
    loader = ListLoader(*(page(f"Page {n}", source=s) for n, s in enumerate("aabaa", 1)))
    documents = documents_of(read_all(LangChainSource(loader, name="x"), SourceReader(tmp_path)))
    names = [d.uri.removeprefix("langchain/x/") for d in documents]
    assert names == ["a", "a#2", "b", "a#document-4", "a#document-5"]


def test_empty_and_odd_documents_are_named(tmp_path: Path) -> None:
    loader = ListLoader(page("  \n", source="empty.txt"), "just text", page("Good."))
    readings = read_all(LangChainSource(loader, name="x"), SourceReader(tmp_path))
    assert [d.text for d in documents_of(readings)] == ["Good."]
    assert [r.loaded.dropped[0].reason for r in readings if r.loaded.dropped] == ["empty"]
    (fault,) = faults_of(readings)
    assert fault.reason == "not_a_document"
    assert "a str" in fault.detail


@pytest.mark.parametrize("error", [ForeignError("no https://me:hunter2@db"), ValueError("bad")])
def test_a_loader_that_fails_keeps_what_was_read(tmp_path: Path, error: Exception) -> None:
    loader = ListLoader(page("One."), page("Two."), error, page("Never."))
    readings = read_all(LangChainSource(loader, name="x"), SourceReader(tmp_path))
    assert [d.text for d in documents_of(readings)] == ["One.", "Two."]
    (fault,) = faults_of(readings)
    assert (fault.uri, fault.reason) == ("langchain/x", "loader_failed")
    assert f"ListLoader failed after 2 documents: {type(error).__name__}" in fault.detail
    assert "hunter2" not in fault.detail


def test_control_c_is_no_fault_of_the_loader(tmp_path: Path) -> None:
    source = LangChainSource(ListLoader(page("One."), KeyboardInterrupt()), name="x")
    with pytest.raises(KeyboardInterrupt):
        read_all(source, SourceReader(tmp_path))


def test_loaders_are_read_lazily(tmp_path: Path) -> None:
    class Endless(BaseLoader):
        def lazy_load(self) -> Iterator[Document]:
            yield from (page(f"Page {number}") for number in count())

    first = next(iter(LangChainSource(Endless(), name="x").read(SourceReader(tmp_path))))
    assert first.loaded.documents[0].text == "Page 0"


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    old = ListLoader(page("One.", source="a"), page("Two.", source="b"))
    reader = SourceReader(tmp_path)
    again = reader.take_over(read_all(LangChainSource(old, name="x"), reader))
    new = ListLoader(page("One.", source="a"), page("Two and a half.", source="b"))
    readings = read_all(LangChainSource(new, name="x"), again)
    assert [r.unchanged for r in readings] == [True, False]
    again.finished = {"langchain/x/a"}
    assert [r.uri for r in read_all(LangChainSource(new, name="x"), again)] == ["langchain/x/b"]


def test_a_vector_store_is_read(tmp_path: Path) -> None:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
    texts = [f"Chunk {number}" for number in range(250)]
    ids = [f"id-{number:03}" for number in range(250)]
    store.add_texts(texts, [{"source": "one.pdf", "n": n} for n in range(250)], ids=ids)
    documents = documents_of(read_all(LangChainSource(store, name="s"), SourceReader(tmp_path)))
    assert [d.text for d in documents] == texts
    assert documents[7].uri == "langchain/s/id-007"
    assert documents[7].metadata == {"source": "one.pdf", "n": 7}
    some = LangChainSource(store, name="s", ids=["id-003", "id-001"])
    chosen = documents_of(read_all(some, SourceReader(tmp_path)))
    assert [d.text for d in chosen] == ["Chunk 3", "Chunk 1"]


def test_what_can_not_be_read_is_refused() -> None:
    with pytest.raises(SourceError, match="neither a document loader"):
        LangChainSource(object(), name="x")  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="stands in uris"):
        LangChainSource(ListLoader(), name="a/b")

    class Mute:
        def get_by_ids(self, ids: list[str]) -> list[Document]:
            return []

    with pytest.raises(SourceError, match="give the ids"):
        LangChainSource(Mute(), name="x")  # type: ignore[arg-type]


def test_identity_tells_sources_apart() -> None:
    first = LangChainSource(ListLoader(), name="a").identity()
    assert first != LangChainSource(ListLoader(), name="b").identity()
    assert first["class"] == "ListLoader"


def test_a_run_of_nothing_but_a_loader(tmp_path: Path) -> None:
    pipeline = check_pipeline({"name": "intranet", "sources": []}, "here")
    loader = LangChainSource(ListLoader(page("The bell rings at noon.")), name="intranet")
    for state in ("done", "unchanged"):
        report = run_pipeline(pipeline, tmp_path, until_stage="ingest", extra_sources=[loader])
        assert report.stages[0].state == state
        assert report.stages[0].manifest is not None
        assert report.stages[0].manifest.account["done"] == 1
    with pytest.raises(ConfigError, match="sources: give at least one"):
        run_pipeline(pipeline, tmp_path, until_stage="ingest")


def test_the_example_in_the_docs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = Path(__file__).parents[2] / "docs" / "sources.md"
    (example,) = re.findall(r"^```python\n(.*?)^```", docs.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "p.yaml").write_text("sources: []\n")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "docs/sources.md", "exec"), {})
    assert "'done': 1," in capsys.readouterr().out.splitlines()[-1]

"""Every place of a pipeline file goes through one ingest: a database, an export, a loader."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document as LangChainDocument

from domainforge.errors import SourceError
from domainforge.records import Document
from domainforge.run_folder import Inputs, Output
from domainforge.sources.config import SourceConfig
from domainforge.sources.langchain import LangChainSource
from domainforge.sources.loaded import LeftOut, Loaded
from domainforge.sources.reading import Reader, Reading
from domainforge.stage import StageResult
from domainforge.stages import ingest as stage
from tests.stages.runs import make_context

ENGLISH = "The ferry leaves the northern quay every hour, and a crossing costs two crowns."


class Loader(BaseLoader):
    def lazy_load(self):  # type: ignore[no-untyped-def]
        yield LangChainDocument(f"# Ferry\n\n{ENGLISH}", metadata={"source": "loader/1"})


def test_places_of_all_kinds_in_one_ingest(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "kb.sqlite")) as database:
        database.execute("CREATE TABLE pages (id INTEGER, body TEXT)")
        rows = [(n, f"{ENGLISH} Page {n}.") for n in range(3)]
        database.executemany("INSERT INTO pages VALUES (?, ?)", rows)
        database.commit()
    vault = tmp_path / "vault"
    (vault / ".obsidian").mkdir(parents=True)
    (vault / "note.md").write_text(f"# Note\n\nA note. {ENGLISH}")
    sources = (
        SourceConfig.model_validate(
            {
                "sql": {"url": "sqlite:///kb.sqlite", "query": "SELECT id, body FROM pages"},
                "license": "CC0-1.0",
            }
        ),
        SourceConfig.model_validate({"obsidian": "vault"}),
    )
    made = LangChainSource(Loader(), name="mine")
    context = replace(make_context(tmp_path), sources=sources, extra_sources=(made,))
    out = Output(tmp_path / "out")
    out.folder.mkdir()
    result = stage.run(stage.IngestConfig(), Inputs({}), out, context)
    assert result.account.balances
    documents = out.read().to_pylist()
    assert len(documents) == result.account.done == 5
    assert {row["language"] for row in documents} == {"en"}
    assert sum(row["license"] == "CC0-1.0" for row in documents) == 3
    (loaded,) = [row for row in documents if row["uri"].startswith("langchain/mine")]
    (section,) = loaded["sections"]
    assert loaded["text"][section["start"] : section["end"]].startswith("# Ferry")
    assert {"sources", "forgotten"} == set(stage.identify(stage.IngestConfig(), context))


class Server:
    """A source that gives what it has at the moment."""

    name = "server"

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded

    def identity(self) -> Mapping[str, Any]:
        return {}

    def read(self, reader: Reader) -> Iterator[Reading]:
        if not reader.done("page"):
            yield Reading("page", "web page", self.loaded)


def ask(server: Server, project: Path) -> tuple[StageResult, Output]:
    context = replace(make_context(project), sources=(), extra_sources=(server,))
    out = Output(project / "out")
    out.folder.mkdir(exist_ok=True)
    return stage.run(stage.IngestConfig(), Inputs({}), out, context), out


def test_a_server_that_gave_nothing_is_asked_again(tmp_path: Path) -> None:
    """Its next run finds what this one left, and must not go on with that."""
    server = Server(Loaded(faults=(LeftOut("page", "unreachable", "no answer"),)))
    with pytest.raises(SourceError, match="unreachable"):
        ask(server, tmp_path)
    server.loaded = Loaded((Document("page", "Ferry", ENGLISH),))
    result, _ = ask(server, tmp_path)
    assert (result.account.done, result.account.failed) == (1, {})


def test_what_no_table_can_hold_is_mended(tmp_path: Path) -> None:
    documents = (
        Document("a", "Half \ud83d", f"{ENGLISH} \udc00"),
        Document("b", "Bytes", "Short.", metadata={"blob": b"x", "half \ud800": 2**70}),
    )
    left_out = LeftOut("c\udcff", "unreadable", "no such file: c\udcff")
    result, out = ask(Server(Loaded(documents, faults=(left_out,))), tmp_path)
    assert (result.account.done, result.account.failed) == (2, {"unreadable": 1})
    a, b = sorted(out.read().to_pylist(), key=lambda row: str(row["uri"]))
    assert (a["title"], a["text"], a["language"]) == ("Half ?", f"{ENGLISH} ?", "en")
    assert '"half ?"' in b["metadata"]
    assert out.read("faults")["uri"].to_pylist() == ["c?"]

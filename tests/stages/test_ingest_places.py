"""Every place of a pipeline file goes through one ingest: a database, an export, a loader."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document as LangChainDocument

from domainforge.run_folder import Inputs, Output
from domainforge.sources.config import SourceConfig
from domainforge.sources.langchain import LangChainSource
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

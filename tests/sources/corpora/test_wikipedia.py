import bz2
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.wikipedia import open_wikipedia
from domainforge.sources.hub_datasets.source import DatasetSource
from tests.support.source_reader import SourceReader, documents_of, read_all
from tests.support.website import Answer, Website

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>
<base>https://en.wikipedia.org/wiki/Main_Page</base>
<namespaces><namespace key="0" case="first-letter" />
<namespace key="12" case="first-letter">Help</namespace></namespaces></siteinfo>
"""
PAGE = """<page><title>{title}</title><ns>{ns}</ns><id>{id}</id><revision><id>7{id}</id>
<timestamp>2024-01-02T03:04:05Z</timestamp><model>wikitext</model><format>text/x-wiki</format>
<text xml:space="preserve">{text}</text></revision></page>
"""
PAGES = (
    PAGE.format(title="Bell of Orl", ns=0, id=1, text="The '''bell''' of [[Orl|the town]] rings."),
    PAGE.format(title="Help:Bells", ns=12, id=2, text="How to ring them."),
)


def multistream() -> bytes:
    """Write a dump as Wikipedia does: head, groups of pages and tail, each a stream of its own."""
    parts = (HEAD, *PAGES, "</mediawiki>\n")
    return b"".join(bz2.compress(part.encode()) for part in parts)


def read(project: Path, value: Any, **settings: Any) -> list[Any]:
    config = SourceConfig.model_validate({"wikipedia": value, **settings})
    return read_all(open_wikipedia(config, project), SourceReader(project))


def test_a_dump_on_this_machine(tmp_path: Path) -> None:
    name = "enwiki-pages-articles-multistream.xml.bz2"
    (tmp_path / name).write_bytes(multistream())
    readings = read(tmp_path, name)
    (document,) = documents_of(readings)
    assert document.uri == f"{name}#Bell_of_Orl"
    assert document.text == "The **bell** of the town rings."
    assert document.license == "CC-BY-SA-4.0"
    assert document.metadata["url"] == "https://en.wikipedia.org/wiki/Bell_of_Orl"
    assert document.modified == "2024-01-02T03:04:05Z"
    assert [item.reason for r in readings for item in r.loaded.dropped] == ["namespace"]


@pytest.mark.parametrize("namespaces", [[12], [0, 12]])
def test_other_namespaces_where_asked(tmp_path: Path, namespaces: list[int]) -> None:
    (tmp_path / "dump.xml.bz2").write_bytes(multistream())
    readings = read(tmp_path, {"dump": "dump.xml.bz2", "namespaces": namespaces})
    assert len(documents_of(readings)) == len(namespaces)
    assert documents_of(readings)[-1].title == "Help:Bells"


def test_a_licence_that_the_user_names_wins(tmp_path: Path) -> None:
    (tmp_path / "dump.xml.bz2").write_bytes(multistream())
    (document,) = documents_of(read(tmp_path, "dump.xml.bz2", license="CC-BY-SA-3.0"))
    assert document.license == "CC-BY-SA-3.0"


def test_a_dump_at_an_address(tmp_path: Path) -> None:
    with Website({"/dump.xml.bz2": Answer(multistream(), etag='"1"')}) as site:
        url = site.url("/dump.xml.bz2")
        readings = read(tmp_path, {"dump": url, "allow_hosts": [site.host]})
    (document,) = documents_of(readings)
    assert document.uri == f"{url}#Bell_of_Orl"
    assert document.license == "CC-BY-SA-4.0"
    assert not list((tmp_path / "shards").glob("*.shard"))


def test_the_hubs_parquet_goes_through_the_dataset_source(tmp_path: Path) -> None:
    folder = tmp_path / "20231101.en"
    folder.mkdir()
    url = "https://en.wikipedia.org/wiki/Bell_of_Orl"
    row = {"id": "1", "url": url, "title": "Bell of Orl", "text": "The bell rings."}
    pq.write_table(pa.Table.from_pylist([row]), folder / "train-00000.parquet")
    config = SourceConfig.model_validate(
        {"dataset": str(folder), "id_field": "id", "license": "CC-BY-SA-4.0"}
    )
    (document,) = documents_of(read_all(DatasetSource(config, tmp_path), SourceReader(tmp_path)))
    assert (document.title, document.text) == ("Bell of Orl", "The bell rings.")
    assert document.metadata["url"] == url
    assert document.uri.endswith("#1")

import bz2
import gzip
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import Loaded, SourceFile, Starting, UnreadableError
from domainforge.sources.workspaces.mediawiki import stream_mediawiki, stream_pages
from domainforge.sources.workspaces.wiki_dump import MediaWikiSource
from tests.sources.workspaces.exports import by_uri, reader, source
from tests.support.source_reader import read_all

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="0.11" xml:lang="de">
  <siteinfo>
    <sitename>Veltrenwiki</sitename>
    <dbname>veltren</dbname>
    <base>https://wiki.veltren.example/wiki/Hauptseite</base>
    <generator>MediaWiki 1.43.0</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="-2" case="first-letter">Medium</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="12" case="first-letter">Hilfe</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
"""


def page(
    title: str, text: str, id: int = 1, ns: int = 0, redirect: str = "", model: str = "wikitext",
    stamp: str = "2024-05-02T10:00:00Z",
) -> str:  # fmt: skip
    to = f'<redirect title="{escape(redirect)}" />' if redirect else ""
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{ns}</ns>
    <id>{id}</id>
    {to}
    {revision(text, stamp, model, id * 10)}
  </page>
"""


def revision(text: str, stamp: str, model: str = "wikitext", id: int = 10) -> str:
    return f"""<revision>
      <id>{id}</id>
      <parentid>{id - 1}</parentid>
      <timestamp>{stamp}</timestamp>
      <contributor>
        <username>Tove</username>
        <id>7</id>
      </contributor>
      <comment>edit</comment>
      <origin>{id}</origin>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="{len(text)}" sha1="x" xml:space="preserve">{escape(text)}</text>
      <sha1>x</sha1>
    </revision>"""


def dump(*pages: str) -> bytes:
    return (HEAD + "".join(pages) + "</mediawiki>\n").encode()


def load(data: bytes, skip: int = 0, **fields: object) -> list[Loaded]:
    config = SourceConfig.model_validate({"mediawiki": {"path": "d.xml", **fields}})
    file = SourceFile(Path("d.xml"), "wiki", config)
    parts = stream_mediawiki(io.BytesIO(data), file, skip)
    return [part for part in parts if not isinstance(part, Starting)]


def test_a_page_becomes_a_document() -> None:
    text = "'''Alba''' fährt.\n[[Kategorie:Schiffe]] [[Datei:a.jpg]]"
    (part,) = load(dump(page("Die Alba", text, 3)))
    (document,) = part.documents
    assert (document.uri, document.title) == ("wiki#Die_Alba", "Die Alba")
    assert document.text == "**Alba** fährt."
    assert document.modified == "2024-05-02T10:00:00Z"
    assert document.metadata == {
        "page_id": 3,
        "revision": 30,
        "categories": ["Schiffe"],
        "url": "https://wiki.veltren.example/wiki/Die_Alba",
        "wiki": "Veltrenwiki",
    }


def test_what_is_left_out_has_its_reason() -> None:
    pages = [
        page("Alt", "#WEITERLEITUNG [[Neu]]", 1, redirect="Neu"),
        page("Hilfe:Boot", "How to.", 2, ns=12),
        page("Stil.css", "a {}", 3, model="sanitized-css"),
        page("Leer", "{{stub}}", 4),
        page("Kaputt", "{{" * 5_000, 5),
        page("Gut", "Text.", 6),
    ]
    (part,) = load(dump(*pages))
    assert [d.title for d in part.documents] == ["Gut"]
    assert {(d.uri, d.reason) for d in part.dropped} == {
        ("wiki#Alt", "redirect"), ("wiki#Hilfe:Boot", "namespace"),
        ("wiki#Stil.css", "not_wikitext"), ("wiki#Leer", "empty"),
    }  # fmt: skip
    assert [(f.uri, f.reason) for f in part.faults] == [("wiki#Kaputt", "bad_markup")]


def test_namespaces_are_chosen() -> None:
    data = dump(page("Hilfe:Boot", "How to.", 2, ns=12), page("Gut", "Text.", 6))
    (part,) = load(data, namespaces=[12])
    assert [d.title for d in part.documents] == ["Hilfe:Boot"]


def test_of_a_history_the_newest_revision_counts() -> None:
    revisions = (
        revision("Old.", "2020-01-01T00:00:00Z"),
        revision("New.", "2024-01-01T00:00:00Z", id=30),
        revision("Middle.", "2022-01-01T00:00:00Z"),
    )
    one = f"<page><title>T</title><ns>0</ns><id>1</id>{''.join(revisions)}</page>"
    (found,) = stream_pages(io.BytesIO(dump(one)))
    assert (found.text, found.revision) == ("New.", 30)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return cast(bytes, sink.getvalue().to_pybytes())


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress, zstd])
def test_compressed_dumps(pack: type[bytes]) -> None:
    data = pack(dump(page("A", "Text.")))
    assert [found.title for found in stream_pages(io.BytesIO(data))] == ["A"]


def test_a_dump_of_many_bzip2_streams() -> None:
    # Wikipedia's multistream dumps: head, some pages each, and the end are streams of their own.
    parts = (HEAD, page("A", "a"), page("B", "b"), "</mediawiki>")
    data = b"".join(bz2.compress(part.encode()) for part in parts)
    assert [found.title for found in stream_pages(io.BytesIO(data))] == ["A", "B"]


def test_parts_can_be_skipped_and_name_themselves() -> None:
    data = dump(*(page(f"P{n}", f"Text {n}.", n) for n in range(1, 131)))
    whole = load(data)
    assert [len(part.documents) for part in whole] == [50, 50, 30]
    assert load(data, skip=2) == whole[2:]
    config = SourceConfig.model_validate({"mediawiki": "d.xml"})
    parts = stream_mediawiki(io.BytesIO(data), SourceFile(Path("d"), "wiki", config), 1)
    assert next(parts) == Starting("wiki#P51")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><mediawiki>&a;</mediawiki>', "unsafe_xml"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><mediawiki/>', "unsafe_xml"),
        (b"<html><body/></html>", "unreadable"),
        (b"no xml", "unreadable"),
        (bz2.compress(b"x" * 1000)[:-9], "unreadable"),
    ],
)
def test_what_is_no_dump_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        list(stream_pages(io.BytesIO(data)))
    assert caught.value.reason == reason


def test_pages_before_a_break_are_kept() -> None:
    cut = dump(page("A", "a"), page("B", "b"))[:-60]
    pages = stream_pages(io.BytesIO(cut))
    assert next(pages).title == "A"
    with pytest.raises(UnreadableError, match="no whole XML dump"):
        list(pages)


class _Endless(io.RawIOBase):
    """A dump as long as one likes, made while it is read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = b""

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def read(self, size: int = -1) -> bytes:
        if size == 4:
            return b"<med"
        return next(self._blocks, b"")


def test_a_page_of_any_size_stays_small_in_memory() -> None:
    def blocks() -> Iterator[bytes]:
        yield HEAD.encode()
        yield b"<page><title>Big</title><ns>0</ns><id>1</id><revision><text>"
        yield from (b"x" * 1_000_000 for _ in range(60))
        yield b"</text></revision></page></mediawiki>"

    tracemalloc.start()
    (found,) = stream_pages(cast(BinaryIO, _Endless(blocks())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.too_large
    assert found.text == ""
    assert peak < 30_000_000


def test_absurd_depth_is_harmless() -> None:
    data = dump("<x>" * 100_000 + "</x>" * 100_000, page("A", "a"))
    assert [found.title for found in stream_pages(io.BytesIO(data))] == ["A"]


def test_a_dump_as_a_source(tmp_path: Path) -> None:
    (tmp_path / "wiki.xml.bz2").write_bytes(bz2.compress(dump(page("A", "Text."))))
    options = {"path": "wiki.xml.bz2"}
    made = source(MediaWikiSource, "mediawiki", options, tmp_path)
    first = reader(tmp_path)
    readings = read_all(made, first)
    assert list(by_uri(readings)) == ["wiki.xml.bz2#A"]
    assert [r.unchanged for r in read_all(made, first.take_over(readings))] == [True]

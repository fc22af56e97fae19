"""The second time: what did not change is not fetched, what was cut off goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import SourceFile
from domainforge.sources.reading import FileWork, Reading
from domainforge.sources.web.source import WebSource, parse_pieces
from domainforge.sources.web.walk import Piece
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all
from tests.support.website import Answer, Website, page, redirect

DAY = "Wed, 01 May 2024 10:00:00 GMT"


def source(site: Website, **web: Any) -> WebSource:
    settings = {"allow_hosts": [site.host], "seconds_per_request": 0, **web}
    return WebSource(SourceConfig.model_validate({"web": settings}))


def test_unchanged_pages_are_taken_over_and_their_links_still_followed(tmp_path: Path) -> None:
    with Website(
        {
            "/": page("Home", "/a", "/b", "/c", etag='"1"'),
            "/a": [page("A", "/d", modified=DAY)],
            "/b": [page("B", etag='"1"'), page("B is new", etag='"2"')],
            "/c": page("C without validators"),
            "/d": [page("D"), page("D is new")],
        }
    ) as site:
        reader = SourceReader(tmp_path)
        first = read_all(source(site, crawl=site.url()), reader)
        assert len(documents_of(first)) == 5
        site.visits.clear()
        again = read_all(source(site, crawl=site.url()), reader.take_over(first))
        assert {r.uri.removeprefix(site.url("")): r.unchanged for r in again} == {
            "/": True, "/a": True, "/b": False, "/c": True, "/d": False,
        }  # fmt: skip
        statuses = {visit.path: visit.status for visit in site.visits}
        assert statuses == {
            "/robots.txt": 404, "/": 304, "/a": 304, "/b": 200, "/c": 200, "/d": 200,
        }  # fmt: skip
        assert all("is new" in document.text for document in documents_of(again))


def test_page_that_the_last_ingest_lost_is_fetched_whole(tmp_path: Path) -> None:
    with Website({"/": page("Home", etag='"1"')}) as site:
        reader = SourceReader(tmp_path)
        read_all(source(site, urls=site.url()), reader)
        # The next ingest knows nothing of it, for example since it was forgotten.
        (reading,) = read_all(source(site, urls=site.url()), SourceReader(tmp_path))
        assert reading.loaded.documents
        assert "if-none-match" not in site.visits[-1].headers


def test_validators_that_would_break_a_request_are_not_sent(tmp_path: Path) -> None:
    headers = {"ETag": '"\x07ü"', "Last-Modified": "x" * 600}
    with Website({"/": page("Home", headers=headers)}) as site:
        reader = SourceReader(tmp_path)
        web = source(site, urls=site.url())
        again = read_all(web, reader.take_over(read_all(web, reader)))
        assert [r.unchanged for r in again] == [True]
        assert not {"if-none-match", "if-modified-since"} & set(site.visits[-1].headers)


def test_unasked_304_is_a_fault(tmp_path: Path) -> None:
    with Website({"/": Answer(status=304)}) as site:
        (fault,) = faults_of(read_all(source(site, urls=site.url()), SourceReader(tmp_path)))
        assert fault.reason == "http_304"


def test_sitemap_date_saves_the_request(tmp_path: Path) -> None:
    def sitemap(day: str) -> Answer:
        row = "<url><loc>{}</loc><lastmod>{}</lastmod></url>"
        days = {"/a": "2024-05-01", "/b": day, "/c": datetime.now(UTC).date().isoformat()}
        rows = "".join(row.format(site.url(path), changed) for path, changed in days.items())
        return Answer(f"<urlset>{rows}</urlset>".encode(), content_type="application/xml")

    with Website({"/a": page("A"), "/b": page("B"), "/c": page("C")}) as site:
        site.site["/sitemap.xml"] = [sitemap("2024-05-01"), sitemap("2024-06-01")]
        reader = SourceReader(tmp_path)
        web = source(site, sitemap=site.url("/sitemap.xml"))
        first = read_all(web, reader)
        assert [r.uri for r in first] == [site.url(path) for path in ("/a", "/b", "/c")]
        again = read_all(web, reader.take_over(first))
        assert [r.unchanged for r in again] == [True, True, True]
        # /b has another date; /c was visited on its day and may have changed since.
        assert [len(site.asked(path)) for path in ("/a", "/b", "/c")] == [1, 2, 2]


def test_feed_entries_come_from_their_pages_or_from_the_feed(tmp_path: Path) -> None:
    def item(path: str, title: str) -> str:
        return (
            f"<item><title>{title}</title><link>{path}</link><description>Short: {title}"
            "</description><pubDate>Wed, 01 May 2024 10:00:00 GMT</pubDate></item>"
        )

    items = item("/a", "First") + item("/gone", "Second") + item("", "Third")
    items = items.replace("<link></link>", "<guid isPermaLink='false'>tag:3</guid>")
    feed = f"<rss version='2.0'><channel>{items}</channel></rss>".encode()
    with Website(
        {"/feed": Answer(feed, content_type="application/rss+xml"), "/a": page("Whole", title="x")}
    ) as site:
        reader = SourceReader(tmp_path)
        web = source(site, feed=site.url("/feed"))
        readings = read_all(web, reader)
        documents = documents_of(readings)
        assert [d.title for d in documents] == ["First", "Second", "Third"]
        assert [d.created for d in documents] == ["2024-05-01T10:00:00+00:00"] * 3
        assert [
            word in d.text for d, word in zip(documents, ["Whole", "Short", "Short"], strict=True)
        ]
        again = read_all(web, reader.take_over(readings))
        assert [r.unchanged for r in again] == [True] * 3


def test_broken_sitemap_or_feed_is_a_fault_and_the_rest_goes_on(tmp_path: Path) -> None:
    with Website({"/a": page("A"), "/feed": page("no feed")}) as site:
        web = source(
            site, urls=site.url("/a"), sitemap=site.url("/sitemap.xml"), feed=site.url("/feed")
        )
        readings = read_all(web, SourceReader(tmp_path))
        assert len(documents_of(readings)) == 1
        assert [fault.reason for fault in faults_of(readings)] == ["http_404", "feed"]


def test_reader_that_stops_early_stops_the_requests(tmp_path: Path) -> None:
    links = [f"/{n}" for n in range(50)]
    with Website({"/": page(*links), **{link: page(link) for link in links}}) as site:
        readings = source(site, crawl=site.url()).read(SourceReader(tmp_path))
        for _ in range(5):
            next(readings)
        readings.close()  # type: ignore[attr-defined]
        assert len(site.visits) < 20


CHILD = """
import sys
from pathlib import Path
from domainforge.sources.config import SourceConfig
from domainforge.sources.web.source import WebSource
from tests.support.source_reader import SourceReader

host, folder, committed = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
reader = SourceReader(folder)
reader.finished = set(committed.read_text().split()) if committed.exists() else set()
web = {"crawl": {"start": f"http://{host}/", "depth": 9}, "allow_hosts": [host],
       "seconds_per_request": 0.02}
with committed.open("a") as handle:
    for reading in WebSource(SourceConfig.model_validate({"web": web})).read(reader):
        handle.write(reading.uri + "\\n")
        handle.flush()
"""


def lines_of(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("committed", [0, 1, 3, 6, 8])
def test_interrupted_crawl_is_the_same_as_a_whole_one(tmp_path: Path, committed: int) -> None:
    with Website(
        {
            "/": page("Home", "/a", "/old", "/gone", "/copy"),
            "/a": page("A", "/b", head="<link rel=canonical href=/a>"),
            "/old": redirect("/new"),
            "/new": page("New", "/c", "/d"),
            "/copy": page("A", "/a", head="<link rel=canonical href=/a>"),
            **{f"/{x}": page(x, "/a") for x in "bcd"},
        }
    ) as site:
        web = source(site, crawl={"start": site.url(), "pages": 6})
        whole = [(r.uri, r.kind) for r in read_all(web, SourceReader(tmp_path / "whole"))]
        assert len(whole) == 8
        site.visits.clear()
        readings = web.read(SourceReader(tmp_path / "cut"))
        before = [(r.uri, r.kind) for r in islice(readings, committed)]
        readings.close()  # type: ignore[attr-defined]
        asked = set(site.paths())
        site.visits.clear()
        resumed = SourceReader(tmp_path / "cut", finished={uri for uri, _ in before})
        after = [(r.uri, r.kind) for r in read_all(web, resumed)]
        assert before + after == whole
        done = {uri.removeprefix(site.url("")) for uri, _ in before}
        assert done <= asked
        assert not done & set(site.paths())


@pytest.mark.slow
def test_killed_crawl_goes_on_and_asks_nothing_twice_that_is_committed(tmp_path: Path) -> None:
    site_map: dict[str, Any] = {"/": page("Home", *(f"/{n}" for n in range(15)))}
    for n in range(15):
        site_map[f"/{n}"] = page(f"Page {n}", f"/{n}/a", f"/{n}/b")
        site_map[f"/{n}/a"] = redirect(f"/{n}/c")
        site_map[f"/{n}/c"] = page(f"Page {n} c", f"/{(n + 1) % 15}/c")
        site_map[f"/{n}/b"] = Answer(status=404)
    with Website(site_map) as site:
        committed = tmp_path / "committed"
        command = [sys.executable, "-c", CHILD, site.host, str(tmp_path / "web"), str(committed)]
        done: set[str] = set()
        for wanted in (8, 30, None):
            site.visits.clear()
            child = subprocess.Popen(command, cwd=Path(__file__).parents[3])
            if wanted is None:
                assert child.wait() == 0
            else:
                while len(lines_of(committed)) < wanted:
                    assert child.poll() is None
                    time.sleep(0.01)
                os.kill(child.pid, signal.SIGKILL)
                child.wait()
            assert not done & set(site.paths())
            done = {uri.removeprefix(site.url("")) for uri in lines_of(committed)}
            done |= {f"/{n}/a" for n in range(15) if f"/{n}/c" in done}  # what led to them
        uris = committed.read_text().split()
        assert len(uris) == len(set(uris))
        whole = {site.url("/"), *(site.url(f"/{n}") for n in range(15))}
        whole |= {site.url(f"/{n}/{x}") for n in range(15) for x in "bc"}
        assert whole <= set(uris)
        # In the same order as without the kills.
        uninterrupted = SourceReader(tmp_path / "other")
        web = {"crawl": {"start": site.url("/"), "depth": 9}}
        assert [r.uri for r in read_all(source(site, **web), uninterrupted)] == uris


@pytest.mark.parametrize("missing", ["fetched", "visits.sqlite"])
def test_folder_may_be_lost(tmp_path: Path, missing: str) -> None:
    with Website({"/": page("Home", "/a", etag='"1"'), "/a": page("A")}) as site:
        reader = SourceReader(tmp_path)
        first = read_all(source(site, crawl=site.url()), reader)
        for path in tmp_path.glob("*"):
            if path.name.startswith(missing):
                path.unlink()
        again = read_all(source(site, crawl=site.url()), reader.take_over(first))
        assert [r.unchanged for r in again] == [True, True]


def test_readings_keep_their_order_when_files_are_parsed_ahead(tmp_path: Path) -> None:
    def piece(number: int) -> Piece:
        if number % 3 == 1:
            return Reading(f"aside {number}", "web page")
        path = tmp_path / str(number)
        path.write_text("x")
        return FileWork(SourceFile(path, f"file {number}", SourceConfig(files="x")))

    @dataclass
    class Ahead(SourceReader):
        def parse(self, work: Iterable[FileWork]) -> Iterator[Reading]:
            rest = iter(work)
            while batch := list(islice(rest, 5)):
                for item in batch:
                    assert item.file.path.exists()
                    yield Reading(item.file.uri, "text", last=False)
                    yield Reading(item.file.uri, "text")

    found = parse_pieces(map(piece, range(100)), Ahead(tmp_path))
    numbers = [int(reading.uri.split()[1]) for reading in found]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(100))
    assert not list(tmp_path.glob("*"))


def test_files_may_be_pulled_from_another_thread(tmp_path: Path) -> None:
    @dataclass
    class Threaded(SourceReader):
        def parse(self, work: Iterable[FileWork]) -> Iterator[Reading]:
            with ThreadPoolExecutor(1) as pool:
                files = pool.submit(list, work).result()
            yield from super().parse(files)

    with Website({"/": page("Home", "/a"), "/a": page("A")}) as site:
        readings = read_all(source(site, crawl=site.url()), Threaded(tmp_path))
        assert len(documents_of(readings)) == 2


def test_text_of_pages_stays_out_of_the_folder(tmp_path: Path) -> None:
    with Website({"/": page("Ferries sail on Sundays", "/a"), "/a": page("A")}) as site:
        read_all(source(site, crawl=site.url()), SourceReader(tmp_path))
    assert not any(b"Sundays" in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())

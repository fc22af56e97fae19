import gzip
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.corpora.common_crawl import open_common_crawl
from domainforge.sources.corpora.shards import ShardSource
from tests.sources.kinds.test_warc import answer, record
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all
from tests.support.website import Answer, Website, redirect


def wet(*texts: str) -> bytes:
    records = (record(t.encode(), "conversion", Content_Type="text/plain") for t in texts)
    return b"".join(gzip.compress(each) for each in records)


def source(project: Path, value: Any, **settings: Any) -> ShardSource:
    config = SourceConfig.model_validate({"common_crawl": value, **settings})
    return open_common_crawl(config, project)


def shard(text: str, **options: Any) -> Answer:
    return Answer(wet(text), etag=f'"{len(text)}"', ranges=True, **options)


def test_a_folder_of_archives(tmp_path: Path) -> None:
    folder = tmp_path / "crawl"
    folder.mkdir()
    (folder / "b.warc.wet.gz").write_bytes(wet("The bell of Orl.", "The mill of Orl."))
    (folder / "a.warc").write_bytes(record(answer()))
    (folder / "notes.txt").write_text("My notes.")
    readings = read_all(source(tmp_path, "crawl"), SourceReader(tmp_path))
    assert [document.uri for document in documents_of(readings)] == [
        "crawl/a.warc#record-1",
        "crawl/b.warc.wet.gz#record-1",
        "crawl/b.warc.wet.gz#record-2",
    ]
    dropped = [item for reading in readings for item in reading.loaded.dropped]
    assert [(item.uri, item.reason) for item in dropped] == [("crawl/notes.txt", "unknown_kind")]
    assert {reading.kind for reading in readings} == {"warc"}


def test_include_chooses_among_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.wet.gz").write_bytes(wet("One."))
    (tmp_path / "b.wet.gz").write_bytes(wet("Two."))
    found = source(tmp_path, {"files": "*.wet.gz"}, include=["b*"])
    texts = [d.text for d in documents_of(read_all(found, SourceReader(tmp_path)))]
    assert texts == ["Two."]


def test_an_unchanged_file_is_not_read_again_and_a_changed_one_changes_the_identity(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.wet.gz"
    path.write_bytes(wet("One."))
    found = source(tmp_path, "a.wet.gz")
    identity = found.identity()
    reader = SourceReader(tmp_path)
    readings = read_all(found, reader)
    again = read_all(found, reader.take_over(readings))
    assert [reading.unchanged for reading in again] == [True]
    assert found.identity() == identity
    path.write_bytes(wet("One and two."))
    assert found.identity() != identity
    assert not read_all(found, reader.take_over(readings))[0].unchanged


def test_a_file_that_this_ingest_has_is_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.wet.gz").write_bytes(wet(name))
    reader = SourceReader(tmp_path, finished={f"{tmp_path.name}/a.wet.gz", "a.wet.gz"})
    readings = read_all(source(tmp_path, "*.wet.gz"), reader)
    assert [d.text for d in documents_of(readings)] == ["b"]


def test_archives_at_addresses_are_loaded_one_after_the_other_and_removed(tmp_path: Path) -> None:
    site = {
        "/1.wet.gz?token=secret": shard("One."),
        "/2.wet.gz": redirect("/3.wet.gz"),
        "/3.wet.gz": shard("3."),
    }
    with Website(site) as server:
        value = {
            "urls": [server.url("/1.wet.gz?token=secret#x"), server.url("/2.wet.gz")],
            "allow_hosts": [server.host],
        }
        found = source(tmp_path, value)
        assert "secret" not in str(found.identity())
        readings = read_all(found, SourceReader(tmp_path))
        assert server.paths() == ["/1.wet.gz?token=secret", "/2.wet.gz", "/3.wet.gz"]
        url = server.url("/1.wet.gz")
    assert documents_of(readings)[0].uri == f"{url}#record-1"
    assert [d.text for d in documents_of(readings)] == ["One.", "3."]
    assert not list((tmp_path / "shards").glob("*.shard"))
    assert not list((tmp_path / "shards").glob("*.part"))


def test_the_list_of_a_crawl_names_them(tmp_path: Path) -> None:
    with Website({"/crawl/a.wet.gz": shard("A."), "/crawl/b.wet.gz": shard("B.")}) as server:
        listed = gzip.compress(b"crawl/a.wet.gz\ncrawl/b.wet.gz\n")
        (tmp_path / "wet.paths.gz").write_bytes(listed)
        value = {
            "paths_file": "wet.paths.gz",
            "base_url": server.url(),
            "allow_hosts": [server.host],
        }
        readings = read_all(source(tmp_path, value), SourceReader(tmp_path))
    assert [d.text for d in documents_of(readings)] == ["A.", "B."]


def test_by_default_paths_are_below_common_crawls_own_address(tmp_path: Path) -> None:
    (tmp_path / "wet.paths").write_text("crawl-data/x.wet.gz\n")
    identity = source(tmp_path, {"paths_file": "wet.paths"}).identity()
    assert identity["urls"] == ["https://data.commoncrawl.org/crawl-data/x.wet.gz"]


@pytest.mark.parametrize("data", [None, b"", b"\x1f\x8b broken", b"\xff\xfe\xfd"])
def test_a_list_that_is_none(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "wet.paths.gz").write_bytes(data)
    with pytest.raises(SourceError, match="paths_file"):
        source(tmp_path, {"paths_file": "wet.paths.gz"})


def test_loopback_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    with Website({"/a.wet.gz": shard("A.")}) as server:
        with pytest.raises(SourceError, match="common_crawl"):
            source(tmp_path, {"urls": [server.url("/a.wet.gz")]})
        assert not server.visits


def test_what_can_not_be_had_is_a_fault_of_that_file(tmp_path: Path) -> None:
    site = {"/gone.wet.gz": Answer(status=404), "/big.wet.gz": Answer(b"x" * 1_200_000),
            "/fine.wet.gz": shard("Fine.")}  # fmt: skip
    with Website(site) as server:
        value = {
            "urls": [server.url(path) for path in site],
            "allow_hosts": [server.host],
            "max_download_mb": 1,
        }
        readings = read_all(source(tmp_path, value), SourceReader(tmp_path))
    assert [fault.reason for fault in faults_of(readings)] == ["http_404", "too_large"]
    assert [d.text for d in documents_of(readings)] == ["Fine."]


def test_an_unchanged_archive_is_not_loaded_again(tmp_path: Path) -> None:
    with Website({"/a.wet.gz": [shard("A."), shard("A."), shard("Another.")]}) as server:
        value = {"urls": [server.url("/a.wet.gz")], "allow_hosts": [server.host]}
        reader = SourceReader(tmp_path)
        first = read_all(source(tmp_path, value), reader)
        second = read_all(source(tmp_path, value), reader.take_over(first))
        third = read_all(source(tmp_path, value), reader.take_over(first))
    assert [reading.unchanged for reading in second] == [True]
    assert [d.text for d in documents_of(third)] == ["Another."]


def test_a_broken_load_goes_on_where_it_was(tmp_path: Path) -> None:
    text = "The bell of Orl rings. " * 200_000
    whole = shard(text)
    with Website({"/a.wet.gz": [whole]}) as server:
        value = {"urls": [server.url("/a.wet.gz")], "allow_hosts": [server.host]}
        found = source(tmp_path, value)
        # What a run leaves that was killed while it loaded.
        work = iter(found._fetch_all(SourceReader(tmp_path), _folder(tmp_path)))
        next(work)
        (path,) = _folder(tmp_path).glob("*.shard")
        part = path.with_suffix(".part")
        part.write_bytes(path.read_bytes()[:500])
        path.unlink()
        readings = read_all(source(tmp_path, value), SourceReader(tmp_path))
        ranges = [visit.headers.get("range") for visit in server.visits]
    assert documents_of(readings)[0].text == text.strip()
    assert ranges == [None, "bytes=500-"]


def test_a_load_of_what_has_changed_since_begins_anew(tmp_path: Path) -> None:
    with Website({"/a.wet.gz": [shard("A."), shard("Another.")]}) as server:
        value = {"urls": [server.url("/a.wet.gz")], "allow_hosts": [server.host]}
        next(iter(source(tmp_path, value)._fetch_all(SourceReader(tmp_path), _folder(tmp_path))))
        (path,) = _folder(tmp_path).glob("*.shard")
        path.rename(path.with_suffix(".part"))
        readings = read_all(source(tmp_path, value), SourceReader(tmp_path))
    assert [d.text for d in documents_of(readings)] == ["Another."]


def test_a_reading_that_is_stopped_leaves_no_text_behind(tmp_path: Path) -> None:
    with Website({"/a.wet.gz": shard("A."), "/b.wet.gz": shard("B.")}) as server:
        urls = [server.url("/a.wet.gz"), server.url("/b.wet.gz")]
        found = source(tmp_path, {"urls": urls, "allow_hosts": [server.host]})
        readings = found.read(SourceReader(tmp_path))
        next(readings)
        readings.close()  # type: ignore[attr-defined]  # a generator
    assert not list(_folder(tmp_path).iterdir())


def test_a_limit_loads_no_file_ahead(tmp_path: Path) -> None:
    site = {f"/{n}.wet.gz": shard(f"Text {n}.") for n in range(4)}
    with Website(site) as server:
        value = {"urls": [server.url(path) for path in site], "allow_hosts": [server.host]}
        readings = source(tmp_path, value, limit=2).read(SourceReader(tmp_path))
        texts = [documents_of([next(readings)])[0].text for _ in range(2)]
        readings.close()  # type: ignore[attr-defined]  # a generator
        assert server.paths() == ["/0.wet.gz", "/1.wet.gz"]
    assert texts == ["Text 0.", "Text 1."]


@pytest.mark.parametrize(
    "value",
    [{}, {"files": "x", "urls": ["https://a.example/x"]}, {"files": "x", "paths_file": "y"}],
)
def test_one_place_at_a_time(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name one place"):
        SourceConfig.model_validate({"common_crawl": value})


def test_a_bare_address_is_one(tmp_path: Path) -> None:
    found = source(tmp_path, "https://data.example.org/x.wet.gz")
    assert found.identity()["urls"] == ["https://data.example.org/x.wet.gz"]


def _folder(project: Path) -> Path:
    folder = project / "shards"
    folder.mkdir(exist_ok=True)
    return folder


def test_a_list_of_paths_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.gz can't be read: No such file"):
        source(tmp_path, {"paths_file": "none.gz"})


def test_one_allowed_host_stands_alone(tmp_path: Path) -> None:
    source(tmp_path, {"urls": "http://wiki.internal:81/a.wet", "allow_hosts": "wiki.internal:81"})

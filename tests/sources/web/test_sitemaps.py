import gzip

import pytest

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.fetch import Reply
from domainforge.sources.web.request import FetchError
from domainforge.sources.web.sitemaps import Entry, parse_sitemap, read_sitemaps, unpack
from tests.support.website import bomb

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
DAY = "2024-05-01"


def urlset(*urls: str, modified: str = "") -> bytes:
    stamp = f"<lastmod>{modified}</lastmod>" if modified else ""
    rows = "".join(f"<url><loc> {url} </loc>{stamp}</url>" for url in urls)
    return f"<?xml version='1.0'?><urlset {NAMESPACE}>{rows}</urlset>".encode()


def index(*urls: str) -> bytes:
    rows = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f"<sitemapindex {NAMESPACE}>{rows}</sitemapindex>".encode()


def read(files: dict[str, bytes], start: str) -> list[Entry | tuple[str, str]]:
    def get(url: str) -> Reply:
        if url not in files:
            raise FetchError("http_404", "Not Found")
        return Reply(url, 200, {}, files[url])

    return [
        found if isinstance(found, Entry) else (found[0], found[1].reason)
        for found in read_sitemaps(start, get)
    ]


def test_index_of_compressed_sitemaps_is_read_in_order() -> None:
    files = {
        "http://a/robots.txt": b"Sitemap: http://a/index.xml",
        "http://a/index.xml": index("http://a/1.xml.gz", "http://a/gone.xml", "http://a/index.xml"),
        "http://a/1.xml.gz": gzip.compress(
            urlset("http://a/x", "http://a/y", modified="2024-05-01")
        ),
    }
    assert read(files, "http://a/robots.txt") == [
        Entry("http://a/x", DAY),
        Entry("http://a/y", DAY),
        ("http://a/gone.xml", "http_404"),
    ]


def test_list_of_urls() -> None:
    found = read({"http://a/s.txt": b"http://a/x\nnonsense\nhttp://a/y\n"}, "http://a/s.txt")
    assert found == [Entry("http://a/x"), Entry("http://a/y")]


def test_broken_xml_gives_what_can_be_read() -> None:
    entries, _ = parse_sitemap(urlset("http://a/x", "http://a/y")[:-30])
    assert entries[0] == Entry("http://a/x")


@pytest.mark.slow
def test_hostile_sitemaps() -> None:
    with pytest.raises(UnreadableError, match="too_large"):
        unpack(bomb(60))
    with pytest.raises(UnreadableError, match="gzip is broken"):
        unpack(b"\x1f\x8bnonsense")
    for body in (b"<html><p>Not found</html>", b"", b"\x00\x01", b"just words"):
        with pytest.raises(UnreadableError, match="sitemap"):
            parse_sitemap(body)


def test_entities_are_not_expanded() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><urlset><url><loc>http://a/&l11;'
    with pytest.raises(UnreadableError, match="no sitemap"):
        parse_sitemap(f"{bomb}</loc></url></urlset>".encode())
    file = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><urlset><url><loc>http://a/&f;'
    entries, _ = parse_sitemap(f"{file}</loc></url></urlset>".encode())
    assert entries == [Entry("http://a/")]


@pytest.mark.slow
def test_sitemaps_are_bounded() -> None:
    entries, _ = parse_sitemap(urlset(*(f"http://a/{n}" for n in range(50_500))))
    assert len(entries) == 50_000
    deep = {f"http://a/{n}.xml": index(f"http://a/{n + 1}.xml") for n in range(20)}
    asked: list[str] = []

    def get(url: str) -> Reply:
        asked.append(url)
        return Reply(url, 200, {}, deep[url])

    assert list(read_sitemaps("http://a/0.xml", get)) == []
    assert len(asked) == 4

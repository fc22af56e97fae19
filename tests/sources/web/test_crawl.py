"""The whole source against a website on loopback."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.reading import Reading
from domainforge.sources.web.source import WebSource
from tests.support.source_reader import SourceReader, documents_of, faults_of, read_all
from tests.support.website import Answer, Site, Website, page, redirect


def source(site: Website, web: dict[str, Any], **options: Any) -> WebSource:
    """Make a source that may reach this website, without pauses."""
    settings = {"allow_hosts": [site.host], "seconds_per_request": 0, **web}
    return WebSource(SourceConfig.model_validate({"web": settings, **options}))


def crawl(site: Website, reader: SourceReader, start: str = "/", **options: Any) -> list[Reading]:
    return read_all(source(site, {"crawl": {"start": site.url(start), **options}}), reader)


def taken(site: Website, readings: list[Reading]) -> list[str]:
    """List the paths that gave documents."""
    return [d.uri.removeprefix(site.url("")) for d in documents_of(readings)]


def dropped(site: Website, readings: list[Reading]) -> dict[str, str]:
    left_out = [item for reading in readings for item in reading.loaded.dropped]
    return {item.uri.removeprefix(site.url("")): item.reason for item in left_out}


@pytest.fixture
def reader(tmp_path: Path) -> SourceReader:
    return SourceReader(tmp_path / "web")


def test_single_page_and_what_is_known_of_it(reader: SourceReader) -> None:
    stamp = "Wed, 01 May 2024 10:00:00 GMT"
    with Website({"/a": page("Ferries run.", "/b", title="Fares", modified=stamp)}) as site:
        config = SourceConfig.model_validate({"web": {"urls": [site.url("/a#x")]}})
        assert config.place == "web"
        (reading,) = read_all(source(site, {"urls": site.url("/a#x")}), reader)
        (document,) = reading.loaded.documents
        assert (document.uri, document.title) == (site.url("/a"), "Fares")
        assert document.modified == "2024-05-01T10:00:00+00:00"
        assert document.metadata["url"] == site.url("/a")
        assert "fetched" in document.metadata
        assert "Ferries run." in document.text
        assert site.paths() == ["/robots.txt", "/a"]
    assert not list((reader.folder / "fetched").glob("*"))


def test_bare_url_in_yaml() -> None:
    config = SourceConfig.model_validate({"web": "https://docs.example.com"})
    assert config.web is not None
    assert config.web.urls == ("https://docs.example.com",)
    bare = SourceConfig.model_validate({"web": {"crawl": "https://docs.example.com"}})
    assert bare.web is not None
    assert bare.web.crawl is not None
    assert bare.web.crawl.start == ("https://docs.example.com",)


def test_depth_is_exact(reader: SourceReader) -> None:
    chain: Site = {"/0": page("0", "/1"), "/1": page("1", "/2"), "/2": page("2", "/3"),
                   "/3": page("3", "/4")}  # fmt: skip
    for depth, wanted in ((0, ["/0"]), (2, ["/0", "/1", "/2"])):
        with Website(chain) as site:
            fresh = SourceReader(reader.folder / str(depth))
            assert taken(site, crawl(site, fresh, "/0", depth=depth)) == wanted
            assert site.paths() == ["/robots.txt", *wanted]


def test_page_cap_is_exact_and_in_order_of_discovery(reader: SourceReader) -> None:
    links = [f"/{n}" for n in range(20)]
    broken = {"/1": Answer(status=404), "/2": redirect("/3")}
    with Website({"/": page(*links), **{n: page(n) for n in links}, **broken}) as site:
        readings = crawl(site, reader, pages=6)
        assert taken(site, readings) == ["/", "/0", "/3", "/4", "/5", "/6"]
        assert dropped(site, readings) == {"/2": "duplicate_url"}
        assert [(f.uri, f.reason) for f in faults_of(readings)] == [(site.url("/1"), "http_404")]
        assert "/7" not in site.paths()


def test_loops_and_spellings_are_one_page(reader: SourceReader) -> None:
    with Website(
        {
            "/": page("Home", "/a", "/a#x", "/a?utm_source=y", "/index.html", "/b?y=1&x=2"),
            "/a": page("A", "/", "/a", "/b?x=2&y=1"),
            "/b?y=1&x=2": page("B", "/a"),
        }
    ) as site:
        assert taken(site, crawl(site, reader)) == ["/", "/a", "/b?y=1&x=2"]
        assert len(site.visits) == 4


def test_robots_and_the_wishes_of_pages(reader: SourceReader) -> None:
    with Website(
        {
            "/robots.txt": Answer(b"User-agent: *\nDisallow: /private", content_type="text/plain"),
            "/": page("Home", "/private/a", "/hidden", "/quiet", "/header",
                      '<a rel="nofollow" href="/never">x</a>'),
            "/private/a": page("secret"),
            "/hidden": page("H", "/from-hidden", head="<meta name=robots content=noindex>"),
            "/from-hidden": page("F"),
            "/quiet": page("Q", "/never", head="<meta name=robots content=nofollow>"),
            "/header": page("X", "/never", headers={"X-Robots-Tag": "none"}),
            "/never": page("never"),
        }
    ) as site:  # fmt: skip
        readings = crawl(site, reader)
        assert taken(site, readings) == ["/", "/quiet", "/from-hidden"]
        assert dropped(site, readings) == {
            "/private/a": "robots",
            "/hidden": "noindex",
            "/header": "noindex",
        }
        assert not {"/never", "/private/a"} & set(site.paths())


def test_sick_robots_file_means_stay_out(reader: SourceReader) -> None:
    with Website({"/robots.txt": Answer(status=503), "/": page("x")}) as site:
        (fault,) = faults_of(crawl(site, reader))
        assert fault.reason == "robots_unreachable"
        assert set(site.paths()) == {"/robots.txt"}


def test_canonical_pages_are_one_document(reader: SourceReader) -> None:
    canonical = "<link rel=canonical href=/guide>"
    everywhere = "<link rel=canonical href=/>"
    with Website(
        {
            "/": page(
                "Home", "/guide?print=1", "/guide?lang=en", "/guide", "/other", head=everywhere
            ),
            "/guide?print=1": page("Guide", head=canonical),
            "/guide?lang=en": page("Guide", head=canonical),
            "/guide": page("Guide", head=canonical),
            "/other": page("Other", head=everywhere),
        }
    ) as site:
        readings = crawl(site, reader)
        assert taken(site, readings) == ["/", "/guide?print=1", "/other"]
        assert documents_of(readings)[1].metadata["canonical"] == site.url("/guide")
        assert dropped(site, readings) == {
            "/guide?lang=en": "duplicate_url",
            "/guide": "duplicate_url",
        }


def test_crawl_stays_where_it_is_told(reader: SourceReader) -> None:
    with Website({"/": page("elsewhere")}) as other, Website({}) as site:
        site.site.update(
            {
                "/docs/": page(
                    "Docs", "/docs/a", "/docs/b.html", "/blog", other.url(), "/docs/out"
                ),
                "/docs/a": page("A"),
                "/docs/b.html": page("B"),
                "/docs/out": redirect(other.url()),
                "/blog": page("Blog"),
            }
        )
        settings = {"allow_hosts": [site.host, other.host]}
        for options, wanted in (
            ({}, ["/docs/", "/docs/a", "/docs/b.html", "/blog"]),
            ({"same_site": "prefix"}, ["/docs/", "/docs/a", "/docs/b.html"]),
            ({"include": "*.html"}, ["/docs/", "/docs/b.html"]),
            ({"exclude": ["/blog", "*.html"]}, ["/docs/", "/docs/a"]),
        ):
            fresh = SourceReader(reader.folder / str(len(options) + len(str(options))))
            web = {**settings, "crawl": {"start": site.url("/docs/"), **options}}
            readings = read_all(source(site, web), fresh)
            assert taken(site, readings) == wanted
            followed = "/docs/out" in site.paths()
            assert dropped(site, readings) == ({"/docs/out": "left_site"} if followed else {})
            site.visits.clear()
        assert other.visits == []


def test_globs_of_the_source_choose_documents_not_links(reader: SourceReader) -> None:
    with Website(
        {"/": page("Home", "/a"), "/a": page("A", "/b.html"), "/b.html": page("B")}
    ) as site:
        web = {"crawl": {"start": site.url()}}
        readings = read_all(source(site, web, include=["*.html"]), reader)
        assert taken(site, readings) == ["/b.html"]
        assert dropped(site, readings) == {"/": "not_included", "/a": "not_included"}


def test_traps_are_left_and_told(reader: SourceReader) -> None:
    site_map: dict[str, Any] = {"/": page("Home", "/x/")}
    for n in range(1, 30):
        site_map["/" + "x/" * n] = page("deep", "/" + "x/" * (n + 1))
    with Website(site_map) as site:
        readings = crawl(site, reader, depth=30)
        assert taken(site, readings) == ["/", "/x/", "/x/x/"]
    assert reader.said[0].endswith("too many of one shape): 1")


def test_what_no_loader_reads_is_not_downloaded(reader: SourceReader) -> None:
    video = Answer(b"x" * 50_000, content_type="video/mp4", deed="drip")
    with Website({"/": page("Home", "/v.mp4"), "/v.mp4": video}) as site:
        readings = crawl(site, reader)
        assert dropped(site, readings) == {"/v.mp4": "unknown_kind"}


@pytest.mark.slow
def test_limits_of_size_and_time(reader: SourceReader) -> None:
    with Website(
        {
            "/": page("Home", "/large", "/slow"),
            "/large": Answer(b"<p>" + b"x" * 1_000_001),
            "/slow": page("slow", deed="drip", title="s" * 100),
        }
    ) as site:
        web = {"crawl": site.url(), "max_page_mb": 1, "timeout_seconds": 0.4}
        readings = read_all(source(site, web), reader)
        assert [f.reason for f in faults_of(readings)] == ["too_large", "too_slow"]
        assert len(site.asked("/slow")) == 3


def test_wrong_encodings(reader: SourceReader) -> None:
    word = "Fähre nach Göteborg"
    html = f"<title>T</title><p>{word} fährt täglich, außer sonntags.</p>"
    with Website(
        {
            "/header": Answer(html.encode("cp1252"), content_type="text/html; charset=iso-8859-1"),
            "/liar": Answer(html.encode(), content_type="text/html; charset=iso-8859-1"),
            "/meta": Answer(
                f"<meta charset=windows-1252>{html}".encode("cp1252"),
                content_type="text/html; charset=utf-8",
            ),
        }
    ) as site:
        urls = [site.url(path) for path in ("/header", "/liar", "/meta")]
        documents = documents_of(read_all(source(site, {"urls": urls}), reader))
        assert [word in document.text for document in documents] == [True] * 3


def test_user_agent_decides_which_rules_hold(reader: SourceReader) -> None:
    rules = Answer(b"User-agent: acme\nDisallow: /\n\nUser-agent: *\nDisallow:\n")
    with Website({"/robots.txt": rules, "/": page("x")}) as site:
        assert len(taken(site, crawl(site, reader))) == 1
        web = {"urls": site.url(), "user_agent": "Acme/2.0"}
        assert dropped(site, read_all(source(site, web), reader)) == {"/": "robots"}
        assert site.visits[-1].headers["user-agent"] == "Acme/2.0"


def test_endless_redirects(reader: SourceReader) -> None:
    chain = {f"/{n}": redirect(f"/{n + 1}") for n in range(50)}
    loop = {"/x": redirect("/y"), "/y": redirect("/x"), "/z": redirect("/z")}
    with Website({**chain, **loop}) as site:
        urls = [site.url(path) for path in ("/0", "/x", "/z")]
        readings = read_all(source(site, {"urls": urls}), reader)
        assert [fault.reason for fault in faults_of(readings)] == ["redirects"] * 3
        assert len(site.visits) == 1 + 11 + 2 + 1


def test_start_that_moved_to_another_host_is_followed_there(reader: SourceReader) -> None:
    with Website({"/new/": page("New", "/a"), "/a": page("A")}) as new, Website({}) as old:
        old.site["/"] = redirect(new.url("/new/"), 301)
        web = {"crawl": old.url(), "allow_hosts": [old.host, new.host]}
        readings = read_all(source(old, web), reader)
        assert [d.uri for d in documents_of(readings)] == [new.url("/new/"), new.url("/a")]


def test_addresses_that_can_not_be_asked_are_found_before_anything_is(tmp_path: Path) -> None:
    from domainforge.errors import SourceError

    for web in ("ftp://example.com", {"sitemap": "example.com"}, "http://example.com:9999/"):
        with pytest.raises(SourceError, match="sources: web:"):
            WebSource(SourceConfig.model_validate({"web": web}))
    with pytest.raises(SourceError) as error:
        WebSource(SourceConfig.model_validate({"web": "http://me:secret@example.com/"}))
    assert "secret" not in str(error.value)


def test_private_hosts_are_faults_that_say_what_to_do(reader: SourceReader) -> None:
    config = SourceConfig.model_validate({"web": "http://localhost/"})
    (fault,) = faults_of(read_all(WebSource(config, resolve=lambda h, p: ["127.0.0.1"]), reader))
    assert fault.reason == "blocked_address"
    assert "put localhost in `allow_hosts`" in fault.detail


@pytest.mark.parametrize(("at_once", "together"), [(1, False), (2, True)])
def test_pauses_and_hosts_at_once(reader: SourceReader, at_once: int, together: bool) -> None:
    with Website({f"/{n}": page(str(n), delay_seconds=0.1) for n in range(3)}) as site:
        hosts = [f"{name}.test:{site.port}" for name in "ab"]
        web = {
            "urls": [f"http://{host}/{n}" for n in range(3) for host in hosts],
            "allow_hosts": hosts,
            "seconds_per_request": 0.1,
            "hosts_at_once": at_once,
        }
        config = SourceConfig.model_validate({"web": web})
        readings = read_all(WebSource(config, resolve=lambda h, p: ["127.0.0.1"]), reader)
        assert [reading.uri for reading in readings] == web["urls"]
        visits = sorted(site.visits)
        overlaps = [b.begun < a.ended for a, b in pairwise(visits)]
        assert any(overlaps) == together
        for host in hosts:
            own = [visit for visit in visits if visit.host == host]
            assert min(b.begun - a.ended for a, b in pairwise(own)) >= 0.09


def test_sitemap_of_robots_txt_with_globs(reader: SourceReader) -> None:
    with Website({"/docs/a": page("A"), "/blog/b": page("B")}) as site:
        robots = f"User-agent: *\nDisallow: /private\nSitemap: {site.url('/map.txt')}\n"
        site.site["/robots.txt"] = Answer(robots.encode(), content_type="text/plain")
        listed = [site.url(path) for path in ("/docs/a", "/blog/b", "/docs/a#again")]
        site.site["/map.txt"] = Answer("\n".join(listed).encode(), content_type="text/plain")
        web = source(site, {"sitemap": site.url("/robots.txt")}, include=["docs/*"])
        assert taken(site, read_all(web, reader)) == ["/docs/a"]
        assert "/blog/b" not in site.paths()
        assert reader.said[0].endswith("include globs: 1")


def test_identity_holds_what_shapes_pages() -> None:
    def identity(**web: Any) -> object:
        config = SourceConfig.model_validate({"web": {"urls": "https://a.example/", **web}})
        return WebSource(config).identity()

    plain = identity()
    transport: dict[str, Any] = {
        "allow_hosts": "a.internal",
        "seconds_per_request": 3,
        "hosts_at_once": 2,
        "user_agent": "Acme/1",
        "timeout_seconds": 3,
    }
    for name, value in transport.items():
        assert identity(**{name: value}) == plain
    assert identity(max_page_mb=3) != plain
    assert identity(crawl={"start": "https://a.example/", "depth": 1}) != plain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainforge.sources.web.config import CrawlConfig
from domainforge.sources.web.frontier import Frontier, Seen
from domainforge.sources.web.urls import (
    fits,
    is_trap,
    normalise,
    page_key,
    same_site,
    url_shape,
)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("HTTP://Example.COM:80/a", "http://example.com/a"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("http://example.com/a/./b/../c#part", "http://example.com/a/c"),
        ("http://example.com/../../a", "http://example.com/a"),
        ("http://example.com/a/..", "http://example.com/"),
        ("http://example.com/%7euser/%c3%bc", "http://example.com/~user/%C3%BC"),
        ("http://example.com/ü ä", "http://example.com/%C3%BC%20%C3%A4"),
        ("http://example.com/100%", "http://example.com/100%25"),
        ("http://example.com/?utm_source=x&a=1&gclid=2", "http://example.com/?a=1"),
        ("http://example.com/?fbclid=x", "http://example.com/"),
        ("http://example.com/?PHPSESSID=abc", "http://example.com/"),
        ("http://example.com/a;jsessionid=1F?b=1", "http://example.com/a?b=1"),
        ("http://example.com/?s=news", "http://example.com/?s=news"),
        ("http://example.com/?sid=0123456789abcdef0", "http://example.com/"),
        ("http://example.com/?b=2&a=1", "http://example.com/?b=2&a=1"),
        ("  http://example.com/a\n", "http://example.com/a"),
        ("mailto:a@example.com", None),
        ("javascript:alert(1)", None),
        ("http://user:secret@example.com/", None),
        ("http://[broken/", None),
        ("http://example.com:port/", None),
        ("http://example.com/" + "a" * 3000, None),
    ],
)
def test_normalise(url: str, wanted: str | None) -> None:
    assert normalise(url) == wanted


def test_links_are_taken_from_where_they_stand() -> None:
    base = "https://example.com/docs/page"
    assert normalise("other?x=1#y", base) == "https://example.com/docs/other?x=1"
    assert normalise("//cdn.example.org/a", base) == "https://cdn.example.org/a"
    assert normalise("?page=2", base) == "https://example.com/docs/page?page=2"


@given(st.text(max_size=60), st.text(max_size=30))
def test_normalising_twice_changes_nothing(path: str, query: str) -> None:
    once = normalise(f"http://example.com/{path}?{query}")
    assert once is None or normalise(once) == once


def test_spellings_of_one_page_have_one_key() -> None:
    assert page_key("http://a.example/x/index.html") == page_key("https://a.example/x/")
    assert page_key("http://a.example/?b=1&a=2") == page_key("http://a.example/?a=2&b=1")
    assert page_key("http://a.example/x") != page_key("http://a.example/y")


@pytest.mark.slow
def test_same_site() -> None:
    start = "https://docs.example.co.uk/guide/start"
    assert same_site("http://docs.example.co.uk/other", start, "host")
    assert same_site("https://www.example.com/", "https://example.com/", "host")
    assert not same_site("https://blog.example.co.uk/", start, "host")
    assert same_site("https://blog.example.co.uk/", start, "domain")
    assert not same_site("https://other.co.uk/", start, "domain")
    assert same_site("https://docs.example.co.uk/guide/b/c", start, "prefix")
    assert same_site("https://docs.example.co.uk/guide", start, "prefix")
    assert not same_site("https://docs.example.co.uk/guidebook", start, "prefix")


def test_globs() -> None:
    url = "https://example.com/docs/a/b.html?x=1"
    for glob in ("*", "/docs/*", "docs/*", "b.html", "*.html"):
        assert fits(url, [glob])
    assert not fits(url, ["/blog/*", "*.pdf"])


def test_traps() -> None:
    assert is_trap("http://a.example/" + "x/" * 3)
    assert is_trap("http://a.example/" + "/".join(f"d{n}" for n in range(20)))
    assert is_trap("http://a.example/" + "a" * 600)
    assert is_trap("http://a.example/?" + "&".join(f"p{n}=1" for n in range(9)))
    assert not is_trap("http://a.example/2024/01/01/01-a-day?page=2")
    assert url_shape("http://a.example/2024/05?x=1") == url_shape("http://a.example/1/2?x=9")
    for named in ("about", "threads/123", "view?t=123", "p/x7"):
        assert url_shape(f"http://a.example/{named}") is None
    for machine in ("view?t=asc", "view?t=1&start=20", "calendar/2024/05", "?day=2024-05-01"):
        assert url_shape(f"http://a.example/{machine}") is not None


def test_pages_of_one_shape_fill_no_more_than_half() -> None:
    frontier = Frontier(CrawlConfig(start=("http://a.example/",), pages=60), ["http://a.example/"])
    seen = Seen()
    days = [f"http://a.example/calendar?day=2024-{day}" for day in range(100)]
    assert sum(frontier.claim(day, seen) for day in days) == 30
    assert frontier.traps == 70
    assert frontier.claim("http://a.example/about", seen)
    assert not frontier.claim("http://a.example/about", seen)

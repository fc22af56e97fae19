import pytest

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.fetch import Reply
from domainforge.sources.web.request import FetchError
from domainforge.sources.web.robots import Rules, listed_sitemaps, read_rules

AGENT = "DomainForge/0.1 (+https://example.com)"
URL = "https://example.com"


def rules(text: str, status: int = 200) -> Rules:
    return read_rules(Reply(URL, status, {}, text.encode()), AGENT)


def allowed(found: Rules, path: str) -> bool:
    try:
        found.check(URL + path)
    except UnreadableError:
        return False
    return True


def test_longest_rule_wins_and_ours_comes_first() -> None:
    found = rules(
        "User-agent: *\nDisallow: /\n\nUser-agent: domainforge\nDisallow: /private\n"
        "Allow: /private/open\nDisallow: /*.zip$\nCrawl-delay: 3\n"
    )
    assert [allowed(found, p) for p in ("/a", "/private/x", "/private/open/x", "/a.zip")] == [
        True,
        False,
        True,
        False,
    ]
    assert found.delay_seconds == 3


def test_request_rate_is_a_delay() -> None:
    assert rules("User-agent: *\nRequest-rate: 1/10\n").delay_seconds == 10


def test_no_such_file_allows_all_and_a_sick_server_nothing() -> None:
    assert allowed(rules("", 404), "/a")
    assert allowed(rules("", 403), "/a")
    with pytest.raises(UnreadableError, match="robots_unreachable"):
        rules("", 503).check(URL)
    with pytest.raises(UnreadableError, match="robots_unreachable"):
        read_rules(FetchError("connection", "refused"), AGENT).check(URL)
    with pytest.raises(UnreadableError, match="blocked_address"):
        read_rules(UnreadableError("blocked_address", "x"), AGENT).check(URL)


def test_hostile_file() -> None:
    found = rules("User-agent: *\n" + f"Disallow: /{'*a' * 2000}b\n" * 50)
    assert allowed(found, "/" + "a" * 400)
    assert allowed(rules("\0\xff" * 1000), "/")


def test_sitemaps_are_listed() -> None:
    text = b"\xef\xbb\xbfSitemap: https://example.com/a.xml\nsitemap: https://example.com/b.xml"
    assert listed_sitemaps(text) == ["https://example.com/a.xml", "https://example.com/b.xml"]

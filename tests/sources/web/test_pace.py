import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.pace import Ask, Outcome, Pace
from domainforge.sources.web.request import Access
from tests.support.website import Answer, Website, page


def said(outcome: Outcome) -> int | str:
    return outcome.reason if isinstance(outcome, UnreadableError) else outcome.status


@contextmanager
def pacing(site: Website, *names: str, seconds: float = 0.0, at_once: int = 4) -> Iterator[Pace]:
    hosts = frozenset({site.host, *(f"{name}:{site.port}" for name in names)})
    access = Access(hosts, timeout_seconds=5.0, resolve=lambda host, port: ["127.0.0.1"])
    with Pace(access, seconds, at_once) as pace:
        yield pace


def ask(pace: Pace, *urls: str) -> list[int | str]:
    return [said(outcome) for outcome in pace.ask_all([Ask(url, 100_000) for url in urls])]


def test_one_request_at_a_time_with_pauses() -> None:
    with Website({f"/{n}": page("x", delay_seconds=0.02) for n in range(5)}) as site:
        with pacing(site, seconds=0.1) as pace:
            assert ask(pace, *(site.url(f"/{n}") for n in range(5))) == [200] * 5
        visits = sorted(site.visits)
        assert site.paths() == ["/robots.txt", "/0", "/1", "/2", "/3", "/4"]
        pauses = [b.begun - a.ended for a, b in pairwise(visits)]
        assert min(pauses) >= 0.09


def test_crawl_delay_is_kept_where_it_is_longer() -> None:
    rules = Answer(b"User-agent: *\nCrawl-delay: 0.2\n", content_type="text/plain")
    with Website({"/robots.txt": rules, "/a": page("a"), "/b": page("b")}) as site:
        with pacing(site, seconds=0.01) as pace:
            assert ask(pace, site.url("/a"), site.url("/b")) == [200, 200]
        visits = sorted(site.visits)
        assert min(b.begun - a.ended for a, b in pairwise(visits)) >= 0.18


def test_absurd_crawl_delay_gives_the_host_up() -> None:
    rules = Answer(b"User-agent: *\nCrawl-delay: 86400\n", content_type="text/plain")
    with Website({"/robots.txt": rules, "/a": page("a")}) as site, pacing(site) as pace:
        assert ask(pace, site.url("/a")) == ["crawl_delay"]


def test_several_hosts_at_once_each_by_itself_in_the_order_asked() -> None:
    names = ["a.test", "b.test", "c.test"]
    with Website({f"/{n}": page("x", delay_seconds=0.15) for n in range(3)}) as site:
        urls = [site.url(f"/{n}", host=name) for n in range(3) for name in names]
        started = time.monotonic()
        with pacing(site, *names) as pace:
            outcomes = list(pace.ask_all([Ask(url, 100_000) for url in urls]))
        elapsed = time.monotonic() - started
        assert [o.url for o in outcomes if not isinstance(o, UnreadableError)] == urls
        assert 0.45 <= elapsed < 1.2  # one after the other would take 1.35
        for name in names:
            own = sorted(v for v in site.visits if v.host.startswith(name))
            assert all(a.ended <= b.begun for a, b in pairwise(own))


def test_hosts_at_once_is_a_limit() -> None:
    names = [f"{letter}.test" for letter in "abcd"]
    with Website({"/": page("x", delay_seconds=0.1)}) as site:
        with pacing(site, *names, at_once=2) as pace:
            ask(pace, *(site.url("/", host=name) for name in names))
        pages = site.asked("/")
        for visit in pages:
            assert sum(v.begun <= visit.begun < v.ended for v in pages) <= 2


def test_retry_after_is_kept() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    with Website(
        {
            "/a": [Answer(status=429, headers={"Retry-After": "1"}), page("a")],
            "/b": [Answer(status=503, headers={"Retry-After": soon}), page("b")],
        }
    ) as site:
        with pacing(site) as pace:
            assert ask(pace, site.url("/a"), site.url("/b")) == [200, 200]
        first, second = site.asked("/a")
        assert 0.95 <= second.begun - first.ended < 2.5


def test_long_retry_after_gives_the_host_up() -> None:
    busy = Answer(status=429, headers={"Retry-After": "86400"})
    with Website({"/a": busy, "/b": page("b")}) as site, pacing(site) as pace:
        assert ask(pace, site.url("/a"), site.url("/b")) == [429, "host_given_up"]
        assert site.paths() == ["/robots.txt", "/a"]


def test_sick_answer_is_asked_again_and_a_dead_one_not() -> None:
    with Website(
        {
            "/sick": [Answer(status=500), Answer(deed="drop"), page("fine")],
            "/gone": Answer(status=410),
            "/cut": Answer(b"x" * 3000, deed="truncate"),
        }
    ) as site:
        with pacing(site) as pace:
            urls = [site.url(path) for path in ("/sick", "/gone", "/cut")]
            assert ask(pace, *urls) == [200, 410, "connection"]
        counts = [len(site.asked(path)) for path in ("/sick", "/gone", "/cut")]
        assert counts == [3, 1, 3]


def test_host_that_fails_again_and_again_is_left_alone() -> None:
    with Website({f"/{n}": Answer(status=500) for n in range(9)}) as site, pacing(site) as pace:
        outcomes = ask(pace, *(site.url(f"/{n}") for n in range(9)))
        assert outcomes == [500] * 5 + ["host_given_up"] * 4
        assert len(site.visits) == 1 + 5 * 3


def test_leaving_cuts_what_is_under_way() -> None:
    started = time.monotonic()
    with Website({"/": Answer(deed="hang")}) as site:
        with pacing(site, "a.test") as pace:
            outcomes = pace.ask_all(
                [Ask(site.url("/robots.txt"), 100, named=True), Ask(site.url("/", "a.test"), 100)]
            )
            assert said(next(outcomes)) == 404
            outcomes.close()
        assert time.monotonic() - started < 2

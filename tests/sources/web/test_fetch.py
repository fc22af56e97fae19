import gzip
import time
import zlib
from collections.abc import Callable

import pytest

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.addresses import Target
from domainforge.sources.web.connection import Line, Watch
from domainforge.sources.web.fetch import fetch, fetch_once
from domainforge.sources.web.request import Access
from tests.support.website import Answer, Site, Website, bomb, page, redirect

MAX_BYTES = 1_000_000


def access(site: Website, **options: object) -> Access:
    return Access(**{"allow_hosts": frozenset({site.host}), "timeout_seconds": 5.0, **options})  # type: ignore[arg-type]


def reason(site: Site, path: str = "/", **options: object) -> str:
    """Fetch from a site of its own and return why it failed."""
    with Website(site) as website, pytest.raises(UnreadableError) as error:
        fetch(website.url(path), access(website, **options), max_bytes=MAX_BYTES)
    return error.value.reason


def test_page_is_fetched_with_what_the_server_should_know() -> None:
    with Website({"/": page("Hello")}) as site:
        reply = fetch(site.url(), access(site, user_agent="Reader/1"), max_bytes=MAX_BYTES)
    assert (reply.status, reply.media_type) == (200, "text/html")
    assert b"Hello" in reply.body
    (visit,) = site.visits
    assert visit.host == site.host
    assert visit.headers["user-agent"] == "Reader/1"
    assert visit.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_body(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    answer = Answer(compress(b"text " * 1000), headers={"Content-Encoding": encoding})
    with Website({"/": answer}) as site:
        assert fetch(site.url(), access(site), max_bytes=MAX_BYTES).body == b"text " * 1000


def test_bombs_end_at_the_limit() -> None:
    small = {"Content-Encoding": "gzip"}
    started = time.monotonic()
    assert reason({"/": Answer(bomb(50), headers=small)}) == "too_large"
    twice = gzip.compress(bomb(50))
    assert reason({"/": Answer(twice, headers={"Content-Encoding": "gzip, gzip"})}) in (
        "content_encoding",
        "too_large",
    )
    assert time.monotonic() - started < 3
    assert reason({"/": Answer(b"x", headers={"Content-Encoding": "br"})}) == "content_encoding"
    assert reason({"/": Answer(b"x", headers={"Content-Encoding": "zstd"})}) == "content_encoding"
    assert reason({"/": Answer(b"no gzip at all", headers=small)}) == "content_encoding"


def test_large_body_is_not_read() -> None:
    assert reason({"/": Answer(b"x" * (MAX_BYTES + 1))}) == "too_large"
    chunked = Answer(b"f4250\r\n" + b"x" * 1_000_016, headers={"Transfer-Encoding": "chunked"})
    assert reason({"/": chunked}) == "too_large"


@pytest.mark.slow
def test_dripping_server_meets_one_deadline() -> None:
    for deed in ("drip", "drip_headers", "hang"):
        started = time.monotonic()
        answer = Answer(b"x" * 2000, deed=deed, framed=deed != "drip")
        assert reason({"/": answer}, timeout_seconds=0.4) == "too_slow"
        assert time.monotonic() - started < 1.5


def test_broken_answers() -> None:
    assert reason({"/": Answer(b"x" * 2000, deed="truncate")}) == "connection"
    assert reason({"/": Answer(deed="drop")}) == "connection"
    assert reason({"/": Answer(b"x", deed="endless_headers")}) == "connection"


def test_redirects_are_followed_by_hand() -> None:
    with Website(
        {"/": redirect("next?a=1"), "/next?a=1": redirect("/ü"), "/%C3%BC": page("x")}
    ) as site:
        assert fetch(site.url(), access(site), max_bytes=MAX_BYTES).status == 200
        assert site.paths() == ["/", "/next?a=1", "/%C3%BC"]
    chain = {f"/{n}": redirect(f"/{n + 1}") for n in range(50)}
    with Website(chain) as site, pytest.raises(UnreadableError, match="redirects"):
        fetch(site.url("/0"), access(site), max_bytes=MAX_BYTES)
    assert len(site.visits) == 11


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://169.254.169.254/latest/meta-data/", "blocked_address"),
        ("http://127.0.0.1/", "blocked_address"),
        ("http://[::ffff:127.0.0.1]/", "blocked_address"),
        ("http://2130706433/", "bad_url"),
        ("http://localhost:{port}/", "blocked_port"),
        ("http://127.0.0.1:{other}/", "blocked_port"),
        ("file:///etc/passwd", "bad_url"),
        ("http://user:secret@127.0.0.1:{port}/", "bad_url"),
    ],
)
def test_redirect_inwards_is_blocked_before_any_connection(location: str, why: str) -> None:
    with Website({"/": page("secret")}) as other, Website({}) as site:
        site.site["/"] = redirect(location.format(port=site.port, other=other.port))
        asked: list[str] = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return [host]

        with pytest.raises(UnreadableError) as error:
            fetch(site.url(), access(site, resolve=resolve), max_bytes=MAX_BYTES)
        assert error.value.reason == why
        assert other.visits == []
        assert len(site.visits) == 1


def test_name_that_changes_its_address_is_asked_once_a_request() -> None:
    answers = [["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    with Website({"/": page("x")}) as site:
        name = f"wiki.test:{site.port}"
        to_name = access(site, allow_hosts=frozenset({name}), resolve=resolve)
        for _ in range(2):
            reply = fetch_once(site.url(host="wiki.test"), to_name, max_bytes=MAX_BYTES)
            assert reply.status == 200
        with pytest.raises(UnreadableError, match="blocked_address"):
            fetch_once(site.url(host="wiki.test"), to_name, max_bytes=MAX_BYTES)
        assert len(asked) == 3
        assert [visit.host for visit in site.visits] == [name, name]


def test_who_answered_is_checked_once_more() -> None:
    with Website({"/": page("x")}) as site, Watch(5) as watch:
        target = Target("http", "docs.example.com", site.port, "/", allowed=False)
        with pytest.raises(UnreadableError, match="blocked_address"):
            Line(target, ["127.0.0.1"], 5, watch).connect()


def test_second_address_is_tried_where_the_first_is_dead() -> None:
    with Website({"/": page("x")}) as site:
        to_name = access(
            site,
            allow_hosts=frozenset({f"wiki.test:{site.port}"}),
            resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"],
        )
        assert fetch(site.url(host="wiki.test"), to_name, max_bytes=MAX_BYTES).status == 200


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Website({"/": page("straight")}) as site, Website({}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        assert b"straight" in fetch(site.url(), access(site), max_bytes=MAX_BYTES).body
        assert proxy.visits == []


def test_body_that_is_not_wanted_is_not_read() -> None:
    with Website({"/": Answer(b"x" * 5000, content_type="video/mp4", deed="drip")}) as site:
        reply = fetch_once(
            site.url(),
            access(site),
            max_bytes=MAX_BYTES,
            wanted=lambda headers: headers["content-type"] == "text/html",
        )
    assert (reply.media_type, reply.body) == ("video/mp4", b"")

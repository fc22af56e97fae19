import pytest

from domainforge.sources.web.links import PageFacts, read_facts

URL = "https://example.com/docs/page"


def facts(html: str, headers: dict[str, str] | None = None) -> PageFacts:
    return read_facts(html.encode(), URL, headers or {})


def test_links_in_order_without_those_that_are_not_to_be_followed() -> None:
    html = """<a href=b>1</a><a href="/a#x">2</a><a rel="nofollow ugc" href=no>3</a>
    <a href="mailto:x@example.com">4</a><area href="c"><iframe src="d"></iframe><a href="b">5</a>
    <link rel=next href="?page=2"><link rel=stylesheet href=style.css><a name=x>6</a>"""
    assert facts(html).links == (
        "https://example.com/docs/b",
        "https://example.com/a",
        "https://example.com/docs/c",
        "https://example.com/docs/d",
        "https://example.com/docs/page?page=2",
    )


def test_base_moves_the_links() -> None:
    found = facts("<base href='https://example.com/new/'><a href=b>1</a>")
    assert found.links == ("https://example.com/new/b",)


@pytest.mark.parametrize(
    ("head", "headers", "noindex", "links"),
    [
        ("", {}, False, 1),
        ("<meta name=ROBOTS content='NoIndex'>", {}, True, 1),
        ("<meta name=robots content='nofollow, noarchive'>", {}, False, 0),
        ("<meta name=robots content=none>", {}, True, 0),
        ("<meta name=domainforge content=noindex>", {}, True, 1),
        ("<meta name=googlebot content=noindex>", {}, False, 1),
        ("", {"x-robots-tag": "noindex"}, True, 1),
        ("", {"x-robots-tag": "otherbot: noindex, nofollow"}, False, 1),
        ("", {"x-robots-tag": "otherbot: noindex, domainforge: nofollow"}, False, 0),
        ("", {"x-robots-tag": "unavailable_after: 2030-01-01, noindex"}, True, 1),
    ],
)
def test_what_robots_may_do(head: str, headers: dict[str, str], noindex: bool, links: int) -> None:
    found = facts(f"<head>{head}</head><a href=b>1</a>", headers)
    assert (found.noindex, len(found.links)) == (noindex, links)


def test_canonical_address() -> None:
    assert facts("<link rel=canonical href='/docs/'>").canonical == "https://example.com/docs/"
    header = {"link": '<https://example.com/c>; rel="canonical", <x>; rel=next'}
    assert facts("<p>x", header).canonical == "https://example.com/c"


def test_hostile_markup_is_read_quickly() -> None:
    assert facts("<div>" * 200_000 + "<a href=b>").links in ((), ("https://example.com/docs/b",))
    assert facts("").links == ()
    assert facts("\0\0\0").links == ()
    entity = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><a href="&e;b">x</a>'
    assert all("root:" not in link for link in facts(entity).links)
    assert len(facts("".join(f"<a href={n}>" for n in range(20_000))).links) == 5_000


def test_encoding_of_the_headers() -> None:
    page = "<a href='/straße'>".encode("cp1252")
    assert read_facts(page, URL, {}, "cp1252").links == ("https://example.com/stra%C3%9Fe",)
    assert read_facts(page, URL, {}, "no-such-encoding").links

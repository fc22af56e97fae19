import base64

import pytest

from domainforge.sources.kinds.html import html_to_markdown, parse_html
from domainforge.sources.kinds.html_links import base_of, past_redirect

TARGET = "https://example.org/wiki/Ferry"
PACKED = base64.urlsafe_b64encode(TARGET.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (f"https://www.bing.com/ck/a?!&&p=ab&u=a1{PACKED}&ntb=1", TARGET),
        ("https://www.bing.com/ck/a?!&&p=ab&u=a1L3NlYXJjaA", "https://www.bing.com/search"),
        ("https://www.bing.com/ck/a?!&&p=ab&u=a1%FF%FE", None),
        ("https://www.bing.com/ck/a?!&&p=ab", None),
        (f"https://www.google.com/url?sa=t&url={TARGET}", TARGET),
        (f"https://duckduckgo.com/l/?uddg={TARGET}", TARGET),
        (f"https://eur01.safelinks.protection.outlook.com/?url={TARGET}&data=1", TARGET),
        ("https://www.google.com/url?q=javascript:alert(1)", None),
        ("https://notbing.com/ck/a?u=a1xx", "https://notbing.com/ck/a?u=a1xx"),
        (TARGET, TARGET),
        ("https://[broken", "https://[broken"),
    ],
)
def test_redirects_that_count(url: str, target: str | None) -> None:
    assert past_redirect(url) == target


@pytest.mark.parametrize(
    ("href", "written"),
    [
        ("rules.html", "[x](https://example.org/a/rules.html)"),
        ("/rules#dogs", "[x](https://example.org/rules#dogs)"),
        ("#dogs", "[x](#dogs)"),
        ("mailto:a@example.org", "[x](mailto:a@example.org)"),
        ("JavaScript:void(0)", "x"),
        ("http://[", "[x](http://[)"),
    ],
)
def test_links_where_the_address_is_known(href: str, written: str) -> None:
    soup = parse_html(f'<p><a href="{href}">x</a></p>')
    assert html_to_markdown(soup, "https://example.org/a/page.html") == written


def test_pictures_too() -> None:
    soup = parse_html('<p><img src="../map.png" alt="A map"></p>')
    written = html_to_markdown(soup, "https://example.org/a/page.html")
    assert written == "![A map](https://example.org/map.png)"


def test_base_element() -> None:
    soup = parse_html('<head><base href="/docs/"></head>')
    assert base_of(soup, "https://example.org/a") == "https://example.org/docs/"
    assert base_of(soup, None) is None
    assert base_of(parse_html("<p>x"), None) is None

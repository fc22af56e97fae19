import json

import pytest

from domainforge.sources.kinds.html import parse_html
from domainforge.sources.kinds.html_facts import PageFacts, iso_date, page_facts


def facts_of(head: str, body: str = "", attributes: str = "") -> PageFacts:
    return page_facts(
        parse_html(f"<html {attributes}><head>{head}</head><body>{body}</body></html>")
    )


def test_page_that_says_nothing() -> None:
    assert facts_of("<title>x</title>") == PageFacts()


def test_json_ld_of_an_article() -> None:
    data = {
        "@graph": [
            {"@type": "Organization", "name": "Post", "author": "nobody"},
            {
                "@type": ["NewsArticle"],
                "headline": "Ferry &amp; tug",
                "datePublished": "2024-03-05",
                "dateModified": "2024-03-06T10:00:00Z",
                "author": [{"@type": "Person", "name": "Ann Lee"}, {"name": "Bo Fry"}],
                "inLanguage": "de-AT",
                "license": "https://creativecommons.org/publicdomain/zero/1.0/",
            },
        ]
    }
    facts = facts_of(f'<script type="application/ld+json">{json.dumps(data)}</script>')
    assert facts == PageFacts(
        title="Ferry &amp; tug",
        published="2024-03-05",
        modified="2024-03-06T10:00:00+00:00",
        author="Ann Lee, Bo Fry",
        language="de",
        license="CC0-1.0",
    )


@pytest.mark.parametrize(
    "script", ["{broken", "[" * 100_000, '{"@type": "Article", "datePublished": {"a": 1}}', "7"]
)
def test_json_ld_that_is_no_use(script: str) -> None:
    head = f'<script type="application/ld+json">{script}</script>'
    assert facts_of(head) == PageFacts()


def test_meta_tags() -> None:
    facts = facts_of(
        '<meta property="og:title" content="Fares"><meta name="DC.creator" content="Ann">'
        '<meta name="date" content="Tue, 05 Mar 2024 07:30:00 GMT">'
        '<meta property="article:modified_time" content="yesterday">'
        '<meta property="og:url" content="https://example.org/fares">',
        attributes='lang="sv"',
    )
    assert facts == PageFacts(
        title="Fares",
        published="2024-03-05T07:30:00+00:00",
        author="Ann",
        language="sv",
        url="https://example.org/fares",
    )


def test_author_that_is_an_address_is_not_used() -> None:
    assert (
        facts_of('<meta property="article:author" content="https://s.example/ann">').author is None
    )


def test_time_elements() -> None:
    only = '<time datetime="2024-01-02">2 January</time>'
    assert facts_of("", only).published == "2024-01-02"
    assert facts_of("", only * 2).published is None
    marked = '<time itemprop="datePublished" datetime="2023-05-06">then</time>'
    assert facts_of("", only + marked).published == "2023-05-06"


def test_licence_by_link() -> None:
    link = '<a rel="license" href="http://creativecommons.org/licenses/by-nc/3.0/us/">CC</a>'
    assert facts_of("", link).license == "CC-BY-NC-3.0"
    other = '<link rel="license" href="https://example.org/terms">'
    assert facts_of(other).license == "https://example.org/terms"


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2024-03-05", "2024-03-05"),
        (" 2024-03-05T07:30Z ", "2024-03-05T07:30:00+00:00"),
        ("2024-13-45", None),
        ("March 2024", None),
        ("9" * 5000, None),
        (20240305, None),
        (None, None),
    ],
)
def test_dates(written: object, date: str | None) -> None:
    assert iso_date(written) == date

from pathlib import Path

import pytest

from domainforge.records import Document
from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.known import BY_NAME
from domainforge.sources.kinds.web_page import load_web_page
from domainforge.sources.loaded import SourceFile, UnreadableError
from tests.sources.kinds.web_pages import NEWS, PAGES, PLAIN, THREAD, WebPage


def load_page(html: str, url: str = "https://example.org/docs/x.html") -> Document:
    config = SourceConfig.model_validate({"files": "x"})
    file = SourceFile(Path("x"), url, config, "web page", {"url": url})
    (document,) = load_web_page(html.encode(), file).documents
    return document


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_content_without_the_site_around_it(page: WebPage) -> None:
    url = "https://post.example/ferry" if page is NEWS else "https://example.org/docs/x.html"
    text = load_page(page.html, url).text
    assert [kept for kept in page.kept if kept not in text] == []
    assert [left_out for left_out in page.left_out if left_out in text] == []


def test_it_is_a_kind_that_only_a_source_names() -> None:
    assert BY_NAME["web page"].load is not None
    assert BY_NAME["web page"].endings == ()


def test_facts_of_the_page_are_the_document_s() -> None:
    document = load_page(NEWS.html, "https://post.example/ferry")
    assert document.title == "Ferry runs aground"
    assert document.created == "2024-03-05T07:30:00+00:00"
    assert document.modified == "2024-03-06T09:00:00+01:00"
    assert document.license == "CC-BY-SA-4.0"
    assert document.metadata == {
        "author": "Ann Lee",
        "url": "https://post.example/ferry",
        "language": "en",
    }


def test_page_with_hardly_an_article_is_taken_whole() -> None:
    cells = "".join(f"<span>{place}</span> <b>{place * 3}</b> " for place in range(200))
    assert "199" in load_page(f"<body><div>{cells}</div></body>").text
    assert load_page(PLAIN.html).text.startswith("# Opening hours")


def test_one_post_is_no_thread() -> None:
    single = THREAD.html.replace('class="post" id="p2"', "").replace('class="post" id="p3"', "")
    assert "## Bo" not in load_page(single).text


@pytest.mark.parametrize(
    ("name", "html"),
    [
        (
            "question and answers",
            '<h1>Q</h1><div class="question"><div class="s-prose"><p>Why?</p></div>'
            '<div class="post-signature"><div class="user-details"><a>Bo</a></div></div></div>'
            '<div class="answer"><div class="s-prose"><p>So.</p></div>'
            '<div class="post-signature"><div class="user-details"><a>Cay</a></div></div></div>',
        ),
        (
            "marked by schema.org",
            '<h1>Q</h1><div itemscope itemtype="https://schema.org/DiscussionForumPosting">'
            '<span itemprop="author">Bo</span><div itemprop="text">Why?</div></div>'
            '<div itemscope itemtype="https://schema.org/Comment">'
            '<span itemprop="author">Cay</span><div itemprop="text">So.</div></div>',
        ),
        (
            "rows of a table",
            '<h1>Q</h1><table><tr class="athing comtr"><td><a class="hnuser">Bo</a>'
            '<div class="commtext">Why?</div></td></tr><tr class="athing comtr"><td>'
            '<a class="hnuser">Cay</a><div class="commtext">So.</div></td></tr></table>',
        ),
    ],
)
def test_boards_of_several_kinds(name: str, html: str) -> None:
    assert load_page(html).text == "# Q\n\n## Bo\n\nWhy?\n\n## Cay\n\nSo.", name


def test_headings_in_a_post_make_no_sections() -> None:
    html = THREAD.html.replace("<p>Thanks!</p>", "<h2>Thanks!</h2>")
    assert "## Thanks" not in load_page(html).text
    assert "Thanks!" in load_page(html).text


def test_endless_nesting_is_a_fault() -> None:
    with pytest.raises(UnreadableError):
        load_page("<div>" * 5000 + "deep")

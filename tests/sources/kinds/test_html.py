from pathlib import Path

from tests.sources.samples import load_bytes

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Ferry fares - Veltren</title>
<style>p {color: red}</style><script>var secret = 1;</script></head><body>
<header><a href="/">Site logo</a></header><nav>Home | About</nav>
<main><header><h1>Ferry fares</h1><div>12 languages</div></header>
<p>A crossing costs <b>2.50</b> crowns, see the <a href="/rules">rules</a>.</p>
<h2>Times</h2><ul><li>Morning</li><li>Evening</li></ul>
<table><tr><th>Day</th><th>Last</th></tr><tr><td>Sunday</td><td>18:40</td></tr></table>
<pre><code class="language-python">fare_total = 2</code></pre>
<p hidden>not shown</p><aside>Read also</aside>
<p><img src="data:image/png;base64,AAAA"><img alt="A map" src="data:image/png;base64,BBBB">
<a href="javascript:void(0)">snake_case_name</a></p>
</main><footer>Imprint</footer></body></html>"""


def test_main_content_as_markdown(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "fares.html", PAGE.encode()).documents
    assert document.title == "Ferry fares"
    assert document.media_type == "text/html"
    for kept in (
        "# Ferry fares\n",
        "A crossing costs **2.50** crowns, see the [rules](/rules).",
        "## Times",
        "* Morning\n* Evening",
        "| Day | Last |\n| --- | --- |\n| Sunday | 18:40 |",
        "```python\nfare_total = 2\n```",
        "![A map](data:image/png;base64...)",
        "snake_case_name",
    ):
        assert kept in document.text
    for left_out in (
        "logo", "About", "languages", "secret", "color", "not shown", "also", "Imprint", "BBBB",
        "AAAA", "javascript", "![](",
    ):  # fmt: skip
        assert left_out not in document.text


def test_main_that_holds_little_is_not_the_content(tmp_path: Path) -> None:
    page = "<body><main>Skip here</main><div>" + "<p>The real text of the page.</p>" * 10
    (document,) = load_bytes(tmp_path, "x.html", page.encode()).documents
    assert "The real text" in document.text


def test_landmark_roles_inside_the_content_stay(tmp_path: Path) -> None:
    page = "<div role=banner>Top</div><main><div role=contentinfo>Result text</div></main>"
    (document,) = load_bytes(tmp_path, "x.html", page.encode()).documents
    assert document.text == "Result text"


def test_charset_of_the_meta_tag(tmp_path: Path) -> None:
    page = '<meta charset="windows-1251"><title>Порт</title><p>Паром идёт</p>'
    (document,) = load_bytes(tmp_path, "x.htm", page.encode("cp1251")).documents
    assert (document.title, document.text) == ("Порт", "Паром идёт")


def test_title_without_a_heading_and_without_a_title(tmp_path: Path) -> None:
    (named,) = load_bytes(tmp_path, "x.html", b"<title>A &amp; B</title><p>t</p>").documents
    assert named.title == "A & B"
    (bare,) = load_bytes(tmp_path, "old_page.html", b"<p>t</p>").documents
    assert bare.title == "old page"


def test_xhtml_with_an_xml_declaration(tmp_path: Path) -> None:
    page = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><p>hello</p></html>'
    (document,) = load_bytes(tmp_path, "x.xhtml", page).documents
    assert document.text == "hello"


def test_text_that_looks_like_an_address(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.html", b"http://example.org/page").documents
    assert document.text == "http://example.org/page"


def test_endless_nesting_is_a_fault(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "x.html", b"<div>" * 5000 + b"deep")
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]


def test_facts_and_raw_markup(tmp_path: Path) -> None:
    page = (
        '<html lang="en"><head><title>T</title><meta name="author" content="Ann">'
        '<meta name="date" content="2024-01-02"></head><p>text</p></html>'
    )
    (document,) = load_bytes(tmp_path, "x.html", page.encode(), keep_raw=True).documents
    assert (document.created, document.modified) == ("2024-01-02", None)
    assert document.metadata == {"author": "Ann", "language": "en"}
    assert document.raw == page


def test_relative_links_of_a_saved_page_stay(tmp_path: Path) -> None:
    page = b'<link rel="canonical" href="https://example.org/"><p><a href="b.html">b</a></p>'
    (document,) = load_bytes(tmp_path, "x.html", page).documents
    assert document.text == "[b](b.html)"


def test_nested_lists_and_cells_that_span(tmp_path: Path) -> None:
    page = (
        "<ul><li>a<ul><li>b</li></ul></li></ul><table><tr><th>x</th><th>y</th></tr>"
        "<tr><td colspan=2>wide</td></tr></table>"
    )
    (document,) = load_bytes(tmp_path, "x.html", page.encode()).documents
    assert "* a\n  + b" in document.text
    assert "| wide | |" in document.text

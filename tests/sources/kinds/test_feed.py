from pathlib import Path

import pytest

from tests.sources.samples import load_bytes

RSS = b"""<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Ferry &amp; quay</title>
<link>https://example.org/</link><description>News of the river</description>
<item><title>New fares</title><link>https://example.org/fares</link><dc:creator>Ilse</dc:creator>
<pubDate>Tue, 19 Nov 2024 13:30:02 +0000</pubDate><description>short</description>
<content:encoded><![CDATA[<h1>Fares</h1><p>Two <b>crowns</b>.</p><script>x()</script>]]>
</content:encoded></item><item><description>No title here</description></item>
</channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Quay</title>
<updated>2024-11-19T13:30:02Z</updated><entry><title type="html">A &lt;i&gt;notice&lt;/i&gt;</title>
<link href="https://example.org/a"/><updated>2024-11-18T00:00:00Z</updated>
<content type="html">&lt;p&gt;Closed.&lt;/p&gt;</content></entry></feed>"""


@pytest.mark.parametrize("name", ["news.xml", "news.rss"])
def test_rss(tmp_path: Path, name: str) -> None:
    (document,) = load_bytes(tmp_path, name, RSS).documents
    assert document.title == "Ferry & quay"
    assert document.media_type == "application/rss+xml"
    assert document.metadata == {"link": "https://example.org/", "entries": 2}
    assert document.text == (
        "# Ferry & quay\n\nNews of the river\n\n## New fares\n\n"
        "Published: 2024-11-19T13:30:02+00:00\nAuthor: Ilse\nLink: https://example.org/fares\n\n"
        "### Fares\n\nTwo **crowns**.\n\n## Untitled\n\nNo title here"
    )


@pytest.mark.parametrize("name", ["news.xml", "news.atom"])
def test_atom(tmp_path: Path, name: str) -> None:
    (document,) = load_bytes(tmp_path, name, ATOM).documents
    assert document.media_type == "application/atom+xml"
    assert document.modified == "2024-11-19T13:30:02+00:00"
    assert "# Quay\n\n## A notice\n\n" in document.text
    assert document.text.endswith("Link: https://example.org/a\n\nClosed.")


def test_a_feed_that_is_broken_xml(tmp_path: Path) -> None:
    data = RSS.replace(b"News of the river", b"News&nbsp;of & the river<br>")
    (document,) = load_bytes(tmp_path, "x.xml", data).documents
    assert "## New fares" in document.text


def test_what_is_no_feed(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "x.rss", b"<a>text</a>")
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]
    rdf = b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><x>text</x></r:RDF>'
    (document,) = load_bytes(tmp_path, "x.xml", rdf).documents
    assert document.text == "- RDF:\n  - x: text"


def test_endless_nesting_is_a_fault(tmp_path: Path) -> None:
    deep = RSS.replace(b"<h1>Fares</h1>", b"<div>" * 20_000)
    loaded = load_bytes(tmp_path, "x.rss", deep)
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]

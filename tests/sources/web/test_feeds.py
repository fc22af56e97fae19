import pytest

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.feeds import FeedEntry, parse_feed

URL = "https://example.com/blog/feed"
RSS = """<?xml version="1.0"?><rss version="2.0" xmlns:c="http://purl.org/rss/1.0/modules/content/">
<channel><title>Blog</title>
<item><title>First &amp; last</title><link>first?utm_source=rss</link><guid>1</guid>
<pubDate>Wed, 01 May 2024 10:00:00 +0200</pubDate><description>Short</description>
<c:encoded>&lt;p&gt;The whole text&lt;/p&gt;</c:encoded></item>
<item><title>No page</title><guid isPermaLink="false">two</guid>
<description>Only here</description></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>B</title><entry>
<title>Entry</title><id>tag:example.com,1</id><link href="https://example.com/e"/>
<updated>2024-05-02T00:00:00Z</updated><author><name>Ann</name></author>
<content type="html">&lt;p&gt;Text&lt;/p&gt;</content></entry></feed>"""


def parse(text: str) -> list[FeedEntry]:
    return parse_feed(text.encode(), URL, "application/xml")


def test_rss() -> None:
    first, second = parse(RSS)
    assert first.url == "https://example.com/blog/first"
    assert first.given == {"title": "First & last", "created": "2024-05-01T08:00:00+00:00"}
    assert first.content == "<p>The whole text</p>"
    assert (second.url, second.name, second.content) == (None, "two", "Only here")


def test_atom() -> None:
    (entry,) = parse(ATOM)
    assert entry.url == "https://example.com/e"
    assert entry.given == {
        "title": "Entry",
        "modified": "2024-05-02T00:00:00+00:00",
        "author": "Ann",
    }


def test_no_feed() -> None:
    for text in ("", "<html><p>Not found</p></html>", "{}", "\0\0"):
        with pytest.raises(UnreadableError, match="feed"):
            parse(text)


def test_hostile_feed() -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    doctype = f'<!DOCTYPE x [<!ENTITY l0 "ha">{entities}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    text = RSS.replace('<?xml version="1.0"?>', doctype).replace("Short", "&l11; &f;")
    for entry in parse(text):
        assert len(entry.content) < 10_000
        assert "root:" not in entry.content
    assert len(parse("<rss><channel>" + "<item><title>x</title></item>" * 3000)) == 2000

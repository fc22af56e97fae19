import pytest

from domainforge.sources.cleaning import decode
from domainforge.sources.web.media import charset_of, kind_of_reply, with_declared_charset


@pytest.mark.parametrize(
    ("path", "content_type", "wanted"),
    [
        ("/a", "text/html; charset=x", {"html", "web page"}),
        ("/a.pdf", "text/html", {"html", "web page"}),
        ("/a", "application/xhtml+xml", {"html", "web page"}),
        ("/a", "application/pdf", {"pdf"}),
        ("/a.pdf", "application/octet-stream", {"pdf"}),
        ("/a.docx", "", {"docx"}),
        ("/a", "text/plain", {"text"}),
        ("/a.md", "text/plain", {"markdown"}),
        ("/a", "text/markdown", {"markdown"}),
        ("/a.mp4", "video/mp4", {None}),
        ("/a", "application/octet-stream", {None}),
        ("/a", "image/png", {None}),
        ("/feed.xml", "application/rss+xml", {None}),
        ("/a.md", "image/png", {None}),
    ],
)
def test_kind(path: str, content_type: str, wanted: set[str | None]) -> None:
    kind = kind_of_reply(f"https://example.com{path}", content_type)
    assert (kind.name if kind else None) in wanted


def test_encoding_that_only_the_headers_know() -> None:
    russian = "<p>Пётр живёт в Петербурге</p>"
    charset = charset_of({"content-type": 'text/html; Charset="windows-1251"'})
    assert charset == "windows-1251"
    assert decode(with_declared_charset(russian.encode("cp1251"), charset)) == russian
    japanese = "<p>日本語</p>".encode("iso-2022-jp")
    assert "日本語" in decode(with_declared_charset(japanese, "iso-2022-jp"))


def test_wrong_declarations_change_nothing() -> None:
    text = "<p>Grüße</p>"
    for charset in ("iso-8859-1", "windows-1251", "utf-8", None, "no-such"):
        assert decode(with_declared_charset(text.encode(), charset)) == text
    assert with_declared_charset("ü".encode("cp1252"), "utf-8") == "ü".encode("cp1252")

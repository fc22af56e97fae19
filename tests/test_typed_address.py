import pytest

from domainforge.errors import ConfigError
from domainforge.typed_address import carries_password, guess_web_kind, host_to_allow


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:s3@h/db",
        "postgresql+psycopg://:s3@h/db",
        "postgresql://u:pa@ss?wo=rd@h/db",
        "postgresql://u:s/3@h/db",
        "postgresql:/u:s3@h/db",
        "u:s3@h/db",
        "host=h dbname=d password = s3",
        "postgresql://h/db?user=u&password=s3",
        "https://u:s3@h/page",
        "https://u:s/3@h/page",
        "http:/u:s3@h/page",
    ],
)
def test_a_password_is_seen_even_in_a_slip(text: str) -> None:
    assert carries_password(text)


@pytest.mark.parametrize(
    "text",
    [
        "documents", "data/*.md", "HANDBOOK_DB", "sqlite:///x.db", "postgresql://reader@h:5432/db",
        "https://h/@author/a:b", "http://h:8080/@author", "http://[::1]:80/@author", "reader@h",
        "ftp://u@h", "https://u@h/", "C:/documents",
    ],
)  # fmt: skip
def test_what_holds_no_password_is_left_alone(text: str) -> None:
    assert not carries_password(text)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://h", "site"),
        ("https://h/", "site"),
        ("https://h/guide/fares.html", "page"),
        ("https://h/feedback", "page"),
        ("https://h/robots.txt", "sitemap"),
        ("https://h/sitemap_index.xml", "sitemap"),
        ("https://h/blog/feed/", "feed"),
        ("https://h/news.rss", "feed"),
        ("https://h/atom.xml", "feed"),
    ],
)
def test_the_kind_of_an_address_is_guessed_by_its_look(url: str, kind: str) -> None:
    assert guess_web_kind(url) == kind


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://docs.example.com/a", None),
        ("http://localhost/", "localhost"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://wiki.example.com:8080/", "wiki.example.com:8080"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("http://10.0.0.7/", "10.0.0.7"),
    ],
)
def test_a_host_that_must_be_allowed_is_named_as_the_crawl_wants_it(
    url: str, host: str | None
) -> None:
    assert host_to_allow(url) == host


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://169.254.169.254/latest", "never asked"),
        ("https://someone@h/", "not sent anywhere"),
        ("https://", "no host"),
        ("https://h:port/", "no usable address"),
        ("http://[h/", "no usable address"),
        ("https://h/a b", "spaces"),
    ],
)
def test_an_address_that_may_never_be_asked_says_why(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        host_to_allow(url)

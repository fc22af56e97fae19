from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from domainforge.sources.loaded import UnreadableError
from domainforge.sources.web.addresses import (
    Resolve,
    check_address,
    check_url,
    find_addresses,
    is_public,
    resolve_host,
)
from domainforge.sources.web.config import WebConfig

PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1",
    "100.100.100.200", "100.127.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "168.63.129.16", "::", "::1", "::127.0.0.1", "::8.8.8.8",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:7f00:1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "2002:808:808::", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1", "2001:db8::1", "3fff::1", "fe80::1", "fe80::1%eth0", "2a00:1450::1%eth0",
    "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1", "5f00::1", "4000::1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
    "192.0.1.1", "198.17.1.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    "2a00:1450:4001::200e", "2606:4700::1111",
]  # fmt: skip


def reason(error: pytest.ExceptionInfo[UnreadableError]) -> str:
    return error.value.reason


def answering(*addresses: str) -> Resolve:
    return lambda host, port: addresses


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_of_the_public_internet(text: str) -> None:
    assert not is_public(ip_address(text))
    with pytest.raises(UnreadableError) as error:
        find_addresses(check_url("http://docs.example.com/"), answering("8.8.8.8", text))
    assert reason(error) == "blocked_address"


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses(text: str) -> None:
    assert is_public(ip_address(text))
    assert find_addresses(check_url("http://docs.example.com/"), answering(text)) == [text]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1.",
     "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "LOCALHOST", "0.0.0.0", "[::]"],
)  # fmt: skip
def test_loopback_in_every_spelling_is_refused_by_the_real_resolver(host: str) -> None:
    with pytest.raises(UnreadableError) as error:
        find_addresses(check_url(f"http://{host}/"), resolve_host)
    assert reason(error) in ("blocked_address", "bad_url", "no_such_host")


@pytest.mark.parametrize(
    "url",
    ["http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/",
     "http://127.1/", "http://127.0.1/", "http://127.0.0.1.0x/", "http://017700000001/",
     "http://[fe80::1%25eth0/", "http://user@example.com/", "http://:secret@example.com/",
     "http://example.com\\@127.0.0.1/", "http://exa mple.com/", "http://example.com\t/",
     "http://example.com:99999/", "http://example.com:x/", "http:///path", "http://",
     "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "example.com",
     "//example.com/", "http://-.-..com/", "http://a..b/", "http://" + "a" * 64 + ".com/",
     "http://example.com/" + "a" * 2000, "http://[1.2.3.4]/", "http://ex%61mple.com/"],
)  # fmt: skip
def test_urls_that_nobody_writes_in_good_faith(url: str) -> None:
    with pytest.raises(UnreadableError) as error:
        check_url(url)
    assert reason(error) == "bad_url"
    assert "secret" not in str(error.value)


def test_only_usual_ports_unless_allowed_by_name() -> None:
    assert check_url("https://example.com").port == 443
    assert check_url("https://example.com:80/").port == 80
    for port in (22, 6379, 8080):
        with pytest.raises(UnreadableError, match=rf"example\.com:{port} in `allow_hosts`"):
            check_url(f"http://example.com:{port}/", ["example.com", "example.com:81"])
    assert check_url("http://example.com:8080/", ["example.com:8080"]).port == 8080


def test_allowed_hosts_are_taken_to_the_letter() -> None:
    inside = answering("10.1.2.3")
    allowed = check_url("http://wiki.internal/a", ["wiki.internal"])
    assert find_addresses(allowed, inside) == ["10.1.2.3"]
    for url in (
        "http://x.wiki.internal/",
        "http://wiki.internal.example.com/",
        "http://iki.internal/",
    ):
        with pytest.raises(UnreadableError, match="blocked_address"):
            find_addresses(check_url(url, ["wiki.internal"]), inside)
    with pytest.raises(UnreadableError, match=r"put wiki\.internal in `allow_hosts`"):
        find_addresses(check_url("http://wiki.internal/", ["wiki.internal:8080"]), inside)


def test_allowed_name_does_not_open_the_metadata_service() -> None:
    target = check_url("http://wiki.internal/", ["wiki.internal"])
    for text in (
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "fe80::1",
        "0.0.0.0",
    ):
        with pytest.raises(UnreadableError, match=r"blocked_address: .* never asked"):
            check_address(text, target)


@pytest.mark.parametrize("name", ["http://wiki.internal/", "wiki.internal/docs", "me@wiki", " "])
def test_allowed_hosts_are_no_addresses(name: str) -> None:
    with pytest.raises(ValidationError, match=r"write hosts alone, as `wiki\.internal`"):
        WebConfig(urls=("https://a.example",), allow_hosts=(name,))


def test_an_address_without_its_scheme_is_told_how() -> None:
    with pytest.raises(UnreadableError, match=r"write it with its scheme, as https://"):
        check_url("docs.example.com/start")


def test_host_without_addresses() -> None:
    with pytest.raises(UnreadableError, match="no_such_host"):
        find_addresses(check_url("http://nothing.invalid/"), answering())


def test_url_is_taken_apart() -> None:
    target = check_url("HTTPS://Docs.Example.COM:443/a%20b?q=ü#part")
    assert (target.host, target.path) == ("docs.example.com", "/a%20b?q=%C3%BC")
    assert target.origin == "https://docs.example.com"
    assert check_url("http://bücher.example/").host == "xn--bcher-kva.example"
    assert check_url("http://[2A00:1450::1]:80/").authority == "[2a00:1450::1]"

import pytest

from domainforge.markdown import plain_heading
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.loaded import UnreadableError

FRENCH = "Le café est fermé à midi, où que vous soyez."


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", FRENCH),
        ("utf-8-sig", FRENCH),
        ("utf-16", FRENCH),
        ("utf-16-le", FRENCH),
        ("utf-16-be", FRENCH),
        ("utf-32", FRENCH),
        ("cp1252", FRENCH),
        ("cp1252", "Price: £5 \u2013 “quoted” text\u2019s"),
        ("cp1250", "Zażółć gęślą jaźń, proszę państwa."),
        ("cp1251", "Привет, это обычный текст на русском языке."),
        ("cp932", "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n"),
    ],
)
def test_decode_finds_the_encoding(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_decode_uses_the_declared_encoding() -> None:
    russian = "Мир".encode("koi8-r")
    assert decode(russian, "koi8-r") == "Мир"
    assert decode("€".encode("cp1252"), "iso-8859-1") == "€"
    assert decode("日本".encode("iso2022_jp"), "iso-2022-jp") == "日本"
    assert decode(FRENCH.encode(), "koi8-r") == FRENCH, "valid UTF-8 beats a wrong declaration"
    assert decode(FRENCH.encode("cp1252"), "no-such-encoding") == FRENCH


@pytest.mark.parametrize("data", [bytes(range(256)) * 20, b"\x00\x01\x02" * 100, b"\xff\xfea"])
def test_decode_refuses_what_is_no_text(data: bytes) -> None:
    with pytest.raises(UnreadableError) as caught:
        decode(data)
    assert caught.value.reason == "not_text"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("ex\u00adam\u200bple\ufeff", "example"),
        ("5\u00a0km\u202fh", "5 km h"),
        ("\ufb01rst \ufb02oor o\ufb03ce", "first floor office"),
        ("a\x00\x08b\x7f\tc", "ab\tc"),
        ("one\x0ctwo\u2028three", "one\ntwo\nthree"),
        ("caf" + "e\u0301", "café"),
        ("a  \n\n\n\n b\n\n", "a\n\n b"),
        ("safe \u202egnp.exe\u202c", "safe gnp.exe"),
        ("seen\U000e0041\U000e0042", "seen"),
        ("half \ud800 char", "half  char"),
        ("\uf0b7 item", "• item"),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
    ],
)
def test_clean_text(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_first_heading_is_not_a_comment_in_code() -> None:
    text = "intro\n\n```sh\n# install\n```\n\n## The [real](x.html) **one** ##\n"
    assert first_heading(text) == "The real one"
    assert first_heading("no heading\n#tag") is None


def test_plain_heading_drops_anchors() -> None:
    assert plain_heading("*Fees* and `code` {#fees}") == "Fees* and code"

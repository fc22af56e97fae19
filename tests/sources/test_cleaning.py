import pytest

from domainforge.markdown import plain_heading
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.loaded import UnreadableError

SWEDISH = "Smörgås, räksmörgås och färja till Åbo"
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


@pytest.mark.parametrize(
    ("data", "text"),
    [
        # Read as Windows-1252 and written as UTF-8 once too often.
        ("Le cafÃ© est fermÃ© Ã\u00a0 midi".encode(), "Le café est fermé à midi"),
        ("It isnâ€™t open, â€œalasâ€\u009d".encode(), "It isn\u2019t open, “alas”"),
        ("Паром идёт".encode().decode("cp1252").encode(), "Паром идёт"),
        # What only looks like it stays.
        ("NÃO É «CAFÉ» à 5 €".encode(), "NÃO É «CAFÉ» à 5 €"),
        ("The sign Ã© is what é becomes".encode(), "The sign Ã© is what é becomes"),
        # UTF-8 with a stray byte, and one that was cut in the middle of a character.
        (("naïve déjà vu, " * 20).encode() + b"caf\xe9", "naïve déjà vu, " * 20 + "café"),
        (("Паром идёт. " * 9).encode() + "ё".encode()[:1], "Паром идёт. " * 9 + "Ñ"),
        # Windows-1252 with and without a wrong declaration.
        (SWEDISH.encode("cp1252"), SWEDISH),
    ],
)
def test_decode_mends_the_wrong_charset(data: bytes, text: str) -> None:
    assert decode(data) == text
    assert decode(data, "utf-8") == text


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
        ("it\u0092s \u0093so\u0094 \u0096 5 \u0080\u0081", "it\u2019s “so” \u2013 5 €"),
        ("a \t \nb\r\n\r\n\r\n\r\nc\r", "a\nb\n\nc"),
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


def test_clean_text_is_done_with_what_it_has_cleaned() -> None:
    odd = "".join(chr(code) for code in range(0x3000)) + "\ufb01 \ufeff \U000e0041 \uf0b7"
    once = clean_text(odd * 2)
    assert clean_text(once) == once
    assert not set(once) & set("\x00\x1f\x7f\xa0\xad\u200b\u2028\ufb01\ufeff\U000e0041")


def test_long_runs_of_spaces_take_linear_time() -> None:
    assert clean_text("a" + " " * 300_000 + "b \nc") == "a" + " " * 300_000 + "b\nc"

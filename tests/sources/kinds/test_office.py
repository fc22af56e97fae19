"""What no office file or e-book may do, whatever its kind."""

import re
from pathlib import Path

import pytest
from lxml import etree

from domainforge.sources.kinds.office import check_xml, iso_date, open_package, properties_of
from domainforge.sources.loaded import Loaded, UnreadableError
from tests.sources.kinds.office_samples import PACKAGES, make_xls, make_zip, replaced
from tests.sources.samples import load_bytes, make_docx

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol" * 100}">' for n in range(9))
DOCTYPES = {
    "laughs": f"<!DOCTYPE x [{LAUGHS}]>",
    "outside": '<!DOCTYPE x [<!ENTITY l8 SYSTEM "file:///etc/hostname">]>',
    "parameter": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>',
}
KINDS = list(PACKAGES)


def reason(loaded: Loaded) -> str:
    assert not loaded.documents
    (fault,) = loaded.faults
    return fault.reason


@pytest.mark.parametrize("name", KINDS)
def test_the_samples_can_be_read(tmp_path: Path, name: str) -> None:
    loaded = load_bytes(tmp_path, name, PACKAGES[name][0]())
    assert loaded.documents
    assert not loaded.faults


@pytest.mark.parametrize("doctype", DOCTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_xml_entities_are_refused(tmp_path: Path, name: str, doctype: str) -> None:
    make, part = PACKAGES[name]

    def poison(entry: str, body: bytes) -> bytes:
        if entry != part:
            return body
        text = re.sub(r"^\s*<\?xml[^>]*>", "", body.decode())
        return (DOCTYPES[doctype] + re.sub(r">([^<>\s]+)<", r">\1&l8;<", text)).encode()

    assert reason(load_bytes(tmp_path, name, replaced(make(), poison))) == "xml_entities"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-7", "cp037"])
def test_entities_in_another_encoding_are_refused(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [{LAUGHS}]><x>&l8;</x>'
    with pytest.raises(UnreadableError):
        check_xml(text.encode(encoding), "x.xml")
    if encoding == "utf-7":
        # Markup that only a UTF-7 parser would see.
        hidden = b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-ENTITY'
        with pytest.raises(UnreadableError, match="encoding"):
            check_xml(hidden, "x.xml")


@pytest.mark.parametrize("name", KINDS)
def test_a_zip_bomb_is_named_before_it_is_unpacked(tmp_path: Path, name: str) -> None:
    make, part = PACKAGES[name]
    blank = b" " * 50_000_000
    data = replaced(make(), lambda entry, body: body + blank if entry == part else body)
    assert reason(load_bytes(tmp_path, name, data)) == "bomb"


SOFT = "\u00ad"
WORDS = {
    "x.docx": ("word/document.xml", "crossing"),
    "x.pptx": ("ppt/slides/slide1.xml", "Dogs"),
    "x.xlsx": ("xl/worksheets/sheet1.xml", "Port"),
    "x.odt": ("content.xml", "crossing"),
    "x.ods": ("content.xml", "Port"),
    "x.odp": ("content.xml", "Dogs"),
    "x.epub": ("in/b.xhtml", "crossing"),
}


@pytest.mark.parametrize("name", KINDS)
def test_text_is_cleaned_and_raw_is_kept_where_asked(tmp_path: Path, name: str) -> None:
    part, word = WORDS[name]
    odd = f"{word[:2]}{SOFT}{word[2:]}"
    data = replaced(
        PACKAGES[name][0](),
        lambda entry, body: body.replace(word.encode(), odd.encode()) if entry == part else body,
    )
    (document,) = load_bytes(tmp_path, name, data, keep_raw=True).documents
    assert word in document.text
    assert odd in str(document.raw)
    assert load_bytes(tmp_path, name, data).documents[0].raw is None


def test_too_many_entries_are_refused() -> None:
    entries = {"word/document.xml": b"<x/>", **{f"word/{n}": b"" for n in range(20_001)}}
    with pytest.raises(UnreadableError, match="entries"):
        open_package(make_zip(entries), ".docx", "word/")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("name", KINDS)
def test_a_truncated_file_is_a_fault(tmp_path: Path, name: str, share: float) -> None:
    data = PACKAGES[name][0]()
    assert reason(load_bytes(tmp_path, name, data[: int(len(data) * share)])) == "unreadable"


@pytest.mark.parametrize("name", KINDS)
def test_broken_xml_in_it_is_a_fault(tmp_path: Path, name: str) -> None:
    make, part = PACKAGES[name]
    data = replaced(make(), lambda entry, body: body[: len(body) // 2] if entry == part else body)
    assert reason(load_bytes(tmp_path, name, data)) == "unreadable"


@pytest.mark.parametrize("name", [*KINDS, "x.xls", "x.rtf"])
@pytest.mark.parametrize(
    ("data", "wanted", "words"),
    [
        (b"", "unreadable", "nothing in it"),
        (b"\0" * 5000, "unreadable", "nothing in it"),
        (b"\xef\xbb\xbf <!DOCTYPE html><html><table><tr><td>1", "wrong_kind", "HTML"),
        (b"%PDF-1.7 ...", "wrong_kind", "PDF"),
        (b"just words", "unreadable", "no readable"),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "encrypted", "password"),
        (b"\xd0\xcf\x11\xe0" + "WordDocument".encode("utf-16-le"), "wrong_kind", ".docx"),
    ],
)
def test_what_it_really_is_is_said(
    tmp_path: Path, name: str, data: bytes, wanted: str, words: str
) -> None:
    (fault,) = load_bytes(tmp_path, name, data).faults
    assert fault.reason == wanted
    assert words in fault.detail


@pytest.mark.parametrize("name", KINDS)
def test_a_zip_of_another_kind_is_named(tmp_path: Path, name: str) -> None:
    other = "x.docx" if name != "x.docx" else "x.xlsx"
    (fault,) = load_bytes(tmp_path, name, PACKAGES[other][0]()).faults
    assert fault.reason == "wrong_kind"
    assert other[1:] in fault.detail


def test_old_excel_under_a_new_name_and_the_other_way_round(tmp_path: Path) -> None:
    (fault,) = load_bytes(tmp_path, "x.xlsx", make_xls()).faults
    assert (fault.reason, ".xls" in fault.detail) == ("wrong_kind", True)
    assert load_bytes(tmp_path, "x.xls", PACKAGES["x.xlsx"][0]()).documents


def test_an_encrypted_opendocument_says_so(tmp_path: Path) -> None:
    def encrypt(entry: str, body: bytes) -> bytes:
        if entry == "META-INF/manifest.xml":
            return body.replace(b"</manifest:manifest>", b"<manifest:encryption-data/>") + b">"
        return b"\x9f\x03" * 50 if entry == "content.xml" else body

    data = replaced(PACKAGES["x.odt"][0](), encrypt)
    assert reason(load_bytes(tmp_path, "x.odt", data)) == "encrypted"


def test_names_that_leave_the_archive_harm_nobody(tmp_path: Path) -> None:
    entries = {"../../evil.xml": b"<x/>", "/etc/evil": b"x"}
    data = replaced(make_docx(), lambda entry, body: body)
    package = open_package(data, ".docx", "word/")
    evil = make_zip({**{name: package.read(name) for name in package.names}, **entries})
    folder = tmp_path / "in"
    folder.mkdir()
    assert load_bytes(folder, "x.docx", evil).documents
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_properties_leave_out_what_programs_write() -> None:
    root = etree.fromstring(
        "<p xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        "<dc:title>Microsoft Word - old.doc</dc:title>"
        "<dc:creator>python-docx</dc:creator><keywords>ferry</keywords>"
        "<created>2024-03-01T10:00:00Z</created><modified>never</modified></p>"
    )
    found = properties_of(root)
    assert (found.title, found.created, found.modified) == (None, "2024-03-01T10:00:00Z", None)
    assert found.metadata == {"keywords": "ferry"}


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2024-03-01", "2024-03-01"),
        ("2024-03-01T10:00:00.123456+02:00", "2024-03-01T10:00:00+02:00"),
        ("1601-01-01T00:00:00Z", None),
        ("March", None),
        (None, None),
    ],
)
def test_dates_are_iso_or_nothing(value: str | None, date: str | None) -> None:
    assert iso_date(value) == date

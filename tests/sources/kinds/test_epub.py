from pathlib import Path

from tests.sources.kinds.office_samples import make_epub
from tests.sources.samples import load_bytes

ENCRYPTION = (
    "<encryption xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><EncryptedData>"
    "<CipherData><CipherReference URI='{}'/></CipherData></EncryptedData></encryption>"
)


def test_chapters_in_reading_order_under_their_headings(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.epub", make_epub()).documents
    assert document.text == (
        "**Authors:** Ann Quay, Bo Pier\n\n**Description:** All of it.\n\n"
        "# Fares\n\nA crossing costs **2.50**.\n\nsee below ![Map of ports](map.png)\n\n"
        "# Hours\n\nThe last ferry leaves at 18:40.\n\nNot on Sundays."
    )
    assert document.title == "The ferry"
    assert document.metadata == {
        "author": "Ann Quay, Bo Pier",
        "description": "All of it.",
        "language": "en",
    }
    assert (document.modified, document.license) == ("2024-03-01T10:00:00Z", "CC0-1.0")


def test_a_copy_protected_book_says_so(tmp_path: Path) -> None:
    locked = make_epub(**{"META-INF/encryption.xml": ENCRYPTION.format("in/b.xhtml")})
    (fault,) = load_bytes(tmp_path, "x.epub", locked).faults
    assert fault.reason == "encrypted"
    fonts = make_epub(**{"META-INF/encryption.xml": ENCRYPTION.format("in/font.otf")})
    assert load_bytes(tmp_path, "x.epub", fonts).documents


def test_a_missing_chapter_is_a_fault_of_its_own(tmp_path: Path) -> None:
    opf = (
        "<package><manifest>"
        "<item id='a' href='a.xhtml' media-type='application/xhtml+xml'/>"
        "<item id='b' href='../../../etc/hostname' media-type='application/xhtml+xml'/>"
        "</manifest><spine><itemref idref='a'/><itemref idref='b'/></spine></package>"
    )
    loaded = load_bytes(tmp_path, "x.epub", make_epub(**{"in/book.opf": opf}))
    assert [d.text for d in loaded.documents] == [
        "The last ferry leaves at 18:40.\n\nNot on Sundays."
    ]
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]
    assert "etc/hostname" in loaded.faults[0].uri


def test_a_book_that_lists_nothing_is_a_fault(tmp_path: Path) -> None:
    (fault,) = load_bytes(tmp_path, "x.epub", make_epub(**{"in/book.opf": "<package/>"})).faults
    assert fault.reason == "unreadable"


def test_entities_in_a_chapter_stay_small(tmp_path: Path) -> None:
    laughs = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol" * 100}">' for n in range(9)
    )
    chapter = {"a.xhtml": "x"}
    data = make_epub(chapter, **{"in/a.xhtml": f"<!DOCTYPE x [{laughs}]><p>Fares &l8; end</p>"})
    (document,) = load_bytes(tmp_path, "x.epub", data).documents
    assert "Fares" in document.text
    assert len(document.text) < 5000

import io
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.sources.samples import load_bytes, make_docx


def test_headings_lists_and_tables_survive(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "rules.docx", make_docx()).documents
    assert document.title == "Ferry rules"
    assert document.text == (
        "# Ferry rules\n\n# Fares\n\nA crossing costs 2.50 crowns.\n\n"
        "* Children travel free.\n* Dogs pay half.\n\n## Hours\n\n"
        "| Day | Last ferry |\n| --- | --- |\n| Sunday | 18:40 |"
    )


@pytest.mark.parametrize("data", [b"PK\x03\x04 broken", b"plain text", make_docx()[:2000]])
def test_broken_file_is_a_fault(tmp_path: Path, data: bytes) -> None:
    loaded = load_bytes(tmp_path, "x.docx", data)
    assert not loaded.documents
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [("kb/x.docx", "unreadable")]


def test_broken_xml_inside_is_a_fault(tmp_path: Path) -> None:
    buffer = io.BytesIO(make_docx())
    out = io.BytesIO()
    with ZipFile(buffer) as old, ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"<w:broken" if name == "word/document.xml" else old.read(name))
    (fault,) = load_bytes(tmp_path, "x.docx", out.getvalue()).faults
    assert fault.reason == "unreadable"


def test_password_protected_file_says_so(tmp_path: Path) -> None:
    (fault,) = load_bytes(tmp_path, "x.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 100).faults
    assert fault.reason == "encrypted"

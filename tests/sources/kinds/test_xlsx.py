import datetime
import struct
import time
from pathlib import Path

import openpyxl
import pytest

from domainforge.sources.kinds.xlsx import sheet_blocks
from tests.sources.kinds.office_samples import make_xls, make_xlsx, saved
from tests.sources.samples import load_bytes


def test_sheets_with_dates_merged_cells_and_hidden_ones(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "fares.xlsx", make_xlsx())
    (document,) = loaded.documents
    assert document.text == (
        "## Fares\n\nFares of 2024\n\n| Port | From | Price |\n| --- | --- | --- |\n"
        "| North | 2024-03-01 | 3 |\n| North | 2024-03-01T06:30:00 | 0.3 |"
    )
    assert document.metadata == {"sheets": ["Fares"]}
    assert [(left.uri, left.reason) for left in loaded.dropped] == [
        ("kb/fares.xlsx#Secret", "hidden")
    ]


def test_old_workbooks(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "fares.xls", make_xls()).documents
    assert document.text == "## Fares\n\n| Port | Price |\n| --- | --- |\n| North | 2.5 |"
    assert document.media_type == "application/vnd.ms-excel"


def test_values_as_a_reader_sees_them(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["a", "b"])
    values = [
        True,
        12,
        1e20,
        datetime.timedelta(hours=30, minutes=5),
        datetime.time(6, 5),
        "x|y\nz",
    ]
    for value in values:
        sheet.append(["v", value])
    (document,) = load_bytes(tmp_path, "x.xlsx", saved(book.save)).documents
    cells = [line.split(" | ", 1)[1].removesuffix(" |") for line in document.text.splitlines()[4:]]
    assert cells == ["TRUE", "12", "1E+20", "30:05:00", "06:05:00", "x\\|y z"]


@pytest.mark.parametrize("far", ["XFD1048576", "A1048576"])
def test_stray_cells_cost_nothing(tmp_path: Path, far: str) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Port", "Price"])
    sheet.append(["North", 3])
    sheet[far] = "stray"
    started = time.monotonic()
    loaded = load_bytes(tmp_path, "x.xlsx", saved(book.save))
    assert time.monotonic() - started < 10
    (document,) = loaded.documents
    assert document.text.startswith("## Sheet\n\n| Port | Price |")
    assert "| North | 3 |" in document.text
    assert len(document.text) < 200
    assert [left.reason for left in loaded.dropped] == ["stray_cells"]


def test_a_sheet_of_a_billion_cells_is_a_fault(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in range(1, 1_000_000, 9_000):
        sheet.cell(row, 1, "down")
    for column in range(1, 16_000, 400):
        sheet.cell(1, column, "across")
    good = book.create_sheet("Good")
    good.append(["Port", "Price"])
    loaded = load_bytes(tmp_path, "x.xlsx", saved(book.save))
    assert [d.text for d in loaded.documents] == ["## Good\n\n| Port | Price |\n| --- | --- |"]
    assert [fault.reason for fault in loaded.faults] == ["too_large"]


def test_a_long_sheet_becomes_documents_with_the_header_on_each_table(tmp_path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Log")
    sheet.append(["Port", "Words"])
    for number in range(15_000):
        sheet.append([f"port {number}", "word " * 20])
    documents = load_bytes(tmp_path, "x.xlsx", saved(book.save)).documents
    assert [d.uri for d in documents] == ["kb/x.xlsx#part-1", "kb/x.xlsx#part-2"]
    for document in documents:
        assert document.text.startswith("## Log\n\n| Port | Words |\n| --- | --- |\n| port ")
        assert len(document.text) < 1_200_000
    text = "\n".join(d.text for d in documents)
    assert all(f"| port {number} |" in text for number in (0, 14_999))
    assert text.count("| port ") == 15_000


def test_tables_side_by_side_of_nothing() -> None:
    rows = [
        ["", "List of ports", "", ""],
        ["", "Port", "Price", ""],
        ["", "North", "3", ""],
        [],
        ["", "South", "", ""],
        [],
        ["Note", "", "", "seen"],
        ["a", "", "", "b"],
    ]
    assert list(sheet_blocks(rows)) == [
        "List of ports",
        "| Port | Price |\n| --- | --- |\n| North | 3 |\n| South |  |",
        "| Note | seen |\n| --- | --- |\n| a | b |",
    ]


def test_a_sheet_of_notes_stays_text(tmp_path: Path) -> None:
    assert list(sheet_blocks([["Read this."], [], ["And this."]])) == ["Read this.", "And this."]


def test_a_broken_old_workbook_is_a_fault(tmp_path: Path) -> None:
    data = make_xls()
    for share in (0.3, 0.7):
        loaded = load_bytes(tmp_path, "x.xls", data[: int(len(data) * share)])
        assert [fault.reason for fault in loaded.faults] == ["unreadable"]


def test_sectors_that_run_in_a_circle_are_refused(tmp_path: Path) -> None:
    data = bytearray(make_xls())
    (fat,) = struct.unpack_from("<I", data, 76)
    # The first sector is followed by itself; then the list of sectors leads into itself.
    circle, index = bytearray(data), bytearray(data)
    struct.pack_into("<I", circle, (fat + 1) * 512, 0)
    struct.pack_into("<II", index, 68, 0, 1)
    struct.pack_into("<I", index, 1024 - 4, 0)
    for harmed in (circle, index):
        (fault,) = load_bytes(tmp_path, "x.xls", bytes(harmed)).faults
        assert fault.reason == "unreadable"
        assert "circle" in fault.detail


@pytest.mark.parametrize(
    ("record", "at", "value", "words"),
    [
        (0x0200, 8, 0xFFFFFFFF, "rows"),
        (0x00FC, 8, 0xFFFFFFF0, "texts"),
        (0x00FD, 6, 0xFFFF, "columns"),
    ],
)
def test_claims_of_a_billion_cells_are_refused(
    tmp_path: Path, record: int, at: int, value: int, words: str
) -> None:
    data = bytearray(make_xls())
    place = 512  # the workbook's stream begins in the first sector
    while struct.unpack_from("<H", data, place)[0] != record:
        place += 4 + struct.unpack_from("<H", data, place + 2)[0]
    struct.pack_into("<I" if value > 0xFFFF else "<H", data, place + at, value)
    (fault,) = load_bytes(tmp_path, "x.xls", bytes(data)).faults
    assert fault.reason == "unreadable"
    assert words in fault.detail

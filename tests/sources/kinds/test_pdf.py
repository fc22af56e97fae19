from pathlib import Path

import pytest

from domainforge.sources.kinds.pdf import join_pages
from tests.sources.samples import encrypt_pdf, load_bytes, make_pdf

LINES = ["The ferry crosses every hour.", "A crossing costs 2.50 crowns."]


def test_text_title_and_pages(tmp_path: Path) -> None:
    data = make_pdf([LINES, ["The last one leaves at 18:40."]], title="Ferry rules")
    (document,) = load_bytes(tmp_path, "x.pdf", data).documents
    assert document.title == "Ferry rules"
    assert document.metadata == {"pages": 2}
    assert document.media_type == "application/pdf"
    assert document.text == "\n".join([*LINES, "The last one leaves at 18:40."])


def test_title_that_a_program_made_up_is_not_used(tmp_path: Path) -> None:
    for title in (None, "untitled", "Microsoft Word - draft2.docx"):
        (document,) = load_bytes(tmp_path, "ferry_rules.pdf", make_pdf([LINES], title)).documents
        assert document.title == "ferry rules"


def test_scanned_file_is_a_fault(tmp_path: Path) -> None:
    (fault,) = load_bytes(tmp_path, "scan.pdf", make_pdf([[], []])).faults
    assert fault.reason == "no_text"
    assert "OCR" in fault.detail


def test_page_without_text_is_named(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.pdf", make_pdf([LINES, [], LINES])).documents
    assert document.metadata == {"pages": 3, "pages_without_text": [2]}


def test_encrypted_file_is_a_fault(tmp_path: Path) -> None:
    data = encrypt_pdf(make_pdf([LINES]), "secret", "owner")
    (fault,) = load_bytes(tmp_path, "x.pdf", data).faults
    assert (fault.reason, fault.uri) == ("encrypted", "kb/x.pdf")


def test_file_that_only_forbids_printing_is_read(tmp_path: Path) -> None:
    data = encrypt_pdf(make_pdf([LINES]), "", "owner")
    (document,) = load_bytes(tmp_path, "x.pdf", data).documents
    assert LINES[0] in document.text


@pytest.mark.parametrize("data", [b"%PDF-1.4 broken", b"no pdf", make_pdf([LINES])[:300]])
def test_broken_file_is_a_fault(tmp_path: Path, data: bytes) -> None:
    (fault,) = load_bytes(tmp_path, "x.pdf", data).faults
    assert fault.reason == "unreadable"


def test_headers_and_footers_that_repeat_are_left_out() -> None:
    pages = [
        f"Handbook of Veltren\nFact {word} stands here.\nAnother {word} line.\nPage {n} of 4"
        for n, word in enumerate(["alpha", "beta", "gamma", "delta"], 1)
    ]
    text = join_pages(pages)
    assert "Handbook" not in text
    assert "Page" not in text
    assert text.count("stands here") == text.count("Another") == 4


def test_two_pages_are_too_few_to_tell_a_header() -> None:
    assert join_pages(["Ferry\nAlpha", "Ferry\nBeta"]) == "Ferry\nAlpha\nFerry\nBeta"


def test_pages_that_are_all_alike_are_kept() -> None:
    assert join_pages(["Habibi"] * 4) == "\n".join(["Habibi"] * 4)


def test_hyphens_at_line_ends_are_mended() -> None:
    page = (
        "The old harbour has a well-known light-\nhouse of nine floors and a very well-\n"
        "known keeper, who counts all ships of the North-\nSouth line."
    )
    assert join_pages([page]) == (
        "The old harbour has a well-known lighthouse of nine floors and a very well-known keeper,"
        " who counts all ships of the North-South line."
    )


def test_wrapped_lines_are_joined_and_short_ones_stay() -> None:
    page = """Fares
A crossing costs 2.50 crowns for everybody who lives in
the town or in one of the seven villages along the river
and 4 crowns for guests.
Day Last ferry
Sunday 18:40
- Every bicycle costs another half crown on top of that,
- every dog is free."""
    assert join_pages([page]).split("\n") == [
        "Fares",
        "",
        "A crossing costs 2.50 crowns for everybody who lives in the town or in one of the seven "
        "villages along the river and 4 crowns for guests.",
        "",
        "Day Last ferry",
        "Sunday 18:40",
        "",
        "- Every bicycle costs another half crown on top of that,",
        "- every dog is free.",
    ]

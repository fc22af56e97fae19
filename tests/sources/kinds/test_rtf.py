from pathlib import Path

from tests.sources.samples import load_bytes


def test_text_code_pages_links_and_tables(tmp_path: Path) -> None:
    rtf = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\b Caf\'e9\b0  costs \u8364? 2.50\par "
        rb"\trowd Day\cell Ferry\cell\row\trowd Sunday\cell 18:40\cell\row\pard End.\par}"
    )
    (document,) = load_bytes(tmp_path, "x.rtf", rtf).documents
    assert document.text == (
        "Café costs € 2.50\n\n| Day | Ferry |\n| --- | --- |\n| Sunday | 18:40 |\n\nEnd."
    )
    assert document.media_type == "application/rtf"


def test_unclosed_groups_end(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "x.rtf", b"{\\rtf1 Fares" + b"{" * 200_000)
    assert [d.text for d in loaded.documents] == ["Fares"]

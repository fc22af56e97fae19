from pathlib import Path

from tests.sources.samples import load_bytes


def test_markdown_title_is_the_first_heading(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "a_b.md", b"\n# The Ferry\r\n\r\nIt runs.\n").documents
    assert (document.title, document.uri) == ("The Ferry", "kb/a_b.md")
    assert document.text == "# The Ferry\n\nIt runs."
    assert document.media_type == "text/markdown"


def test_a_file_without_heading_is_called_by_its_name(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "harbour_rules.txt", b"No swimming.").documents
    assert document.title == "harbour rules"
    assert document.media_type == "text/plain"


def test_front_matter_becomes_metadata(tmp_path: Path) -> None:
    data = b"---\ntitle: Tolls\ndate: 2024-05-01\ntags: [a, b]\n---\n# Other\ntext\n"
    (document,) = load_bytes(tmp_path, "x.md", data).documents
    assert document.title == "Tolls"
    assert document.text == "# Other\ntext"
    assert document.metadata == {"date": "2024-05-01", "tags": ["a", "b"]}


def test_what_is_no_front_matter_stays_text(tmp_path: Path) -> None:
    for body in ("---\nJust a line.\n---\nrest", "---\n: [broken\n---\nrest", "---\n\n***"):
        (document,) = load_bytes(tmp_path, "x.md", body.encode()).documents
        assert document.text == body
        assert document.metadata == {}


def test_yaml_aliases_in_front_matter_stay_small(tmp_path: Path) -> None:
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 30)]
    data = "\n".join(["---", "l0: &l0 [x]", *levels, "---", "text"]).encode()
    (document,) = load_bytes(tmp_path, "x.md", data).documents
    assert document.metadata == {"l0": ["x"]}


def test_utf16_file(tmp_path: Path) -> None:
    (document,) = load_bytes(tmp_path, "x.txt", "Grüße aus Köln".encode("utf-16")).documents
    assert document.text == "Grüße aus Köln"

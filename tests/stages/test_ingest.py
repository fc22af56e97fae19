import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domainforge.context import Context
from domainforge.errors import SourceError
from domainforge.run_folder import Inputs, Output
from domainforge.sources.config import SourceConfig
from domainforge.stage import StageResult
from domainforge.stages import ingest as stage
from tests.sources.samples import encrypt_pdf, make_docx, make_pdf
from tests.stages.runs import make_context


def context_of(project: Path, *files: str, events: list[Any] | None = None) -> Context:
    sources = tuple(SourceConfig(files=name) for name in files)
    return replace(make_context(project, events=events), sources=sources)


def ingest(context: Context, **config: Any) -> tuple[StageResult, Output]:
    out = Output(context.project / "out")
    out.folder.mkdir(exist_ok=True)
    return stage.run(stage.IngestConfig(**config), Inputs({}), out, context), out


def column(out: Output, name: str, table: str = "") -> list[Any]:
    return [row[name] for row in out.read(table).to_pylist()]


def write_all_kinds(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nAlpha.")
    (folder / "b.txt").write_text("Beta.")
    (folder / "c.html").write_text("<title>C</title><p>Gamma.</p>")
    (folder / "d.pdf").write_bytes(make_pdf([["Delta."]]))
    (folder / "e.docx").write_bytes(make_docx())
    rows = [{"id": "x", "text": "Epsilon."}, {"id": "y", "text": "Zeta."}]
    (folder / "f.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nbroken\n")
    exam = {"id": "q", "question": "Who?", "answers": ["Ilse"]}
    (folder / "exam.jsonl").write_text(json.dumps(exam))
    (folder / "copy of a.md").write_text("# A\r\n\r\nAlpha.\r\n")
    (folder / "g.pdf").write_bytes(encrypt_pdf(make_pdf([["Eta."]]), "secret", "owner"))
    (folder / "h.pdf").write_bytes(b"%PDF broken")
    (folder / "i.png").write_bytes(b"\x89PNG")
    (folder / "j.md").write_text("")


def test_every_file_and_row_is_accounted_for(tmp_path: Path) -> None:
    write_all_kinds(tmp_path / "kb")
    result, out = ingest(context_of(tmp_path, "kb"))
    assert sorted(column(out, "uri")) == [
        "kb/a.md", "kb/b.txt", "kb/c.html", "kb/d.pdf", "kb/e.docx", "kb/f.jsonl#x",
        "kb/f.jsonl#y",
    ]  # fmt: skip
    assert result.account.balances
    assert result.account.as_dict() == {
        "unit": "documents and files",
        "total": 14,
        "done": 7,
        "dropped": {"duplicate": 1, "empty": 1, "exam_file": 1, "unknown_kind": 1},
        "failed": {"bad_line": 1, "encrypted": 1, "unreadable": 1},
        "not_reached": 0,
    }
    faults = out.read("faults").to_pylist()
    assert {(row["uri"], row["reason"]) for row in faults} == {
        ("kb/f.jsonl#line-3", "bad_line"),
        ("kb/g.pdf", "encrypted"),
        ("kb/h.pdf", "unreadable"),
    }
    assert all(row["detail"] for row in faults)
    assert {row["uri"]: row["reason"] for row in out.read("dropped").to_pylist()} == {
        "kb/copy of a.md": "duplicate",
        "kb/exam.jsonl": "exam_file",
        "kb/i.png": "unknown_kind",
        "kb/j.md": "empty",
    }
    assert sum("kb/g.pdf" in note and "encrypted" in note for note in result.notes) == 1


@pytest.mark.slow
def test_every_item_is_in_the_list_with_its_fate(tmp_path: Path) -> None:
    write_all_kinds(tmp_path / "kb")
    (tmp_path / "kb" / "k.pdf").write_bytes(make_pdf([["Theta and iota."], []]))
    german = "Die Fähre fährt jede Stunde über den Fluss, auch am Sonntag und bei Nebel."
    (tmp_path / "kb" / "l.txt").write_text(german)
    result, out = ingest(context_of(tmp_path, "kb"))
    with (out.folder / "ingest.csv").open(newline="") as handle:
        rows = {row["uri"]: row for row in csv.DictReader(handle)}
    fates = {uri: (row["kind"], row["state"], row["reason"]) for uri, row in rows.items()}
    assert fates == {
        "kb/a.md": ("markdown", "read", ""),
        "kb/b.txt": ("text", "read", ""),
        "kb/c.html": ("html", "read", ""),
        "kb/copy of a.md": ("markdown", "read", ""),
        "kb/d.pdf": ("pdf", "read", ""),
        "kb/e.docx": ("docx", "read", ""),
        "kb/exam.jsonl": ("jsonl", "skipped", "exam_file"),
        "kb/f.jsonl": ("jsonl", "partly", "bad_line"),
        "kb/g.pdf": ("pdf", "unreadable", "encrypted"),
        "kb/h.pdf": ("pdf", "unreadable", "unreadable"),
        "kb/i.png": (".png", "skipped", "unknown_kind"),
        "kb/j.md": ("markdown", "skipped", "empty"),
        "kb/k.pdf": ("pdf", "partly", "pages_without_text"),
        "kb/l.txt": ("text", "read", ""),
    }
    assert (rows["kb/l.txt"]["languages"], rows["kb/l.txt"]["characters"]) == (
        "de",
        str(len(german)),
    )
    assert rows["kb/copy of a.md"]["documents"] == "0"
    (table,) = [note for note in result.notes if note.startswith("by kind:")]
    sums = {line.split()[0]: line.split()[1:] for line in table.splitlines()[2:-2]}
    assert "; text ? 1, de 1;" in table.splitlines()[-2]
    assert sums["pdf"][:5] == ["1", "1", "2", "-", "2"]
    assert sums["jsonl"][:5] == ["-", "1", "-", "1", "2"]
    assert sums["markdown"][:5] == ["2", "-", "-", "1", "1"]
    characters = sum(int(row["characters"]) for row in rows.values())
    assert characters == result.figures["characters"]
    assert table.endswith("documents/ingest.csv")


def test_the_exam_never_becomes_a_document(tmp_path: Path) -> None:
    write_all_kinds(tmp_path / "kb")
    _, out = ingest(context_of(tmp_path, "kb"))
    assert not any("Ilse" in text for text in column(out, "text"))


def test_copy_under_another_name_is_remembered(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "c.md"):
        (tmp_path / name).write_text("Same text.")
    result, out = ingest(context_of(tmp_path, "*.md"))
    (row,) = out.read().to_pylist()
    folder = tmp_path.name
    assert row["uri"] == f"{folder}/a.md"
    assert row["uris"] == [f"{folder}/a.md", f"{folder}/b.md", f"{folder}/c.md"]
    assert result.account.dropped == {"duplicate": 2}


@pytest.mark.slow
def test_no_path_of_the_machine_gets_out(tmp_path: Path) -> None:
    write_all_kinds(tmp_path / "kb")
    result, out = ingest(context_of(tmp_path, str(tmp_path / "kb")))
    tables = [out.read(name).to_pylist() for name in ("", "dropped", "faults")]
    assert str(tmp_path) not in json.dumps([tables, result.notes])


def test_one_document_is_enough(tmp_path: Path) -> None:
    (tmp_path / "only.md").write_text("One fact.")
    result, out = ingest(context_of(tmp_path, "only.md"))
    assert column(out, "uri") == ["only.md"]
    assert result.notes == ()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file or folder: handbok"):
        ingest(context_of(tmp_path, "handbok"))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, ["nothing found in kb", "no files"]),
        ({"x.png": b"\x89PNG"}, ["x.png", "unknown_kind", "docx"]),
        ({"x.pdf": b"broken", "y.pdf": make_pdf([[]])}, ["x.pdf", "unreadable", "y.pdf", "OCR"]),
    ],
)
def test_nothing_readable_says_why(
    tmp_path: Path, files: dict[str, bytes], told: Sequence[str]
) -> None:
    (tmp_path / "kb").mkdir()
    for name, data in files.items():
        (tmp_path / "kb" / name).write_bytes(data)
    with pytest.raises(SourceError) as caught:
        ingest(context_of(tmp_path, "kb"))
    for part in ["nothing to read in kb", *told]:
        assert part in str(caught.value)


def test_larger_files_than_allowed_are_faults(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("x" * 1_000_001)
    (tmp_path / "small.txt").write_text("y")
    result, _ = ingest(context_of(tmp_path, "big.txt", "small.txt"), max_file_mb=1)
    assert result.account.failed == {"too_large": 1}


def test_pages_without_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(make_pdf([["Alpha."], []]))
    result, _ = ingest(context_of(tmp_path, "x.pdf"))
    assert any("x.pdf" in note and "without text" in note for note in result.notes)


def test_progress_counts_files(tmp_path: Path) -> None:
    write_all_kinds(tmp_path / "kb")
    events: list[Any] = []
    ingest(context_of(tmp_path, "kb", events=events))
    done = [(fields["done"], fields["total"]) for _, fields in events]
    assert done == [(n, 12) for n in range(1, 13)]


def test_identity_follows_content_not_time(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    page = tmp_path / "kb" / "a.md"
    page.write_text("One.")
    context = context_of(tmp_path, "kb")
    config = stage.IngestConfig()
    before = stage.identify(config, context)
    page.write_text("One.")
    assert stage.identify(config, context) == before
    page.write_text("Two.")
    edited = stage.identify(config, context)
    assert edited != before
    (tmp_path / "kb" / "b.md").write_text("New.")
    assert stage.identify(config, context) != edited
    other = replace(context, sources=(SourceConfig(files="kb", title_field="name"),))
    assert stage.identify(config, other) != stage.identify(config, context)


@pytest.mark.slow
def test_same_files_give_the_same_content(tmp_path: Path) -> None:
    write_all_kinds(tmp_path / "kb")
    first = ingest(context_of(tmp_path, "kb"))[1].tables
    assert ingest(context_of(tmp_path, "kb"))[1].tables == first


@pytest.mark.slow
def test_the_first_documents_of_a_worker_and_later_ones_have_all_that_they_should(
    tmp_path: Path,
) -> None:
    """Who finds the language and the sections of a document depends on how many there were."""
    (tmp_path / "kb").mkdir()
    for number in range(130):
        text = f"# Ferry {number}\n\nFerry number {number} crosses the river every hour, all year."
        (tmp_path / "kb" / f"{number:03}.md").write_text(text)
    _, out = ingest(context_of(tmp_path, "kb"))
    rows = out.read("").to_pylist()
    assert {(row["language"], len(row["sections"]), len(row["uris"])) for row in rows} == {
        ("en", 1, 1)
    }
    assert len(rows) == 130

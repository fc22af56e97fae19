import random
from pathlib import Path

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.delimited import stream_delimited
from domainforge.sources.loaded import Loaded, SourceFile
from tests.sources.samples import load_bytes


def test_a_table_is_one_markdown_table(tmp_path: Path) -> None:
    data = b'Day,Last ferry\nSunday,"18:40, or later"\n\nMonday,a | b\n'
    (document,) = load_bytes(tmp_path, "ferry_times.csv", data).documents
    assert (document.uri, document.title) == ("kb/ferry_times.csv", "ferry times")
    assert document.media_type == "text/csv"
    assert document.metadata == {"rows": 2}
    assert document.text == (
        "| Day | Last ferry |\n| --- | --- |\n| Sunday | 18:40, or later |\n| Monday | a \\| b |"
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("名前,年齢,住所\n髙橋淳,35,名古屋\n三木英子,25,大阪\n佐藤太郎,30,東京\n", "cp932"),
        ("Name;Ort\nJürgen Müller;Köln\nÅsa Öberg;Malmö\n", "cp1252"),
        ("Name\tOrt\nJürgen\tKöln\n", "utf-16"),
        ("Name\tOrt\nJürgen\tKöln\n", "utf-16-le"),
        ("Имя;Город\nИван Петров;Москва и область\nОльга;Нижний Новгород\n", "cp1251"),  # noqa: RUF001
        ("Name,Ort\nJürgen,Köln\n", "utf-8-sig"),
    ],
)
def test_encodings_and_delimiters_are_told(tmp_path: Path, text: str, encoding: str) -> None:
    (document,) = load_bytes(tmp_path, "x.csv", text.encode(encoding)).documents
    cells = [line.replace(";", ",").replace("\t", ",").split(",") for line in text.split("\n")[:-1]]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(cells[0]))
    assert document.text == "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "data", "header"),
    [
        ("x.csv", b"a;b\n1,5;2\n3,5;4\n", "| a | b |"),
        ("x.tsv", b"a, b\tc\n1\t2\n", "| a, b | c |"),
        ("x.csv", b"sep=|\r\na|b,c\r\n1|2\r\n", "| a | b,c |"),
        ("x.csv", b"a,b\r1,2\r3,4\r", "| a | b |"),
        ("x.csv", b'"a\nb",c\n1,2\n', "| a b | c |"),
        ("x.csv", b"alone\n1\n2\n", "| alone |"),
    ],
)
def test_dialects(tmp_path: Path, name: str, data: bytes, header: str) -> None:
    (document,) = load_bytes(tmp_path, name, data).documents
    assert document.text.split("\n")[0] == header


def test_rows_with_a_text_are_documents(tmp_path: Path) -> None:
    data = b'id,title,Text,text,lang\na,Ferry,no,"It\nruns.",en\n,,no,Two crowns.,\nb,x,y, ,z\n'
    loaded = load_bytes(tmp_path, "kb.csv", data)
    first, second = loaded.documents
    assert (first.uri, first.title, first.text) == ("kb/kb.csv#a", "Ferry", "It\nruns.")
    assert first.metadata == {"id": "a", "Text": "no", "lang": "en"}
    assert (second.uri, second.title) == ("kb/kb.csv#row-2", "kb row-2")
    assert [(item.uri, item.reason) for item in loaded.dropped] == [("kb/kb.csv#b", "empty")]


def test_the_text_field_makes_rows_of_a_table(tmp_path: Path) -> None:
    data = b"name,passage\nn1,The passage.\n"
    (table,) = load_bytes(tmp_path, "x.csv", data).documents
    assert table.text.startswith("| name |")
    (row,) = load_bytes(tmp_path, "x.csv", data, text_field="passage", id_field="name").documents
    assert (row.uri, row.text) == ("kb/x.csv#n1", "The passage.")


def test_a_row_with_too_many_cells_is_a_fault(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "x.csv", b"id,text\n1,good\n2,bad,more\n3,fine\n")
    assert [document.text for document in loaded.documents] == ["good", "fine"]
    assert [(f.uri, f.reason) for f in loaded.faults] == [("kb/x.csv#row-2", "bad_row")]


def test_a_long_table_is_cut_between_rows_with_its_header(tmp_path: Path) -> None:
    rows = [f"{i},{'word ' * 20}" for i in range(2000)]
    documents = load_bytes(tmp_path, "x.csv", "\n".join(["n,note", *rows]).encode()).documents
    assert len(documents) > 3
    assert all(d.text.startswith("| n | note |\n| --- | --- |\n") for d in documents)
    assert all(len(document.text) < 60_000 for document in documents)
    numbers = [int(line.split("|")[1]) for d in documents for line in d.text.split("\n")[2:]]
    assert numbers == list(range(2000))
    assert documents[0].uri == "kb/x.csv#row-1"
    assert documents[0].title.startswith("x, rows 1 to ")


def parts_of(path: Path, skip: int) -> list[Loaded]:
    file = SourceFile(path, "kb/x.csv", SourceConfig(files="x"))
    with path.open("rb") as handle:
        return list(stream_delimited(handle, file, skip))


@pytest.mark.parametrize("header", ["n,note", "id,text"])
def test_reading_goes_on_after_any_part(tmp_path: Path, header: str) -> None:
    path = tmp_path / "x.csv"
    rows = [f"{i % 2500},{'word ' * 20}" for i in range(3000)]
    path.write_text("\n".join([header, *rows]))
    whole = parts_of(path, 0)
    assert len(whole) >= 3
    for skip in range(len(whole) + 1):
        assert parts_of(path, skip) == whole[skip:]


def test_hostile_tables_end_as_faults(tmp_path: Path) -> None:
    wide = load_bytes(tmp_path, "x.csv", b"," * 20_000 + b"a\n")
    assert [fault.reason for fault in wide.faults] == ["unreadable"]
    binary = load_bytes(tmp_path, "x.csv", bytes(range(256)) * 10)
    assert [fault.reason for fault in binary.faults] == ["not_text"]
    assert [i.reason for i in load_bytes(tmp_path, "x.csv", b"").dropped] == ["empty"]
    picker = random.Random(3)
    for _ in range(200):
        data = bytes(picker.choice(b'",;\n\r\t|ab\0\xff\xe4') for _ in range(picker.randrange(200)))
        load_bytes(tmp_path, "x.csv", data)


def test_a_line_that_never_ends_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domainforge.sources.kinds.delimited._MAX_CELL_CHARS", 100_000)
    loaded = load_bytes(tmp_path, "x.csv", b"a,b\n" + b"1,2\n" * 20_000 + b"x" * 500_000)
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]


@pytest.mark.parametrize("name", ["exam.csv", "questions.csv"])
def test_an_exam_is_no_document(tmp_path: Path, name: str) -> None:
    text = "id,question,answers\n1,Who built the mill?,Rook|Anselm Rook\n"
    loaded = load_bytes(tmp_path, name, text.encode())
    assert [item.reason for item in loaded.dropped] == ["exam_file"]
    assert not loaded.documents


def test_questions_with_texts_of_their_own_are_documents(tmp_path: Path) -> None:
    text = "question,answers,text\nWho?,Rook,Rook built the mill.\n"
    assert load_bytes(tmp_path, "faq.csv", text.encode()).documents
    assert load_bytes(tmp_path, "exam.csv", text.encode()).dropped

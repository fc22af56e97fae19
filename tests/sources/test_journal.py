from pathlib import Path

import pytest

from domainforge.records import Document
from domainforge.sources.journal import Journal, known_hashes
from domainforge.sources.loaded import LeftOut, Loaded
from domainforge.sources.reading import Reading


def put(journal: Journal, item: str, *texts: str, reading: Reading | None = None) -> None:
    for number, text in enumerate(texts):
        document = Document(uri=f"{item}#{number}", title="", text=text)
        journal.put_document("s", item, document, text.encode(), document.uri)
    journal.put_item("s", reading or Reading(item, "jsonl", revision=f"{item}-1"))


def begin(folder: Path, name: str, previous: str | None = None) -> Journal:
    journal = Journal(folder / name, folder / previous if previous else None)
    journal.begin_source("s")
    return journal


def keep(journal: Journal) -> None:
    journal.commit(0)
    journal.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An ingest of two items: `a` has two texts, `b` one of its own and one of `a`."""
    first = begin(tmp_path, "first")
    put(first, "a", "one", "two")
    put(first, "b", "two", "three")
    first.put_hashes({"/a": (1, 2, "abc")})
    keep(first)
    return tmp_path


def test_an_item_is_carried_with_all_that_it_gave(folder: Path) -> None:
    again = begin(folder, "again", "first")
    for item in ("a", "b"):
        assert again.known("s", item, None) == f"{item}-1"
        again.carry("s", item)
    assert again.size_of_source("s") == (3, len("onetwothree"))
    assert list(again.rows("SELECT uri FROM names")) == [("b#0",)]
    assert again.done("s", "b")


def test_a_copy_is_not_known_without_its_original(folder: Path) -> None:
    again = begin(folder, "again", "first")
    assert again.known("s", "b", None) is None
    put(again, "c", "two")
    assert again.known("s", "b", None) == "b-1"


def test_an_item_is_not_known_where_another_text_has_its_name(folder: Path) -> None:
    again = begin(folder, "again", "first")
    document = Document(uri="a#1", title="", text="else")
    again.put_document("s", "0", document, b"else", "a#1")
    assert again.known("s", "a", None) is None


@pytest.mark.parametrize(("room", "known"), [(None, "a-1"), (3, "a-1"), (2, None), (1, None)])
def test_an_item_is_not_known_where_it_would_fill_the_limit(
    folder: Path, room: int | None, known: str | None
) -> None:
    assert begin(folder, "again", "first").known("s", "a", room) == known


@pytest.mark.parametrize(
    ("reading", "known"),
    [
        (Reading("x", "pdf", revision="1"), "1"),
        (Reading("x", "pdf"), None),
        (Reading("x", "pdf", revision="1", last=False), None),
        (Reading("x", "pdf", Loaded(faults=(LeftOut("x", "too_slow", ""),)), "1"), None),
        (Reading("x", "pdf", Loaded(faults=(LeftOut("x", "encrypted", ""),)), "1"), "1"),
    ],
)
def test_what_may_be_otherwise_next_time_is_not_known(
    tmp_path: Path, reading: Reading, known: str | None
) -> None:
    first = begin(tmp_path, "first")
    put(first, "x", reading=reading)
    keep(first)
    assert begin(tmp_path, "again", "first").known("s", "x", None) == known


def test_a_large_item_is_not_known_in_a_mixture(tmp_path: Path) -> None:
    first = begin(tmp_path, "first")
    put(first, "x", "one", reading=Reading("x", "jsonl", revision="1", last=False))
    put(first, "x", reading=Reading("x", "jsonl", revision="1"))
    keep(first)
    again = begin(tmp_path, "again", "first")
    assert again.known("s", "x", None) == "1"
    assert again.known("s", "x", None, mixed=True) is None


def test_only_what_was_committed_is_there(tmp_path: Path) -> None:
    journal = begin(tmp_path, "first")
    put(journal, "a", "one", reading=Reading("a", "jsonl", revision="1", last=False, position=7))
    journal.commit(3)
    put(journal, "b", "two")
    journal.close()
    resumed = Journal(tmp_path / "first")
    assert resumed.segments == 3
    assert resumed.begin_source("s") == (7, False)
    assert resumed.parts("s", "a") == 1
    assert not resumed.done("s", "a")
    assert resumed.holds_text(b"one")
    assert not resumed.holds_text(b"two")


def test_hashes_of_files_are_found_again(folder: Path) -> None:
    assert known_hashes(folder / "first") == {"/a": (1, 2, "abc")}
    assert known_hashes(folder / "none") == {}


def test_a_journal_of_another_format_is_not_used(folder: Path) -> None:
    import sqlite3

    file = sqlite3.connect(folder / "first")
    file.execute("PRAGMA user_version = 1")
    file.close()
    assert begin(folder, "again", "first").known("s", "a", None) is None


def test_an_item_whose_first_parts_are_here_is_not_known(folder: Path) -> None:
    """After a kill: what its parts gave may be just what kept it from being taken over before."""
    again = begin(folder, "again", "first")
    put(again, "b", "two", reading=Reading("b", "jsonl", revision="b-1", last=False))
    assert again.known("s", "b", None) is None
    assert again.parts("s", "b") == 1


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_damaged_journal_is_no_journal(folder: Path, share: float) -> None:
    content = (folder / "first").read_bytes()
    kept = int(len(content) * share)
    (folder / "first").write_bytes(content[:kept] or b"no database at all")
    again = begin(folder, "again", "first")
    assert again.known("s", "a", None) == ("a-1" if share == 1 else None)
    assert set(known_hashes(folder / "first")) == ({"/a"} if share == 1 else set())

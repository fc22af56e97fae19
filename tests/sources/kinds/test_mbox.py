import mailbox
import tracemalloc
from pathlib import Path

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds import mbox
from domainforge.sources.kinds.mbox import stream_mbox
from domainforge.sources.loaded import Loaded, SourceFile, Starting
from tests.sources.kinds.test_archive import make_zip
from tests.sources.kinds.test_mail import make_message
from tests.sources.samples import load_bytes


def make_mbox(folder: Path, texts: list[str]) -> bytes:
    path = folder / "made"
    box = mailbox.mbox(path)
    for text in texts:
        message = make_message(text)
        message.add_attachment(f"notes of {text}", filename="notes.txt")
        box.add(message)
    box.close()
    return path.read_bytes()


def test_each_message_is_a_document(tmp_path: Path) -> None:
    data = make_mbox(tmp_path, ["one", "two\n\nFrom Ilse with love", "three"])
    documents = load_bytes(tmp_path, "box.mbox", data).documents
    assert [document.uri for document in documents] == [
        f"kb/box.mbox#message-{n}{end}" for n in (1, 2, 3) for end in ("", "/notes.txt")
    ]
    assert documents[2].text.endswith("two\n\nFrom Ilse with love")
    assert documents[0].media_type == "application/mbox"


def parts_of(path: Path, skip: int) -> list[Loaded | Starting]:
    file = SourceFile(path, "kb/box.mbox", SourceConfig(files="x"))
    with path.open("rb") as handle:
        return list(stream_mbox(handle, file, skip))


def test_each_message_is_announced_and_can_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "box.mbox"
    path.write_bytes(make_mbox(tmp_path, ["one", "two", "three"]))
    whole = parts_of(path, 0)
    assert whole[::2] == [Starting(f"kb/box.mbox#message-{n}") for n in (1, 2, 3)]
    for skip in range(4):
        assert parts_of(path, skip) == whole[2 * skip :]


def test_a_mailbox_in_an_archive(tmp_path: Path) -> None:
    data = make_zip({"in/box.mbox": make_mbox(tmp_path, ["one", "two"]), "z.txt": b"z"})
    documents = load_bytes(tmp_path, "k.zip", data).documents
    assert [document.uri for document in documents] == [
        "kb/k.zip/in/box.mbox#message-1",
        "kb/k.zip/in/box.mbox#message-1/notes.txt",
        "kb/k.zip/in/box.mbox#message-2",
        "kb/k.zip/in/box.mbox#message-2/notes.txt",
        "kb/k.zip/z.txt",
    ]


def test_a_message_that_cannot_be_read_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mbox, "_MAX_MESSAGE_BYTES", 5000)
    good = make_mbox(tmp_path, ["one"])
    data = good + b"From x@y Sun Dec 22 11:23:00 2024\n\nno headers\n\n"
    data += b"From x@y Sun Dec 22 11:23:00 2024\nSubject: long\n\n" + b"text\n" * 5000 + b"\n"
    loaded = load_bytes(tmp_path, "box.mbox", data + good)
    assert len(loaded.documents) == 4
    assert [fault.reason for fault in loaded.faults] == ["unreadable", "too_large"]


def test_what_is_no_mailbox_is_a_fault(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "box.mbox", b"just text\n")
    assert [fault.reason for fault in loaded.faults] == ["unreadable"]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "box.mbox"
    body = (b"Two crowns. " * 100 + b"\n") * 50
    one = b"From x@y Sun Dec 22 11:23:00 2024\nSubject: S\n\n" + body + b"\n"
    with path.open("wb") as out:
        for _ in range(200):
            out.write(one)
    file = SourceFile(path, "kb/box.mbox", SourceConfig(files="x"))
    tracemalloc.start()
    with path.open("rb") as handle:
        count = sum(isinstance(part, Loaded) for part in stream_mbox(handle, file, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200
    assert peak < 5_000_000

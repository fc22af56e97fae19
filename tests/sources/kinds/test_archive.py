import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds import members
from domainforge.sources.kinds.archive import stream_tar, stream_zip
from domainforge.sources.kinds.known import kind_of
from domainforge.sources.loaded import Loaded, SourceFile, Starting, UnreadableError
from tests.sources.samples import load_bytes, make_docx

FILES = {"a.md": b"# Ferry\n\nIt runs.", "deep/b.txt": b"Two crowns."}


def make_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def make_tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def reasons(loaded: Loaded) -> dict[str, str]:
    items = loaded.dropped + loaded.faults
    return {item.uri.partition("/")[2]: item.reason for item in items}


def read_parts(folder: Path, name: str, data: bytes, skip: int = 0) -> list[Loaded | Starting]:
    path = folder / name
    path.write_bytes(data)
    kind = kind_of(name)
    assert kind is not None
    assert kind.stream is not None
    file = SourceFile(path, f"kb/{name}", SourceConfig(files=str(folder)))
    with path.open("rb") as handle:
        return list(kind.stream(handle, file, skip))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("kb.zip", make_zip),
        ("kb.tar", make_tar),
        ("kb.tgz", lambda files: make_tar(files, "w:gz")),
        ("kb.tar.gz", lambda files: make_tar(files, "w:gz")),
        ("kb.tar.bz2", lambda files: make_tar(files, "w:bz2")),
        ("kb.tar.xz", lambda files: make_tar(files, "w:xz")),
        ("kb.tar.zst", lambda files: zstd(make_tar(files))),
    ],
)
def test_members_by_their_own_kind(
    tmp_path: Path, name: str, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    loaded = load_bytes(tmp_path, name, make({**FILES, "c.docx": make_docx(), "d.odd": b"x"}))
    assert [(document.uri, document.title) for document in loaded.documents] == [
        (f"kb/{name}/a.md", "Ferry"),
        (f"kb/{name}/deep/b.txt", "b"),
        (f"kb/{name}/c.docx", "Ferry rules"),
    ]
    assert [item.reason for item in loaded.dropped] == ["unknown_kind"]
    assert not loaded.faults


def zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(("name", "make"), [("k.zip", make_zip), ("k.tar", make_tar)])
def test_each_member_is_announced_and_is_one_part(
    tmp_path: Path, name: str, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    files = {**FILES, "bad.json": b"{", "c.txt": b"third", ".hidden.txt": b"x"}
    parts = read_parts(tmp_path, name, make(files))
    uris = [f"kb/{name}/{member}" for member in files]
    assert parts[::2] == [Starting(uri) for uri in uris]
    assert len(parts) == 2 * len(uris)
    for skip in range(len(uris) + 1):
        assert read_parts(tmp_path, name, make(files), skip) == parts[2 * skip :]


@pytest.mark.slow
def test_skipping_goes_through_nested_archives_and_large_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "_IN_MEMORY_BYTES", 1000)
    rows = b"".join(b'{"text": "row %d"}\n' % i for i in range(2500))
    inner = make_zip({"x.txt": b"x", "y.jsonl": rows, "z.txt": b"z"})
    data = make_tar({"a.txt": b"a", "in.zip": inner, "rows.jsonl": rows, "b.txt": b"b"})
    whole = [p for p in read_parts(tmp_path, "k.tar", data) if isinstance(p, Loaded)]
    assert [len(part.documents) for part in whole] == [
        *(1, 1, 1000, 1000, 500, 1, 1000, 1000, 500, 1)
    ]
    for skip in range(len(whole) + 1):
        rest = [p for p in read_parts(tmp_path, "k.tar", data, skip) if isinstance(p, Loaded)]
        assert rest == whole[skip:]


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("../../up.txt", "up.txt"),
        ("/etc/root.txt", "etc/root.txt"),
        ("C:\\Users\\me\\drive.txt", "Users/me/drive.txt"),
        ("..\\..\\back.txt", "back.txt"),
        ("a/./b//../c.txt", "a/b/c.txt"),
        ("line\nbreak.txt", "linebreak.txt"),
        ("x" * 5000 + ".txt", "x" * 296 + ".txt"),
    ],
)
def test_names_become_uris_and_nothing_else(tmp_path: Path, name: str, uri: str) -> None:
    for file, make in (("k.zip", make_zip), ("k.tar", make_tar)):
        folder = tmp_path / file[2:]
        folder.mkdir()
        (document,) = load_bytes(folder, file, make({name: b"text"})).documents
        assert document.uri == f"kb/{file}/{uri}"
        assert sorted(path.name for path in folder.rglob("*")) == [file]


def test_two_members_of_one_name_stay_apart(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "k.zip", make_zip({"a.txt": b"1", "x/../../a.txt": b"2"}))
    assert [document.uri for document in loaded.documents] == ["kb/k.zip/a.txt", "kb/k.zip/x/a.txt"]
    loaded = load_bytes(tmp_path, "k.tar", make_tar({"a.txt": b"1", "../a.txt": b"2"}))
    assert [document.uri for document in loaded.documents] == [
        "kb/k.tar/a.txt",
        "kb/k.tar/member-2/a.txt",
    ]


def test_names_that_are_utf8_without_saying_so(tmp_path: Path) -> None:
    data = make_zip({"\u00fcbung.txt": b"t"})
    # The flag that says UTF-8, in the local header and in the directory.
    entry = data.index(b"PK\1\2")
    data = bytearray(data)
    data[7] = data[entry + 9] = 0
    (document,) = load_bytes(tmp_path, "k.zip", bytes(data)).documents
    assert document.uri == "kb/k.zip/\u00fcbung.txt"


def test_hidden_members_are_dropped(tmp_path: Path) -> None:
    names = [".git/x.txt", "__MACOSX/a.txt", "b/.c.txt", ".d.zip", ".e.jsonl"]
    loaded = load_bytes(tmp_path, "k.zip", make_zip(dict.fromkeys(names, b"x")))
    assert reasons(loaded) == {f"k.zip/{name}": "hidden" for name in names}


@pytest.mark.parametrize(
    ("include", "taken"),
    [
        (["*.md"], ["a.md"]),
        (["*.zip"], ["a.md", "b.txt"]),
        (["k.zip", "deep/*"], ["b.txt"]),
        (["*"], ["a.md", "b.txt"]),
    ],
)
def test_include_holds_for_members(tmp_path: Path, include: list[str], taken: list[str]) -> None:
    loaded = load_bytes(tmp_path, "k.zip", make_zip(FILES), include=include)
    assert [document.uri.rpartition("/")[2] for document in loaded.documents] == taken
    assert {item.reason for item in loaded.dropped} <= {"not_included"}
    assert len(loaded.documents) + len(loaded.dropped) == len(FILES)


def nest(depth: int, make: Callable[[dict[str, bytes]], bytes], ending: str) -> bytes:
    data = make({"bottom.txt": b"text"})
    for level in range(depth - 1):
        data = make({f"n{level}{ending}": data})
    return data


@pytest.mark.parametrize(("ending", "make"), [(".zip", make_zip), (".tar", make_tar)])
def test_archives_in_archives_to_a_depth(
    tmp_path: Path, ending: str, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    inside = load_bytes(tmp_path, f"k{ending}", nest(4, make, ending))
    assert [document.text for document in inside.documents] == ["text"]
    deeper = load_bytes(tmp_path, f"k{ending}", nest(5, make, ending))
    assert not deeper.documents
    assert [fault.reason for fault in deeper.faults] == ["nested_too_deep"]


def test_links_and_devices_are_dropped(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    kinds = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE,
             "disk": tarfile.BLKTYPE, "tty": tarfile.CHRTYPE}  # fmt: skip
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(f"{name}.txt")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    loaded = load_bytes(tmp_path, "k.tar", buffer.getvalue())
    assert reasons(loaded) == {f"k.tar/{name}.txt": "link_in_archive" for name in kinds}
    link = zipfile.ZipInfo("sym.txt")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr(link, "/etc/passwd")
    loaded = load_bytes(tmp_path, "k.zip", buffer.getvalue())
    assert reasons(loaded) == {"k.zip/sym.txt": "link_in_archive"}
    assert not loaded.faults


def test_a_damaged_member_costs_only_itself(tmp_path: Path) -> None:
    data = make_zip({"a.txt": b"first", "b.txt": b"broken here", "c.txt": b"third"}, 0)
    loaded = load_bytes(tmp_path, "k.zip", data.replace(b"broken here", b"BROKEN here", 1))
    assert [document.text for document in loaded.documents] == ["first", "third"]
    assert reasons(loaded) == {"k.zip/b.txt": "damaged"}
    assert "CRC" in loaded.faults[0].detail


def test_an_unreadable_member_costs_only_itself(tmp_path: Path) -> None:
    files = {"a.pdf": b"no pdf", "b.docx": b"no docx", "c.json": b"{", "d.zip": b"no zip"}
    files |= {"e.txt.gz": b"no gz", "f.tar": b"no tar" * 200, "g.parquet": b"no", "h.txt": b"good"}
    for file, make in (("k.zip", make_zip), ("k.tar", make_tar)):
        loaded = load_bytes(tmp_path, file, make(files))
        assert [document.text for document in loaded.documents] == ["good"]
        assert [fault.uri for fault in loaded.faults] == [
            f"kb/{file}/{n}" for n in list(files)[:-1]
        ]


def test_encrypted_members_are_named(tmp_path: Path) -> None:
    data = bytearray(make_zip({"a.txt": b"secret"}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    loaded = load_bytes(tmp_path, "k.zip", bytes(data))
    assert reasons(loaded) == {"k.zip/a.txt": "encrypted"}


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    data = bytearray(make_zip({"a.txt": b"text"}))
    entry = data.index(b"PK\1\2")
    data[8] = data[entry + 10] = 98
    assert reasons(load_bytes(tmp_path, "k.zip", bytes(data))) == {"k.zip/a.txt": "damaged"}


@pytest.mark.parametrize("size", [0, 10, 60, -30])
def test_a_cut_off_archive_is_a_fault(tmp_path: Path, size: int) -> None:
    loaded = load_bytes(tmp_path, "k.zip", make_zip(FILES)[:size])
    assert not loaded.documents
    assert [fault.uri for fault in loaded.faults] == ["kb/k.zip"]


def test_a_cut_off_tar_keeps_what_is_whole(tmp_path: Path) -> None:
    data = make_tar({"a.txt": b"a" * 2000, "b.txt": b"b" * 20_000})
    parts: list[Loaded | Starting] = []
    path = tmp_path / "k.tar"
    path.write_bytes(data[:8000])
    file = SourceFile(path, "kb/k.tar", SourceConfig(files=str(tmp_path)))
    with path.open("rb") as handle, pytest.raises(UnreadableError, match="damaged"):
        parts.extend(stream_tar(handle, file, 0))
    with path.open("rb") as handle:
        stream = stream_tar(handle, file, 0)
        found = [next(stream) for _ in range(4)]
    assert [d.text[0] for p in found if isinstance(p, Loaded) for d in p.documents] == ["a"]


def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "_FREE_BYTES", 1_000_000)


@pytest.mark.parametrize("name", ["k.zip", "k.tar.gz", "k.tar.xz"])
def test_a_bomb_ends_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    small_bounds(monkeypatch)
    files = {f"{i}.txt": b"0" * 5_000_000 for i in range(4)}
    make = make_zip if name == "k.zip" else lambda f: make_tar(f, f"w:{name[-2:]}")
    loaded = load_bytes(tmp_path, name, make(files))
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [(f"kb/{name}", "bomb")]


def test_a_nested_bomb_ends_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_bounds(monkeypatch)
    bomb = make_zip({f"{i}.txt": b"0" * 400_000 for i in range(50)})
    loaded = load_bytes(tmp_path, "k.zip", make_zip({"in/bomb.zip": bomb, "z.txt": b"z"}))
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [("kb/k.zip", "bomb")]


def overlapping(count: int) -> bytes:
    """Let many names of the directory point at one packed member."""
    one = make_zip({"a.txt": b"0" * 100_000})
    entry = one[one.index(b"PK\1\2") : one.index(b"PK\5\6")]
    head = one[: one.index(b"PK\1\2")]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(entry) * count, len(head), 0)
    return head + entry * count + end


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    assert not load_bytes(tmp_path, "one.zip", overlapping(1)).faults
    loaded = load_bytes(tmp_path, "k.zip", overlapping(1000))
    assert not loaded.documents
    assert [(fault.uri, fault.reason) for fault in loaded.faults] == [("kb/k.zip", "bomb")]


def test_a_size_that_lies_is_the_members_fault(tmp_path: Path) -> None:
    data = bytearray(make_zip({"a.txt": b"0" * 100_000, "b.txt": b"good"}))
    struct.pack_into("<L", data, data.index(b"PK\1\2") + 24, 10)
    loaded = load_bytes(tmp_path, "k.zip", bytes(data))
    assert [document.text for document in loaded.documents] == ["good"]
    assert reasons(loaded) == {"k.zip/a.txt": "damaged"}


def test_a_million_members_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    count = 1_000_000
    empty = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 5, 0) + b"a.txt"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 5, *[0] * 4, 0, 0)
    entry += b"a.txt"
    place = len(empty) + len(entry) * count
    directory = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(entry) * count, len(empty)
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, place, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    path = tmp_path / "k.zip"
    with path.open("wb") as out:
        out.write(empty)
        out.write(entry * count)
        out.write(directory + locator + end)
    file = SourceFile(path, "kb/k.zip", SourceConfig(files=str(tmp_path)))
    with path.open("rb") as handle, pytest.raises(UnreadableError, match="1,000,000 files"):
        list(stream_zip(handle, file, 0))


def test_too_many_members_of_a_tar_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "MAX_MEMBERS", 10)
    loaded = load_bytes(tmp_path, "k.tar", make_tar({f"{i}.txt": b"x" for i in range(20)}))
    assert [fault.reason for fault in loaded.faults] == ["too_many_members"]


def test_a_sparse_tar_member_is_not_unpacked(tmp_path: Path) -> None:
    info = tarfile.TarInfo("big.txt")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    loaded = load_bytes(tmp_path, "k.tar", bytes(header) + b"\0" * 1024)
    assert reasons(loaded) == {"k.tar/big.txt": "sparse_in_archive"}


def test_random_damage_never_crashes(tmp_path: Path) -> None:
    picker = random.Random(7)
    sources: Sequence[tuple[str, bytes]] = [
        ("k.zip", make_zip({**FILES, "c.zip": make_zip(FILES), "d.csv": b"a,b\n1,2\n"})),
        ("k.tar", make_tar(FILES)),
        ("k.tgz", make_tar(FILES, "w:gz")),
    ]
    for name, good in sources:
        for _ in range(150):
            data = bytearray(good)
            for _ in range(picker.randint(1, 8)):
                data[picker.randrange(len(data))] = picker.randrange(256)
            load_bytes(tmp_path, name, bytes(data))


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(members, "_IN_MEMORY_BYTES", 100)
    inner = make_zip({"a.txt": os.urandom(500).hex().encode()})
    loaded = load_bytes(tmp_path, "k.zip", make_zip({"in.zip": inner}))
    assert len(loaded.documents) == 1
    assert list(folder.iterdir()) == []

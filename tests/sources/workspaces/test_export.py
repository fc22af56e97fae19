import os
import stat
import zipfile
from pathlib import Path

import pytest

from domainforge.errors import SourceError
from domainforge.sources.workspaces import export as export_module
from domainforge.sources.workspaces.export import open_export
from domainforge.sources.workspaces.obsidian import ObsidianSource
from tests.sources.workspaces.exports import by_uri, read, reader, source, write_folder, write_zip
from tests.support.source_reader import read_all


def test_hostile_names_reach_no_disk(tmp_path: Path) -> None:
    place = write_zip(
        tmp_path / "x.zip",
        {"../out.md": "a", "/abs.md": "b", "a\\..\\c.md": "c", "good.md": "d", "__MACOSX/x.md": "e",
         ".hidden/y.md": "f", ("n" * 3000) + ".md": "g", "p.m\nd": "h"},
    )  # fmt: skip
    with zipfile.ZipFile(place, "a") as archive:
        link = zipfile.ZipInfo("link.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with open_export(place, tmp_path / "reader") as opened:
        names = {item.name for item in opened.items}
        assert names == {"good.md", ("n" * 3000) + ".md", "p.m\nd"}
        folders = {item.path.parent for item in opened.items}
        assert folders == {tmp_path / "reader" / "unpacked"}
        assert {(o.uri, o.reason) for o in opened.left_out} == {
            ("x/../out.md", "unsafe_name"), ("x//abs.md", "unsafe_name"),
            ("x/a\\..\\c.md", "unsafe_name"), ("x/link.md", "link"),
        }  # fmt: skip
    assert not (tmp_path / "out.md").exists()
    assert list((tmp_path / "reader").iterdir()) == []


def test_a_bomb_ends_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_FREE_UNPACKED_BYTES", 1_000_000)
    place = write_zip(tmp_path / "x.zip", {"a.md": b"\0" * 30_000_000})
    with (
        pytest.raises(SourceError, match="unpacks to far too much"),
        open_export(place, tmp_path / "reader"),
    ):
        pass
    assert list((tmp_path / "reader").iterdir()) == []


def test_links_out_of_a_folder(tmp_path: Path) -> None:
    place = write_folder(tmp_path / "x", {"a.md": "a", ".git/b.md": "b"})
    secret = tmp_path / "secret.md"
    secret.write_text("s")
    (place / "link.md").symlink_to(secret)
    (place / "inside.md").symlink_to(place / "a.md")
    os.mkfifo(place / "pipe.md")
    with open_export(place, tmp_path / "reader") as opened:
        assert [item.name for item in opened.items] == ["a.md", "inside.md"]
        assert {o.uri: o.reason for o in opened.left_out} == {
            "x/link.md": "link_outside",
            "x/pipe.md": "not_a_file",
        }


def test_a_damaged_zip(tmp_path: Path) -> None:
    place = write_zip(tmp_path / "x.zip", {"a.md": os.urandom(5000)})
    data = bytearray(place.read_bytes())
    data[200:300] = b"\0" * 100
    place.write_bytes(data)
    with (
        pytest.raises(SourceError, match="no whole zip"),
        open_export(place, tmp_path / "reader"),
    ):
        pass


def test_a_directory_of_any_size_is_not_read(tmp_path: Path) -> None:
    place = write_zip(tmp_path / "x.zip", {"a.md": "a"})
    data = bytearray(place.read_bytes())
    at = data.rfind(b"PK\5\6")
    data[at + 12 : at + 16] = (300_000_000).to_bytes(4, "little")
    place.write_bytes(data)
    with (
        pytest.raises(SourceError, match="absurdly many files"),
        open_export(place, tmp_path / "reader"),
    ):
        pass


def test_an_encrypted_file_is_a_fault(tmp_path: Path) -> None:
    place = write_zip(tmp_path / "x.zip", {"a.md": "a", "b.md": "b"})
    data = bytearray(place.read_bytes())
    at = data.find(b"PK\1\2")
    data[at + 8] |= 1
    place.write_bytes(data)
    readings = read(ObsidianSource, "obsidian", {"path": "x.zip"}, tmp_path)
    faults = [fault for reading in readings for fault in reading.loaded.faults]
    assert [(fault.uri, fault.reason) for fault in faults] == [("x/a.md", "encrypted")]
    assert list(by_uri(readings)) == ["x/b.md"]


def test_an_interrupted_reading_goes_on(tmp_path: Path) -> None:
    write_folder(tmp_path / "v", {"a.md": "a", "b.md": "b", "c.md": "c"})
    made = source(ObsidianSource, "obsidian", {"path": "v"}, tmp_path)
    again = reader(tmp_path)
    again.finished = {"v/b.md"}
    assert list(by_uri(read_all(made, again))) == ["v/a.md", "v/c.md"]

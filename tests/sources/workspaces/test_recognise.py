import bz2
import gzip
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard

from domainforge.errors import SourceError
from domainforge.sources.choice import open_sources
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FileHashes
from domainforge.sources.workspaces.recognise import recognise
from tests.sources.workspaces.exports import write_folder, write_zip

ID = "0123456789abcdef0123456789abcdef"
DUMP = b'<?xml version="1.0"?>\n<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">\n'
EXPORTS: dict[str, Mapping[str, str | bytes]] = {
    "obsidian": {".obsidian/app.json": "{}", "Note.md": "# Note"},
    "slack": {"channels.json": "[]", "users.json": "[]", "general/2024-01-02.json": "[]"},
    "notion": {f"Handbook {ID}.md": "# Handbook", f"Handbook {ID}/Fares {ID}.csv": "a,b"},
    "confluence": {
        "index.html": '<html><span id="title-text">Space Details:</span></html>',
        "Fares_161.html": "<html></html>",
    },
}


@pytest.mark.parametrize("place", EXPORTS)
@pytest.mark.parametrize("below", ["", "Export/"])
def test_an_export_is_known_as_folder_and_as_zip(tmp_path: Path, place: str, below: str) -> None:
    files = {f"{below}{name}": content for name, content in EXPORTS[place].items()}
    if place != "obsidian" or not below:  # a folder of vaults is no vault
        assert recognise(write_folder(tmp_path / "folder", files)) == place
    assert recognise(write_zip(tmp_path / "export", files)) == place


@pytest.mark.parametrize("names", [(".git/HEAD",), ("HEAD", "objects/a", "refs/b"), (".git",)])
def test_a_repository_is_known(tmp_path: Path, names: tuple[str, ...]) -> None:
    assert recognise(write_folder(tmp_path / "r", dict.fromkeys(names, "x"))) == "git"


def test_a_dump_is_known_by_its_head_packed_or_not(tmp_path: Path) -> None:
    packed = {
        "w.xml": DUMP,
        "w.xml.bz2": bz2.compress(DUMP),
        "W.XML.GZ": gzip.compress(DUMP),
        "w.xml.zst": zstandard.compress(DUMP),
    }
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
        assert recognise(tmp_path / name) == "mediawiki", name


def test_what_only_looks_like_an_export_is_none(tmp_path: Path) -> None:
    others: dict[str, Mapping[str, str | bytes]] = {
        "site": {"index.html": "<html>Our handbook</html>", "a.html": "x"},
        "hashes": {f"{ID}.html": "x", "pages/channels.json": "[]"},
        "deep": {f"a/b/Handbook {ID}.md": "x", "a/b/channels.json": "[]", "a/b/users.json": "[]"},
        "head": {"HEAD": "x", "page.md": "x"},
        "empty": {},
    }
    for name, files in others.items():
        (tmp_path / name).mkdir()
        assert recognise(write_folder(tmp_path / name, files)) is None, name
    (tmp_path / "feed.xml").write_text("<rss/>")
    assert recognise(tmp_path / "feed.xml") is None
    assert recognise(tmp_path / "missing") is None


def test_what_is_broken_or_hostile_is_none(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "whole.zip", EXPORTS["slack"]).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    for name, data in {
        "a.xml.bz2": b"BZhx", "a.xml.gz": b"\x1f\x8b\x08\x00", "a.xml.zst": b"\x28\xb5\x2f\xfdxx",
        "b.xml.gz": gzip.compress(DUMP)[:14] + b"zzzz", "a.zip": b"PK\5\6" + b"\xff" * 18,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe.xml")
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "loop").symlink_to("loop")
    found = {path.name: recognise(path) for path in sorted(tmp_path.iterdir())}
    assert found.pop("whole.zip") == "slack"
    assert set(found.values()) == {None}, found


def open_as(place: str, path: str, project: Path) -> None:
    config = SourceConfig.model_validate({place: path})
    (opened,) = open_sources([config], project, FileHashes({}, 1))
    opened.source.identity()


@pytest.mark.parametrize("place", ["confluence", "notion", "obsidian"])
def test_an_export_under_another_tools_key_is_refused(tmp_path: Path, place: str) -> None:
    write_zip(tmp_path / "slack.zip", EXPORTS["slack"])
    with pytest.raises(SourceError, match=r"an export of Slack; write `slack: slack\.zip`"):
        open_as(place, "slack.zip", tmp_path)
    write_folder(tmp_path / "own", EXPORTS[place])
    open_as(place, "own", tmp_path)


def test_a_vault_may_hold_pages_from_notion_and_lie_in_a_repository(tmp_path: Path) -> None:
    write_folder(tmp_path / "vault", {**EXPORTS["notion"], ".git/HEAD": "ref: refs/heads/main"})
    open_as("obsidian", "vault", tmp_path)


@pytest.mark.parametrize("place", ["mediawiki", "confluence", "slack"])
def test_a_pipe_is_no_export(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "export")
    with pytest.raises(SourceError, match="a pipe or a device"):
        open_as(place, "export", tmp_path)


def test_a_folder_is_no_dump(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder; name one dump in it"):
        open_as("mediawiki", ".", tmp_path)

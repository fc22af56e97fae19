import os
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import SourceError
from domainforge.files import file_hash
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FileHashes, FoundFiles, find_by_source, find_files
from domainforge.sources.loaded import SourceFile
from tests.sources.samples import MAX_BYTES, load_file


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")


def find(project: Path, *patterns: str, include: tuple[str, ...] = ("*",)) -> FoundFiles:
    return find_files([SourceConfig(files=p, include=include) for p in patterns], project)


def uris(found: FoundFiles) -> list[str]:
    return [file.uri for file in found.files]


def reasons(found: FoundFiles) -> dict[str, str]:
    return {item.uri: item.reason for item in found.dropped}


def test_folder_is_walked_in_order_without_hidden_files(tmp_path: Path) -> None:
    write(tmp_path, "kb/b.md", "kb/a/z.TXT", "kb/.git/x.md", "kb/.hidden.md", "kb/pic.png")
    found = find(tmp_path, "kb")
    assert uris(found) == ["kb/a/z.TXT", "kb/b.md"]
    assert reasons(found) == {"kb/pic.png": "unknown_kind"}


def test_uri_starts_at_the_named_folder_wherever_it_lies(tmp_path: Path) -> None:
    write(tmp_path, "far/away/kb/b.md")
    for pattern in ("far/away/kb", str(tmp_path / "far/away/kb"), "far/away/kb/"):
        assert uris(find(tmp_path, pattern)) == ["kb/b.md"]
    assert uris(find(tmp_path / "far/away/kb", ".")) == ["kb/b.md"]
    assert uris(find(tmp_path, "far/away/kb/b.md")) == ["b.md"]


def test_globs(tmp_path: Path) -> None:
    write(tmp_path, "data/one/a.md", "data/two/b.md", "data/two/c.txt", "data/.x/d.md")
    assert uris(find(tmp_path, "data/*/*.md")) == ["data/one/a.md", "data/two/b.md"]
    assert uris(find(tmp_path, "data/**/*.txt")) == ["data/two/c.txt"]
    assert uris(find(tmp_path, "data/t*")) == ["data/two/b.md", "data/two/c.txt"]
    with pytest.raises(SourceError, match="no usable glob"):
        find(tmp_path, "data/**.md")


def test_folder_name_may_look_like_a_glob(tmp_path: Path) -> None:
    write(tmp_path, "notes [2024]/a.md")
    assert uris(find(tmp_path, "notes [2024]")) == ["notes [2024]/a.md"]


def test_include(tmp_path: Path) -> None:
    write(tmp_path, "kb/a.md", "kb/b.txt", "kb/sub/c.txt", "kb/x.png")
    found = find(tmp_path, "kb", include=("*.MD", "sub/*"))
    assert uris(found) == ["kb/a.md", "kb/sub/c.txt"]
    assert reasons(found) == {"kb/b.txt": "not_included", "kb/x.png": "unknown_kind"}


def test_file_of_two_sources_is_found_once(tmp_path: Path) -> None:
    write(tmp_path, "kb/a.md", "kb/b.md")
    assert uris(find(tmp_path, "kb/b.md", "kb")) == ["b.md", "kb/a.md"]


@pytest.mark.parametrize(
    "some", [{"where": {"language": "en"}}, {"limit": 1}, {"sample_share": 0.5}, {"weight": 1.0}]
)
def test_files_of_a_source_that_takes_some_documents_are_there_for_the_next(
    tmp_path: Path, some: dict[str, Any]
) -> None:
    write(tmp_path, "kb/a.md", "kb/b.md", "kb/x.png")
    sources = [SourceConfig(files="kb", **some), SourceConfig(files="kb/*.md")]
    sources.append(SourceConfig(files="kb"))
    first, second, third = find_by_source(sources, tmp_path)
    names = ["kb/a.md", "kb/b.md"]
    assert [file.uri for file in first.files] == [file.uri for file in second.files] == names
    assert third.files == ()
    assert [item.uri for item in first.dropped] == ["kb/x.png"]


def test_equal_names_of_two_sources_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, "x/docs/a.md", "y/docs/a.md")
    assert uris(find(tmp_path, "x/docs", "y/docs")) == ["docs/a.md", "y/docs/a.md"]


def test_missing_source_names_what_was_looked_for(tmp_path: Path) -> None:
    for pattern in ("no/such", "no/such/*.md"):
        with pytest.raises(SourceError, match="no such file or folder: no/such"):
            find(tmp_path, pattern)


@pytest.mark.parametrize("name", ["a\0b", "~nobody-of-that-name/x"])
def test_a_name_that_can_be_none_is_a_fault(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"NUL|no such file"):
        find(tmp_path, name)


def test_links_and_pipes(tmp_path: Path) -> None:
    write(tmp_path, "secret.md", "kb/a.md")
    (tmp_path / "kb/out.md").symlink_to(tmp_path / "secret.md")
    (tmp_path / "kb/gone.md").symlink_to(tmp_path / "nothing.md")
    (tmp_path / "kb/loop").symlink_to(tmp_path / "kb")
    os.mkfifo(tmp_path / "kb/pipe.md")
    found = find(tmp_path, "kb")
    assert uris(found) == ["kb/a.md"]
    assert reasons(found) == {
        "kb/out.md": "link_outside",
        "kb/gone.md": "not_a_file",
        "kb/pipe.md": "not_a_file",
    }


def test_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.md")
    write(tmp_path, "kb/a.md")
    (tmp_path / "kb/a.md").rename(tmp_path / "kb" / name)
    (uri,) = uris(find(tmp_path, "kb"))
    assert uri.encode() == "kb/caf\ufffd.md".encode()


def test_file_over_the_limit_is_a_fault_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.md"
    with path.open("wb") as handle:
        handle.truncate(2_000_000_000)
    file = SourceFile(path, "kb/big.md", SourceConfig(files="kb"))
    (fault,) = load_file(file, MAX_BYTES).faults
    assert fault.reason == "too_large"


def test_file_that_vanished_is_a_fault_without_its_path(tmp_path: Path) -> None:
    file = SourceFile(tmp_path / "gone.md", "kb/gone.md", SourceConfig(files="kb"))
    (fault,) = load_file(file, MAX_BYTES).faults
    assert (fault.uri, fault.reason) == ("kb/gone.md", "unreadable")
    assert str(tmp_path) not in fault.detail


def test_blank_file_is_dropped(tmp_path: Path) -> None:
    for name, content in {"a.md": "", "b.txt": " \n\t", "c.jsonl": "\n", "d.html": "<p>"}.items():
        path = tmp_path / name
        path.write_text(content)
        loaded = load_file(SourceFile(path, name, SourceConfig(files="x")), MAX_BYTES)
        assert not loaded.documents
        assert not loaded.faults
        assert [(item.uri, item.reason) for item in loaded.dropped] == [(name, "empty")]


def test_what_is_too_large_to_be_read_is_not_hashed_either(tmp_path: Path) -> None:
    for name in ("big.txt", "rows.jsonl"):
        with (tmp_path / name).open("wb") as handle:
            handle.truncate(2_000_000)
    hashes = FileHashes({}, max_bytes=1_000_000)
    assert hashes.of(tmp_path / "big.txt") == "too large: 2000000 bytes"
    assert hashes.of(tmp_path / "rows.jsonl") == file_hash(tmp_path / "rows.jsonl")

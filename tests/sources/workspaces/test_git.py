import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from domainforge.errors import SourceError
from domainforge.sources.config import SourceConfig
from domainforge.sources.workspaces.git import GitSource
from domainforge.sources.workspaces.git_attributes import Attributes
from tests.sources.workspaces.exports import by_uri, read, reader, reasons, source, write_folder
from tests.support.source_reader import read_all

PEOPLE = {
    "GIT_AUTHOR_NAME": "Tove", "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "Per", "GIT_COMMITTER_EMAIL": "p@example.org",
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull,
}  # fmt: skip


def git(place: Path, *arguments: str, day: int = 1) -> str:
    when = f"2024-05-{day:02}T10:00:00+00:00"
    environment = {
        "PATH": os.environ["PATH"], **PEOPLE, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when,
    }  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(place), *arguments], check=True, capture_output=True, env=environment
    )
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "handbook"
    write_folder(
        place,
        {
            "README.md": "# Handbook\n\nOld.",
            "docs/färjor.md": "# Ferries\n\nThey sail.",
            "docs/gen/api.md": "# Made by a tool",
            "lib/x.md": "# Someone else's",
            "lib/ours.md": "# Ours",
            "logo.png": b"\x89PNG",
            "big.md": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
            ".github/pr.md": "Template",
            ".gitattributes": "docs/gen/** linguist-generated\n*.md filter=evil diff=evil\n",
            "lib/.gitattributes": "*.md linguist-vendored=true\nours.md -linguist-vendored\n",
        },
    )
    (place / "link.md").symlink_to("/etc/passwd")
    git(place, "init", "-q", "-b", "main")
    git(place, "add", ".")
    git(place, "commit", "-qm", "Begin")
    (place / "README.md").write_text("# Handbook\n\nNew.")
    git(place, "commit", "-qam", "Say more\n\nThe old text said too little.", day=2)
    (place / "README.md").write_text("Not committed.")
    return place


def test_the_files_of_a_commit(repository: Path, tmp_path: Path) -> None:
    readings = read(GitSource, "git", {"path": "handbook"}, tmp_path)
    documents = by_uri(readings)
    assert set(documents) == {
        "handbook/README.md", "handbook/docs/färjor.md", "handbook/lib/ours.md",
    }  # fmt: skip
    readme = documents["handbook/README.md"]
    assert "New." in readme.text
    assert readme.modified == "2024-05-02T10:00:00+00:00"
    assert readme.metadata["commit_author"] == "Tove"
    assert documents["handbook/docs/färjor.md"].modified == "2024-05-01T10:00:00+00:00"
    assert reasons(readings) == {
        "handbook/docs/gen/api.md": "generated", "handbook/lib/x.md": "vendored",
        "handbook/logo.png": "unknown_kind", "handbook/big.md": "lfs_pointer",
        "handbook/link.md": "link", "handbook/.github/pr.md": "hidden",
        "handbook/.gitattributes": "hidden", "handbook/lib/.gitattributes": "hidden",
    }  # fmt: skip
    revisions = {reading.uri: reading.revision for reading in readings}
    assert revisions["handbook/README.md"] == git(repository, "rev-parse", "HEAD:README.md")
    assert not [path for path in (tmp_path / "reader").rglob("*") if path.is_file()]


def test_only_what_changed_is_parsed_again(repository: Path, tmp_path: Path) -> None:
    made = source(GitSource, "git", {"path": "handbook"}, tmp_path)
    first = reader(tmp_path)
    before = made.identity()
    second = first.take_over(read_all(made, first))
    (repository / "README.md").write_text("# Handbook\n\nNewest.")
    git(repository, "commit", "-qam", "Again", day=3)
    assert made.identity() != before
    after = read_all(made, second)
    assert second.parsed == ["handbook/README.md"]
    assert "Newest." in by_uri(after)["handbook/README.md"].text


def test_a_ref_a_bare_repository_and_its_address(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(tmp_path / "bare.git"))
    for path in ("bare.git", f"file://{tmp_path / 'bare.git'}"):
        readings = read(GitSource, "git", {"path": path, "ref": "main~1"}, tmp_path)
        assert "Old." in by_uri(readings)["bare/README.md"].text


def test_messages_of_commits(repository: Path, tmp_path: Path) -> None:
    options = {"path": "handbook", "commits": True, "include": ["README.md"]}
    readings = read(GitSource, "git", options, tmp_path)
    documents = by_uri(readings)
    head = git(repository, "rev-parse", "HEAD")
    commit = documents[f"handbook/commits#{head}"]
    assert commit.text == "# Say more\n\nThe old text said too little."
    assert (commit.title, commit.metadata["author"]) == ("Say more", "Tove")
    assert commit.created == "2024-05-02T10:00:00+00:00"
    assert list(reasons(readings).values()).count("no_body") == 1
    assert reasons(readings)["handbook/lib/ours.md"] == "not_included"


def test_nothing_of_the_repository_is_run(repository: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    script = repository / ".git" / "evil.sh"
    script.write_text(f"#!/bin/sh\necho $0 >> {trace}\ncat\n")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor", "core.pager", "core.sshCommand", "filter.evil.smudge",
        "filter.evil.clean", "diff.evil.textconv", "diff.evil.command", "gpg.program",
        "diff.external", "core.editor", "core.alternateRefsCommand", "uploadpack.packObjectsHook",
    ):  # fmt: skip
        git(repository, "config", key, str(script))
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "core.hooksPath", str(script.parent))
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        (script.parent / hook).write_text(script.read_text())
        (script.parent / hook).chmod(0o755)
    readings = read(GitSource, "git", {"path": "handbook", "commits": True}, tmp_path)
    assert "handbook/README.md" in by_uri(readings)
    assert not trace.exists()


def test_a_repository_of_somebody_else_and_git_dir_around_us(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert by_uri(read(GitSource, "git", {"path": "handbook"}, tmp_path))


def test_no_repository_and_no_such_ref(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no commit, branch or tag 'nowhere'"):
        read(GitSource, "git", {"path": "handbook", "ref": "nowhere"}, tmp_path)
    (tmp_path / "plain").mkdir()
    with pytest.raises(SourceError, match="no Git repository"):
        read(GitSource, "git", {"path": "plain"}, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "https://git.example/x.git"}, "git clone it first"),
        ({"path": "ext::sh -c id://x"}, "git clone it first"),
        ({"path": "x", "ref": "--output=/tmp/x"}, "no name of a branch"),
    ],
)
def test_what_is_not_allowed(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SourceConfig.model_validate({"git": options})


def test_a_folder_in_a_repository_is_none(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no Git repository"):
        read(GitSource, "git", {"path": "handbook/docs"}, tmp_path)


def test_a_missing_object_costs_its_file_only(repository: Path, tmp_path: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:README.md")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    readings = read(GitSource, "git", {"path": "handbook"}, tmp_path)
    faults = [fault for reading in readings for fault in reading.loaded.faults]
    assert [(fault.uri, fault.reason) for fault in faults] == [("handbook/README.md", "unreadable")]
    assert "handbook/lib/ours.md" in by_uri(readings)


def test_attributes() -> None:
    attributes = Attributes(
        [
            (".gitattributes", b"# c\n*.min.js linguist-vendored\ndist/** linguist-generated\n"
                               b"a/*.md linguist-generated=true\n"),
            ("deep/.gitattributes", b"x?.txt linguist-generated\nx1.txt linguist-generated=false"),
        ]
    )  # fmt: skip
    assert attributes.has("a/b/x.min.js", "linguist-vendored")
    assert attributes.has("dist/a/b.txt", "linguist-generated")
    assert attributes.has("a/x.md", "linguist-generated")
    assert not attributes.has("a/b/x.md", "linguist-generated")
    assert attributes.has("deep/down/x2.txt", "linguist-generated")
    assert not attributes.has("deep/x1.txt", "linguist-generated")
    assert not attributes.has("x2.txt", "linguist-generated")


def test_absurd_patterns_end() -> None:
    attributes = Attributes([(".gitattributes", b"*a" * 150 + b" linguist-generated\n")])
    assert not attributes.has("a" * 300 + "b", "linguist-generated")

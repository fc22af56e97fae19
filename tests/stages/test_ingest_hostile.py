"""Files made to hurt, read by the real ingest: each ends as itself, named, and nothing else."""

import io
import os
import resource
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FileHashes, FilesSource, find_by_source
from domainforge.stage import StageResult
from tests.sources.kinds.test_pdf import bare_pdf, one_page
from tests.stages.test_ingest import column, context_of, ingest

GOOD = "The ferry crosses every hour."
ENTITIES = (
    '<!DOCTYPE a [<!ENTITY x "haha">'
    + "".join(
        f'<!ENTITY {c} "{f"&{b};" * 10}">' for b, c in zip("xbcdefghi", "bcdefghij", strict=True)
    )
    + "]><a><p>start</p><p>&j;</p></a>"
)


def hungry_pdf() -> bytes:
    """A form that draws itself twice: the engine's list of what is drawn doubles with each."""
    form = b"/F0 Do /F0 Do"
    shown = b"BT /F 12 Tf 60 700 Td (Hello there.) Tj ET /F0 Do"
    resources = b"/Resources<</Font<</F 4 0 R>>/XObject<</F0 6 0 R>>>>"
    return bare_pdf(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 5 0 R" + resources + b">>",
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(shown), shown),
            b"<</Type/XObject/Subtype/Form/BBox[0 0 600 800]" + resources
            + b"/Length %d>>stream\n%s\nendstream" % (len(form), form),
        ]
    )  # fmt: skip


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def folder(project: Path) -> Path:
    """Make a folder that holds one good file before and one after all others."""
    kb = project / "kb"
    kb.mkdir()
    (kb / "0.md").write_text(GOOD)
    (kb / "zz.md").write_text("A crossing costs 2.50 crowns.")
    return kb


def read(project: Path, **config: Any) -> tuple[StageResult, list[str], dict[str, str]]:
    """Ingest; the good files must be there, and the account whole."""
    result, out = ingest(context_of(project, "kb"), **config)
    uris = column(out, "uri")
    assert {"kb/0.md", "kb/zz.md"} <= set(uris)
    assert result.account.balances
    left_out = {
        r["uri"]: r["reason"] for t in ("dropped", "faults") for r in out.read(t).to_pylist()
    }
    return result, sorted(set(uris) - {"kb/0.md", "kb/zz.md"}), left_out


@pytest.mark.slow
def test_a_pdf_that_eats_memory_ends_alone(tmp_path: Path) -> None:
    (folder(tmp_path) / "a.pdf").write_bytes(hungry_pdf())
    _, _, left_out = read(tmp_path, max_file_memory_mb=400, max_file_seconds=20)
    assert left_out["kb/a.pdf"] in ("too_much_memory", "crashed", "too_slow")


@pytest.mark.slow
def test_a_killer_in_an_archive_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    data = make_zip({"a.md": b"Alpha.", "b.pdf": hungry_pdf(), "c.md": b"Gamma."})
    (folder(tmp_path) / "a.zip").write_bytes(data)
    _, uris, left_out = read(tmp_path, max_file_memory_mb=400, max_file_seconds=20)
    assert uris == ["kb/a.zip/a.md", "kb/a.zip/c.md"]
    assert list(left_out) == ["kb/a.zip/b.pdf"]


@pytest.mark.slow
def test_archives_made_to_hurt(tmp_path: Path) -> None:
    kb = folder(tmp_path)
    (kb / "bomb.zip").write_bytes(make_zip({"x.txt": b"\0" * (600 << 20)}))
    (kb / "names.zip").write_bytes(make_zip({"../../../etc/x.md": b"One.", "/root/y.md": b"Two."}))
    nested = b"Deep."
    for depth in range(6):
        nested = make_zip({"x.md" if not depth else f"{depth}.zip": nested})
    (kb / "nested.zip").write_bytes(nested)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("passwords.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (kb / "link.tar").write_bytes(buffer.getvalue())
    _, uris, left_out = read(tmp_path)
    assert uris == ["kb/names.zip/etc/x.md", "kb/names.zip/root/y.md"]
    assert left_out["kb/link.tar/passwords.md"] == "link_in_archive"
    assert {uri.split("/")[1] for uri in left_out} == {"bomb.zip", "nested.zip", "link.tar"}
    assert not (tmp_path / "etc").exists()


def test_links_loops_and_pipes(tmp_path: Path) -> None:
    kb = folder(tmp_path)
    (tmp_path / "secret.md").write_text("Not in the folder.")
    (kb / "out.md").symlink_to(tmp_path / "secret.md")
    (kb / "loop.md").symlink_to(kb / "loop.md")
    (kb / "gone.md").symlink_to(kb / "nowhere.md")
    (kb / "up").symlink_to(tmp_path)
    (kb / "folder.md").mkdir()
    os.mkfifo(kb / "pipe.md")
    _, uris, left_out = read(tmp_path)
    assert uris == []
    assert left_out["kb/out.md"] == "link_outside"
    assert {left_out[f"kb/{name}.md"] for name in ("loop", "gone", "pipe")} == {"not_a_file"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.xml", ENTITIES.encode()),
        ("x.xml", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><p>&x;</p></a>'),
        ("x.html", ENTITIES.encode()),
        ("x.rss", ENTITIES.encode()),
    ],
)
def test_entities_are_not_followed(tmp_path: Path, name: str, data: bytes) -> None:
    (folder(tmp_path) / name).write_bytes(data)
    result, out = ingest(context_of(tmp_path, "kb"), max_file_seconds=20)
    texts = column(out, "text")
    assert GOOD in texts
    assert not any("haha" in text or "root:" in text for text in texts)
    assert result.account.balances


def test_a_pdf_whose_pages_run_in_a_circle(tmp_path: Path) -> None:
    (folder(tmp_path) / "x.pdf").write_bytes(one_page(kids=b"/Count 9/Kids[2 0 R 2 0 R]"))
    _, uris, left_out = read(tmp_path, max_file_seconds=20)
    assert [*uris, *left_out] == ["kb/x.pdf"]


@pytest.mark.slow
def test_two_sparse_gigabytes(tmp_path: Path) -> None:
    kb = folder(tmp_path)
    for name in ("x.txt", "y.jsonl"):
        with (kb / name).open("wb") as handle:
            handle.truncate(2 << 30)
    _, uris, left_out = read(tmp_path, max_file_memory_mb=512)
    assert uris == []
    assert left_out["kb/x.txt"] == "too_large"
    assert [uri for uri in left_out if uri.startswith("kb/y.jsonl")]


def test_odd_names(tmp_path: Path) -> None:
    kb = os.fsencode(folder(tmp_path))
    names = [
        b"new\nline.md",
        b"caf\xe9.md",
        b"x" * 252 + b".md",
        b"tab\t\x01\x7f.md",
        b"'\"$(x);.md",
    ]
    for number, name in enumerate(names):
        Path(os.fsdecode(kb + b"/" + name)).write_text(f"Text number {number}.")
    _, uris, left_out = read(tmp_path)
    assert uris == sorted(f"kb/{name.decode('utf-8', 'replace')}" for name in names)
    assert left_out == {}


def _remove(path: Path) -> None:
    path.unlink()


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [_remove, _to_pipe, _to_folder])
@pytest.mark.parametrize("hashed", [False, True])
def test_what_is_no_file_any_more_when_it_is_read(
    tmp_path: Path, change: Callable[[Path], None], hashed: bool
) -> None:
    from domainforge.sources.workers import Limits, WorkerPool

    kb = folder(tmp_path)
    (kb / "b.md").write_text("Beta.")
    (found,) = find_by_source([SourceConfig(files="kb")], tmp_path)
    source = FilesSource(found, FileHashes({}, 1 << 30))

    class Reader:
        folder, position, seed = tmp_path, None, 0

        def known(self, uri: str) -> None: ...

        def done(self, uri: str) -> bool:
            return False

        def say(self, text: str) -> None: ...

        def parse(self, work: Any) -> Any:
            items = list(work) if hashed else work
            if hashed:
                change(kb / "b.md")
            return pool.parse(items)

    if not hashed:
        change(kb / "b.md")
    with WorkerPool(Limits(1_000_000, 20, 1 << 30), count=1) as pool:
        loaded = {reading.uri: reading.loaded for reading in source.read(Reader())}
    assert [fault.reason for fault in loaded["kb/b.md"].faults] in (
        ["unreadable"],
        ["changed_while_read"],
    )
    assert loaded["kb/0.md"].documents


def _tiny(project: Path, count: int) -> None:
    for number in range(count):
        place = project / "kb" / str(number // 1000)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.md").write_text(f"# Note {number}\n\nValue {number} is set here.")


@pytest.mark.slow
def test_thousands_of_tiny_files_are_quick(tmp_path: Path) -> None:
    _tiny(tmp_path, 2_000)
    started = time.monotonic()
    result, _ = ingest(context_of(tmp_path, "kb"))
    assert result.account.done == result.account.total == 2_000
    assert time.monotonic() - started < 20  # 2 s where nothing else runs


@pytest.mark.slow
def test_a_hundred_thousand_tiny_files(tmp_path: Path) -> None:
    _tiny(tmp_path, 100_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result, _ = ingest(context_of(tmp_path, "kb"))
    assert result.account.done == result.account.total == 100_000
    assert result.account.balances
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 600 << 10

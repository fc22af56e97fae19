import bz2
import gzip
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds import members
from domainforge.sources.kinds.compressed import stream_compressed
from domainforge.sources.loaded import Loaded, SourceFile
from tests.sources.samples import load_bytes


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}


@pytest.mark.parametrize("ending", PACK)
def test_any_kind_in_any_compression(tmp_path: Path, ending: str) -> None:
    pack = PACK[ending]
    (document,) = load_bytes(tmp_path, f"a.md{ending}", pack(b"# Ferry\n\nIt runs.")).documents
    assert (document.uri, document.title) == (f"kb/a.md{ending}/a.md", "Ferry")
    rows = pack(b'{"id": "x", "text": "row"}\n') + pack(b'{"text": "in a second stream"}\n')
    first, second = load_bytes(tmp_path, f"r.jsonl{ending}", rows).documents
    assert first.uri == f"kb/r.jsonl{ending}/r.jsonl#x"
    assert second.text == "in a second stream"


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.slow
def test_a_damaged_file_keeps_the_parts_before(tmp_path: Path, ending: str) -> None:
    noise = [f'{{"text": "{i * 7919 % 1000003} and {i * 104729 % 999983}"}}' for i in range(50_000)]
    packed = PACK[ending]("\n".join(noise).encode())
    loaded = load_bytes(tmp_path, f"r.jsonl{ending}", packed[: len(packed) * 3 // 4])
    assert 1000 <= len(loaded.documents) < 50_000
    # A cut zstd stream looks like one that ends; its last row is cut too.
    assert [fault.reason for fault in loaded.faults] in (["damaged"], ["bad_line"])


@pytest.mark.parametrize("ending", PACK)
def test_what_is_not_compressed_is_a_fault(tmp_path: Path, ending: str) -> None:
    loaded = load_bytes(tmp_path, f"a.txt{ending}", b"plain text")
    assert [(f.uri, f.reason) for f in loaded.faults] == [(f"kb/a.txt{ending}", "unreadable")]


def test_an_unknown_kind_inside_is_dropped(tmp_path: Path) -> None:
    loaded = load_bytes(tmp_path, "a.odd.gz", gzip.compress(b"x"))
    assert [item.reason for item in loaded.dropped] == ["unknown_kind"]


@pytest.mark.parametrize("ending", PACK)
def test_a_bomb_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(members, "_FREE_BYTES", 100_000)
    monkeypatch.setattr(members, "_MAX_RATIO", 20)
    loaded = load_bytes(tmp_path, f"a.txt{ending}", PACK[ending](b"0" * 5_000_000))
    assert [(f.uri, f.reason) for f in loaded.faults] == [(f"kb/a.txt{ending}", "bomb")]


def test_a_large_file_streams_with_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "big.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        for index in range(4000):
            out.write(b'{"id": %d, "text": "%s"}\n' % (index, b"Two crowns a head. " * 500))
    file = SourceFile(path, "kb/big.jsonl.gz", SourceConfig(files=str(tmp_path)))
    count = 0
    tracemalloc.start()
    with path.open("rb") as handle:
        for part in stream_compressed(handle, file, 0):
            count += len(part.documents) if isinstance(part, Loaded) else 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4000
    assert peak < 20_000_000

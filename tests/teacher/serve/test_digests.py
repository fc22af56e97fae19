import json
import os
import time
from pathlib import Path

import pytest

from domainforge.files import cache_folder, file_hash
from domainforge.teacher.serve import digests
from domainforge.teacher.serve.digests import cached_file_hash, file_name_for


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that counts as large, last changed a minute ago."""
    monkeypatch.setenv("DOMAINFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SMALLEST_BYTES", 4)
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", 0.0)
    path = tmp_path / "weights"
    path.write_bytes(b"first")
    time.sleep(0.02)
    return path


def note_of(path: Path) -> Path:
    return cache_folder() / "digests" / file_name_for(path)


def test_a_file_is_hashed_once(weights: Path) -> None:
    digest = cached_file_hash(weights)
    assert digest == file_hash(weights)
    note = json.loads(note_of(weights).read_text())
    note_of(weights).write_text(json.dumps({**note, "sha256": "remembered"}))
    assert cached_file_hash(weights) == "remembered"


def test_a_file_of_the_same_size_and_time_is_another_one(weights: Path) -> None:
    before, times = cached_file_hash(weights), weights.stat()
    weights.write_bytes(b"other")
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cached_file_hash(weights) == file_hash(weights) != before


def test_a_file_that_just_changed_is_not_remembered(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", 60.0)
    assert cached_file_hash(weights) == file_hash(weights)
    assert not note_of(weights).exists()


def test_a_small_file_and_a_broken_cache_cost_only_time(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_of(weights).parent.mkdir(parents=True)
    note_of(weights).write_text("no JSON")
    assert cached_file_hash(weights) == file_hash(weights)
    monkeypatch.setenv("DOMAINFORGE_CACHE", str(weights))
    assert cached_file_hash(weights) == file_hash(weights)
    monkeypatch.setattr(digests, "_SMALLEST_BYTES", 1000)
    assert cached_file_hash(weights) == file_hash(weights)

"""SHA-256 of large files, remembered: hashing 4 GB takes seconds, and each run needs it."""

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from domainforge.files import cache_folder, file_hash

_SMALLEST_BYTES = 32 * 1024 * 1024
# A file changed this recently could change again within one tick of its clock.
_SETTLED_SECONDS = 2.0


def cached_file_hash(path: Path) -> str:
    """Return a file's SHA-256, from the cache where the file has not been touched since.

    Path, size, both times of change and the inode must be the same: copies that keep the
    modification time would pass for each other otherwise.
    """
    path = path.resolve()
    seen = _look_at(path)
    if seen["size"] < _SMALLEST_BYTES:
        return file_hash(path)
    name = file_name_for(path)
    note = cache_folder() / "digests" / name
    # A cache that can't be read or written only costs time.
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["file"] == seen:
            return str(known["sha256"])
    digest = file_hash(path)
    settled = time.time_ns() - max(seen["mtime_ns"], seen["ctime_ns"]) > _SETTLED_SECONDS * 1e9
    if settled and _look_at(path) == seen:
        with suppress(OSError):
            _write(note, json.dumps({"path": str(path), "file": seen, "sha256": digest}))
    return digest


def file_name_for(path: Path) -> str:
    """Return the name of the note about a file."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32] + ".json"


def _look_at(path: Path) -> dict[str, int]:
    found = path.stat()
    return {
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "ctime_ns": found.st_ctime_ns,
        "inode": found.st_ino,
    }


def _write(note: Path, text: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=note.parent, prefix=".note-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    Path(name).replace(note)

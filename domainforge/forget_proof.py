"""Looks for what is left of a forgotten document, in bytes and in decoded values."""

import mmap
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domainforge.forget_labels import label_files
from domainforge.forget_rows import read_rows
from domainforge.forget_traces import Traces, is_weights, leaves, with_escapes

_SQLITE = (".sqlite", ".sqlite-wal", ".sqlite-shm")


@dataclass(frozen=True)
class Leftover:
    """A file in which something of the document still is.

    Attributes:
        what: `sentence` or `name`.
    """

    path: Path
    what: str


def find_leftovers(project: Path, traces: Traces) -> list[Leftover]:
    """Scan every file of the runs, and the ledger, for the document's sentences and names."""
    found: list[Leftover] = []
    for path in _files(project):
        if _has_sentence(path, traces):
            found.append(Leftover(path, "sentence"))
        elif not _is_model(path, project) and _has_name(path, traces):
            found.append(Leftover(path, "name"))
    return found


def find_source_files(project: Path, traces: Traces) -> list[Path]:
    """Return the source files of the document that still lie there; they are never deleted."""
    names = {uri.partition("#")[0] for uri in traces.uris} | traces.uris
    return sorted(project / n for n in names if "://" not in n and (project / n).is_file())


def _files(project: Path) -> Iterator[Path]:
    places = [project / "runs", project / ".sources"]
    for place in places:
        yield from (path for path in sorted(place.rglob("*")) if path.is_file())
    yield from sorted(path for path in project.glob("ledger.sqlite*") if path.is_file())
    yield from sorted(project.glob("*forgetting*"))
    yield from label_files(project)


def _is_model(path: Path, project: Path) -> bool:
    runs = project / "runs"
    return path.is_relative_to(runs) and is_weights(Path(*path.relative_to(runs).parts[1:]))


def _has_sentence(path: Path, traces: Traces) -> bool:
    needles = [text.encode() for text in with_escapes(traces.searched)]
    if any(_in_bytes(path, needle) for needle in needles):
        return True
    return any(traces.quoted_in(text) for text in _values(path))


def _has_name(path: Path, traces: Traces) -> bool:
    if not traces.name_pattern:
        return False
    pattern = re.compile(traces.name_pattern)
    if path.suffix in (".parquet", *_SQLITE):
        return any(pattern.search(text) or traces.leads_to(text) for text in _values(path))
    return bool(pattern.search(path.read_text(encoding="utf-8", errors="replace")))


def _in_bytes(path: Path, needle: bytes) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held.find(needle) >= 0


def _values(path: Path) -> Iterator[str]:
    if path.suffix == ".parquet":
        for row in read_rows(path):
            yield from leaves(row)
    elif path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as file:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for (table,) in file.execute(query).fetchall():
                quoted = '"' + table.replace('"', '""') + '"'
                for row in file.execute(f"SELECT * FROM {quoted}"):
                    yield from leaves(row)

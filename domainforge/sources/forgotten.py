"""Documents that were forgotten and must not come back, known by hashes alone."""

import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from domainforge.errors import StorageError
from domainforge.records import canonical_json, text_hash
from domainforge.run_folder import write_atomic

FILE_NAME = "forgotten.jsonl"


@dataclass(frozen=True)
class Forgotten:
    """What a project's forgotten.jsonl says: SHA-256 of names and of texts."""

    uris: frozenset[str] = field(default_factory=frozenset)
    texts: frozenset[str] = field(default_factory=frozenset)

    def covers(self, uri: str, text_sha256: str) -> bool:
        """Tell whether a document was forgotten, by its name or by its text."""
        return text_sha256 in self.texts or (bool(self.uris) and text_hash(uri) in self.uris)

    def digest(self) -> str:
        """Return what changes whenever a document is forgotten; empty while none is."""
        if not self.uris and not self.texts:
            return ""
        both = canonical_json([sorted(self.uris), sorted(self.texts)])
        return hashlib.sha256(both.encode()).hexdigest()


def load_forgotten(project: Path) -> Forgotten:
    """Read a project's forgotten.jsonl; nothing is forgotten where there is none.

    Raises:
        StorageError: A line of it can't be read, so a forgotten document might come back.
    """
    uris: set[str] = set()
    texts: set[str] = set()
    for number, line in enumerate(_lines(project / FILE_NAME), 1):
        try:
            entry = json.loads(line)
            uris.add(str(entry["uri_sha256"]))
            texts.add(str(entry["text_sha256"]))
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"{project / FILE_NAME}:{number}: not a line that `domainforge forget` wrote; "
                "restore it from a copy, or take the line out"
            ) from error
    return Forgotten(frozenset(uris), frozenset(texts))


def add_forgotten(project: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Add documents, each a uri and its text's SHA-256; what is there already stays once."""
    path = project / FILE_NAME
    lines = list(_lines(path))
    known = {(entry["uri_sha256"], entry["text_sha256"]) for entry in map(json.loads, lines)}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for uri, text_sha256 in sorted(set(pairs)):
        pair = (text_hash(uri), text_sha256)
        if pair not in known:
            entry = {"uri_sha256": pair[0], "text_sha256": pair[1], "at": at}
            lines.append(canonical_json(entry))
    write_atomic(path, "".join(f"{line}\n" for line in lines))


def _lines(path: Path) -> Iterable[str]:
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]

"""What students were trained on before: rows of other runs of the project, or of files."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from domainforge.deduplicate.near import match_texts
from domainforge.deduplicate.shingles import Shingling
from domainforge.deduplicate.text_store import TextStore
from domainforge.errors import ConfigError, DataError
from domainforge.files import file_hash
from domainforge.records import said_in
from domainforge.run_folder import read_manifest

_KINDS = (".parquet", ".jsonl", ".ndjson")
_MOST_LINE_BYTES = 64 << 20
_MOST_ID_CHARS = 100
_KEY = "dedup.against"


@dataclass(frozen=True)
class Earlier:
    """Rows that a student already trained on.

    Attributes:
        name: As the pipeline file says it.
        files: Parquet or JSON lines, in order.
        folder: Of the run's splits, where it is a run.
    """

    name: str
    files: tuple[Path, ...]
    folder: Path | None = None

    @property
    def identity(self) -> str:
        """A hash of what it holds."""
        whole = read_manifest(self.folder) if self.folder else None
        if whole is not None:
            return whole.content_hash
        digest = hashlib.sha256()
        for path in self.files:
            digest.update(f"{path.name} {file_hash(path)}\n".encode())
        return digest.hexdigest()


def find_earlier(
    names: Sequence[str], runs: Path, own: str, find: Callable[[str], Path]
) -> list[Earlier]:
    """Return the runs and files that are named; nothing is read.

    Args:
        names: Names of runs, or paths of files and folders.
        runs: Folder of the project's runs.
        own: Name of this run.
        find: Resolves a path of the pipeline file.

    Raises:
        ConfigError: One isn't there, holds no rows, or is this run.
    """
    return [_find(name, runs, own, find) for name in names]


def _find(name: str, runs: Path, own: str, find: Callable[[str], Path]) -> Earlier:
    if name == own:
        raise ConfigError(f"{_KEY}: {name} is this run; name others")
    run = runs / name
    if Path(name).name == name and (run / "run.json").is_file():
        splits = run / "splits"
        files = tuple(sorted((splits / "train").glob("part-*.parquet")))
        if read_manifest(splits) is None or not files:
            raise ConfigError(
                f"{_KEY}: run {name} has no rows to train on yet; run it until split first, or "
                "leave it out"
            )
        return Earlier(f"run {name}", files, splits)
    place = find(name)
    if place.is_dir():
        held = (path for path in place.rglob("*") if path.suffix in _KINDS and path.is_file())
        files = tuple(sorted(held))
    else:
        files = (place,) if place.is_file() and place.suffix in _KINDS else ()
    if not files:
        there = sorted(path.parent.name for path in runs.glob("*/run.json"))
        known = [other for other in there if other != own]
        raise ConfigError(
            f"{_KEY}: {name} is no run of this project, and no file or folder with rows "
            f"({', '.join(_KINDS)}); runs there are: {', '.join(known) or 'none'}"
        )
    mine = (runs / own).resolve()
    if own and any(path.resolve().is_relative_to(mine) for path in files):
        raise ConfigError(
            f"{_KEY}: {name} holds files of this run, whose rows would go for themselves; name "
            "other runs one by one"
        )
    return Earlier(name, files)


class Seen(NamedTuple):
    """Where a row was seen before.

    Attributes:
        where: Run or file, and row.
    """

    where: str
    jaccard: float

    def __str__(self) -> str:
        """Say it as evidence."""
        return f"{self.where}, jaccard {self.jaccard:.2f}"


def find_seen(
    texts: TextStore,
    earlier: Sequence[Earlier],
    near_jaccard: float | None,
    seed: int,
    shingling: Shingling,
    copies_only: np.ndarray[Any, np.dtype[np.bool_]],
    scratch: Path | None,
) -> dict[int, Seen]:
    """Return the rows that say what an earlier one says, or nearly so, by their number.

    Args:
        texts: What the rows say.
        earlier: What was trained on.
        near_jaccard: As for `cluster_texts`.
        seed: Chooses the hash functions.
        shingling: What similarity is measured by.
        copies_only: [row] Whether it must be an exact copy to count.
        scratch: Folder for files; None to hold all in memory.

    Raises:
        DataError: A file can't be read, or has no row with messages or text.
    """
    place = scratch / "earlier" if scratch else None
    if place:
        place.mkdir(parents=True, exist_ok=True)
    references = TextStore(place / "texts.arrow" if place else None)
    names = TextStore(place / "names.arrow" if place else None)
    for one in earlier:
        one_rows = 0
        for name, said in read_rows(one):
            references.add(said)
            names.add(name)
            one_rows += 1
        if one_rows == 0:
            raise DataError(f"{_KEY}: {one.name} has no row with messages or text")
    references.close()
    names.close()
    found = match_texts(texts, references, near_jaccard, seed, shingling, place)
    seen: dict[int, Seen] = {}
    for row in np.flatnonzero(found.best >= 0):
        likeness = float(found.jaccard[row])
        if found.is_copy[row] or not copies_only[row]:
            seen[int(row)] = Seen(names.read(int(found.best[row])), likeness)
    return seen


def read_rows(earlier: Earlier) -> Iterator[tuple[str, str]]:
    """Yield what each row is called and what it says; rows with neither are passed over.

    Raises:
        DataError: A file can't be read.
    """
    for path in earlier.files:
        where = earlier.name
        if not earlier.folder and path.name != Path(earlier.name).name:
            where = f"{earlier.name}/{path.name}"
        reader = _parquet if path.suffix == ".parquet" else _lines
        for number, row in enumerate(reader(path), 1):
            said = _said(row)
            if said:
                yield _fit(f"{where} row {_id_of(row) or number}"), said


def _id_of(row: Mapping[str, Any]) -> str:
    """Return a row's own id, where it is a short text or a number."""
    known = row.get("id")
    return str(known) if isinstance(known, str | int) and len(str(known)) <= _MOST_ID_CHARS else ""


def _fit(name: str) -> str:
    """Return a name that may stand in evidence: on one line, in a table that takes no halves."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _said(row: Mapping[str, Any]) -> str:
    messages = row.get("messages") or ()
    turns = [
        {"role": turn["role"], "content": turn["content"]}
        for turn in (messages if isinstance(messages, list | tuple) else ())
        if isinstance(turn, Mapping)
        and isinstance(turn.get("role"), str)
        and isinstance(turn.get("content"), str)
    ]
    text = row.get("text")
    return said_in({"messages": turns, "text": text if isinstance(text, str) else ""})


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            columns = [name for name in ("id", "messages", "text") if name in names]
            for batch in file.iter_batches(batch_size=512, columns=columns):
                yield from batch.to_pylist() if columns else ()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{_KEY}: {path} can't be read as Parquet ({error})") from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as handle:
        number = 0
        while line := handle.readline(_MOST_LINE_BYTES + 1):
            number += 1
            if len(line) > _MOST_LINE_BYTES:
                raise DataError(f"{_KEY}: {path}:{number}: a line over {_MOST_LINE_BYTES} bytes")
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{_KEY}: {path}:{number}: not JSON ({type(error).__name__}); one object a line"
                ) from error
            yield row if isinstance(row, dict) else {}

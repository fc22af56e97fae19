"""General rows, read from a file or a dataset, that keep a student from forgetting the rest."""

import hashlib
import heapq
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from domainforge.deduplicate.exact import exact_key
from domainforge.errors import ConfigError, DataError, SourceError
from domainforge.files import file_hash, find_file
from domainforge.filters.checks import check_rows
from domainforge.filters.rows import FilterConfig, Row
from domainforge.records import GIVEN, REPLAY, Example, canonical_json, said_in
from domainforge.sources.chats import CHAT_FIELDS, chat_field, read_messages
from domainforge.sources.cleaning import clean_text
from domainforge.sources.config import SourceConfig
from domainforge.sources.hub_datasets.opening import (
    Place,
    find_place,
    find_revision,
    folder_state,
    open_dataset,
    told,
)
from domainforge.sources.kinds.jsonl import row_parts
from domainforge.sources.kinds.rows import TEXT_FIELDS, RowReader
from domainforge.sources.loaded import SourceFile, UnreadableError
from domainforge.splitting.config import ReplayConfig

_POOL_TIMES = 20
# Not `refusal`: that nobody can know what is in a pocket is worth learning. The other checks are
# those that chats get which come with a source.
_CHECKS = FilterConfig(skip=("refusal",))


@dataclass(frozen=True)
class _Found:
    """A row as it was found: a chat, a text, or why it is neither."""

    number: int
    messages: tuple[dict[str, str], ...] = ()
    text: str | None = None
    reason: str | None = None
    evidence: str | None = None


def find_replay(config: ReplayConfig, project: Path) -> Path | Place:
    """Return the file or the dataset that general rows are read from; nothing is read.

    Raises:
        ConfigError: No such file, or the variable of the token is not set.
        SourceError: No such folder, and no name that the Hub could have.
    """
    if config.dataset is not None:
        with _of_replay():
            return find_place(config.dataset, project)
    path = find_file(config.file, project)
    if not path.is_file():
        raise ConfigError(
            f"split.replay.file: no such file: {config.file} (looked in {project}); name one, or "
            "leave the key out for the rows that ship with DomainForge"
        )
    return path


def identify_replay(config: ReplayConfig, project: Path) -> str:
    """Return what changes when the rows do; of a dataset on the Hub only its settings.

    Raises:
        ConfigError: As for `find_replay`.
        SourceError: As for `find_replay`.
    """
    place = find_replay(config, project)
    if isinstance(place, Path):
        return file_hash(place)
    return folder_state(place.folder) if place.folder is not None else "hub"


def load_replay(config: ReplayConfig, project: Path, seed: int) -> list[Example]:
    """Read and choose general rows; those that are left out have their reason and evidence.

    They are on the side of training, about no document (their `document_id` and `chunk_id` are
    empty), and their `uri` says where they stood. Which rows are chosen depends on what they say
    and on the seed.

    Raises:
        ConfigError: There is no such file.
        SourceError: The dataset can't be opened or read.
        DataError: None of the rows can be used.
    """
    place = find_replay(config, project)
    label = place.name if isinstance(place, Path) else f"datasets/{place.label}"
    most = config.max_rows
    with _of_replay():
        found = _read_file(place) if isinstance(place, Path) else _read_dataset(place, most)
        chosen = heapq.nsmallest(most, found, key=lambda row: _shuffled(seed, row))
    seen: dict[str, str] = {}
    rows = [_check(_example(row, label), seen) for row in sorted(chosen, key=lambda r: r.number)]
    if all(row.reason for row in rows):
        why = f"; {rows[0].uri}: {rows[0].evidence}" if rows else ""
        wanted = f"{', '.join(CHAT_FIELDS[:2])} (a list of role and content) or text"
        raise DataError(
            f"split.replay: {label} has no row that can be trained on{why}. Rows need {wanted}"
        )
    return rows


def source_of(row: Mapping[str, Any]) -> str:
    """Return the file or dataset that a general row comes from, without the place it lies in."""
    return str(row["uri"]).removeprefix(f"{REPLAY}/").rpartition("#")[0]


def _read_file(path: Path) -> Iterator[_Found]:
    file = SourceFile(path, path.name, SourceConfig(files=path.name))
    with path.open("rb") as handle, RowReader(file, "line", "") as reader:
        for part in row_parts(handle, reader):
            for fault in part.faults:
                number = int(fault.uri.rpartition("-")[2])
                yield _Found(number, reason=fault.reason, evidence=fault.detail)
            for row in part.rows:
                yield _read_row(row.number, row.fields)


def _read_dataset(place: Place, max_rows: int) -> Iterator[_Found]:
    rows = open_dataset(place, find_revision(place))
    pool = itertools.islice(iter(rows), max_rows * _POOL_TIMES)
    number = 0
    while True:
        with told(place, number):
            fields = next(pool, None)
        if fields is None:
            return
        number += 1
        yield _read_row(number, fields)


def _read_row(number: int, fields: Mapping[str, Any]) -> _Found:
    name = chat_field(fields)
    if name is not None:
        try:
            return _Found(number, messages=read_messages(fields[name]))
        except UnreadableError as error:
            return _Found(number, reason=error.reason, evidence=error.detail)
    name = next((name for name in TEXT_FIELDS if isinstance(fields.get(name), str)), None)
    if name is None:
        there = ", ".join(map(str, fields)) or "none"
        evidence = f"neither messages nor text among its fields: {there}"[:200]
        return _Found(number, reason="no_text_field", evidence=evidence)
    text = clean_text(fields[name])
    if not text.strip():
        return _Found(number, reason="empty", evidence="blank text")
    return _Found(number, text=text)


def _example(row: _Found, label: str) -> Example:
    return Example(
        kind="chat" if row.messages else "text",
        document_id="",
        uri=f"{REPLAY}/{label}#{row.number}",
        chunk_id="",
        start=0,
        end=0,
        prompt=REPLAY,
        prompt_hash=REPLAY,
        teacher=GIVEN,
        messages=row.messages,
        text=row.text,
        basis="free",
        unit=row.number,
        side="train",
        reason=row.reason,
        evidence=row.evidence,
    )


def _check(example: Example, seen: dict[str, str]) -> Example:
    if example.reason:
        return example
    row = {**asdict(example), "id": example.id}
    key = exact_key(said_in(row))
    if key in seen:
        return replace(example, reason="exact_duplicate", evidence=f"the same as {seen[key]}")
    seen[key] = example.uri
    finding = next((found for found in check_rows(_answers(example), _CHECKS) if found), None)
    if finding is None:
        return example
    return replace(example, reason=finding.reason, evidence=finding.evidence)


def _answers(example: Example) -> list[Row]:
    """Take a general row apart as the checks see it: each answer with its question, or a text."""
    said = [(example.text, "")] if example.text is not None else []
    for asked, answered in itertools.pairwise(example.messages):
        if answered["role"] == "assistant":
            said.append((answered["content"], asked["content"]))
    return [
        Row(example.id, example.kind, question, answer, None, "", "", "", given=True)
        for answer, question in said
    ]


def _shuffled(seed: int, row: _Found) -> bytes:
    said = canonical_json([seed, row.messages, row.text, row.evidence])
    return hashlib.sha256(said.encode()).digest()


@contextmanager
def _of_replay() -> Iterator[None]:
    """Let errors of the sources name the key of the pipeline file that is at fault here."""
    try:
        yield
    except UnreadableError as error:
        raise SourceError(f"split.replay.file: {error.detail}; write JSON lines") from error
    except (ConfigError, SourceError) as error:
        where = str(error).removeprefix("sources: dataset: ")
        raise type(error)(f"split.replay.dataset: {where}") from error

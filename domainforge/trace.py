"""Where a row came from: its way through the stages, prompt, request, reply, passage, document."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError, PromptError, StorageError
from domainforge.prompts import load_prompt
from domainforge.records import GIVEN
from domainforge.run_folder import RunFolder
from domainforge.show import Place, Row, find_places, list_places, read_rows
from domainforge.stages.judge import VERDICTS
from domainforge.teacher.request import classify

_SHORTEST_ID = 4


@dataclass(frozen=True)
class PromptNote:
    """The prompt that a row was made with.

    Attributes:
        hash: Of the file as it was then.
        path: Where the prompt of that name is now; None where there is none.
        changed: The file is another one by now.
    """

    name: str
    hash: str
    path: Path | None
    changed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {**asdict(self), "path": str(self.path) if self.path else None}


@dataclass(frozen=True)
class Exchange:
    """One request and its reply, as the ledger has them.

    Attributes:
        request: Messages or prompt, schema, sampling; None where the ledger lacks the key.
        reply: Text of the reply.
        status: How the reply reads: ok, cut_off, refused ... `off_schema` where it had to be
            repaired.
        is_repair: It asked once more for a reply of the right shape.
        is_continuation: It asked for the rest of a reply that was cut off.
        prompt_tokens: Billed for reading, as the endpoint said; 0 where it didn't.
        completion_tokens: Billed for writing.
    """

    key: str
    request: Mapping[str, Any] | None
    reply: str
    status: str
    is_repair: bool = False
    is_continuation: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Trace:
    """A row, and everything that led to it.

    Attributes:
        row: As the last stage that had it wrote it.
        way: The tables that it is in, in the order of the line.
        chunk: The passage that it is about; None where the row has none.
        document: The document of that passage.
        also: The other passages that it is about.
        judged: What was asked to judge it.
    """

    row: Row
    way: Sequence[Place]
    prompt: PromptNote | None
    exchanges: Sequence[Exchange]
    chunk: Row | None
    document: Row | None
    also: Sequence[Row] = ()
    judged: Sequence[Exchange] = ()

    @property
    def dropped_by(self) -> str | None:
        """The stage that left the row out; None while it is kept."""
        return self.way[-1].stage if self.way[-1].left_out else None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "row": self.row,
            "way": [{"stage": place.stage, "table": place.label} for place in self.way],
            "dropped_by": self.dropped_by,
            "prompt": self.prompt and self.prompt.as_dict(),
            "exchanges": [asdict(exchange) for exchange in self.exchanges],
            "judged": [asdict(exchange) for exchange in self.judged],
            "chunk": self.chunk,
            "document": self.document,
            "also": list(self.also),
        }


def trace_row(run: RunFolder, row_id: str, project: Path) -> Trace:
    """Follow a row back to its document; kept and dropped rows, passages and documents alike.

    Args:
        run: The run.
        row_id: The row's id, or how it begins.
        project: Folder of the prompts and the ledger.

    Raises:
        ConfigError: No row has that id, or several begin so.
        StorageError: The ledger can't be read.
    """
    every = _find_row(run, row_id)
    # Verdicts stand beside the rows that they are about, under the same ids.
    found = [match for match in every if match[0].folder.name != VERDICTS] or every
    keys = [key for match in every if match not in found for key in match[1]["ledger_keys"]]
    row = found[-1][1]
    # Documents and chats that are taken as they are were made with none.
    made = row.get("teacher") not in (None, "", GIVEN)
    prompt = _note_prompt(row, project) if made else None
    chunk_id = row.get("chunk_id") or (row["id"] if _is_of("chunk", found) else None)
    chunk = _row_of(run, "chunk", chunk_id)
    owner = chunk if chunk is not None else row
    document_id = row["id"] if _is_of("ingest", found) else owner.get("document_id")
    return Trace(
        row=row,
        way=[place for place, _ in found],
        prompt=prompt,
        exchanges=_read_exchanges(row, project / "ledger.sqlite"),
        judged=[read_exchange(project / "ledger.sqlite", key) for key in keys],
        chunk=chunk,
        document=_row_of(run, "ingest", document_id),
        also=_rows_of(run, "chunk", [other["chunk_id"] for other in row.get("also") or ()]),
    )


def read_exchange(ledger: Path, key: str) -> Exchange:
    """Read a request and its reply from the ledger, without opening it for writing.

    Raises:
        StorageError: The file is no ledger, or can't be read.
    """
    if not ledger.exists():
        return Exchange(key, None, "", f"there is no ledger at {ledger}")
    query = """SELECT request, response, prompt_tokens, completion_tokens
               FROM completions WHERE key = ?"""
    try:
        with closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as file:
            found = file.execute(query, (key,)).fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"{ledger}: can't be read as a ledger ({error})") from error
    if found is None:
        return Exchange(key, None, "", "not in this project's ledger")
    reading = classify(json.loads(found[1]))
    request, _, *tokens = found
    return Exchange(key, json.loads(request), reading.text, reading.status, False, False, *tokens)


def _read_exchanges(row: Row, ledger: Path) -> list[Exchange]:
    """Read all that was asked for a row; requests may repair or continue the one before."""
    exchanges = [read_exchange(ledger, key) for key in row.get("ledger_keys") or ()]
    sampling = row.get("sampling") or {}
    for index in sampling.get("continued", ()):
        exchanges[index] = replace(exchanges[index], is_continuation=True)
    if exchanges and sampling.get("repair"):
        exchanges[-1] = replace(exchanges[-1], is_repair=True)
        exchanges[-2] = replace(exchanges[-2], status="off_schema")
    return exchanges


def _find_row(run: RunFolder, row_id: str) -> list[tuple[Place, Row]]:
    """Find every table that holds the row; a row of many stages has one id."""
    if len(row_id) < _SHORTEST_ID:
        raise ConfigError(f"'{row_id}' is too short for a row's id; give {_SHORTEST_ID} characters")
    matches = [
        (place, row)
        for place in list_places(run)
        for row in read_rows(place)
        if str(row.get("id", "")).startswith(row_id)
    ]
    exact = [match for match in matches if match[1]["id"] == row_id]
    found = exact or matches
    ids = list(dict.fromkeys(row["id"] for _, row in found))
    if not found:
        raise ConfigError(
            f"no row '{row_id}' in any stage of run {run.path.name}; "
            f"`domainforge show {run.path.name} STAGE` lists rows with their ids"
        )
    if len(ids) > 1:
        raise ConfigError(f"'{row_id}' begins the ids of {len(ids)} rows: {', '.join(ids[:8])}")
    # The sides table has the ids of chunks, and says less of them than the chunk itself.
    return [f for f in found if f[0].stage != "assign"] or found


def _note_prompt(row: Row, project: Path) -> PromptNote:
    name, then = row["prompt"], row["prompt_hash"]
    try:
        prompt = load_prompt(name, project)
    except PromptError:
        return PromptNote(name, then, None, changed=True)
    return PromptNote(name, then, prompt.path, changed=prompt.hash != then)


def _row_of(run: RunFolder, stage: str, row_id: str | None) -> Row | None:
    return next(iter(_rows_of(run, stage, [row_id])), None) if row_id is not None else None


def _rows_of(run: RunFolder, stage: str, row_ids: Sequence[str]) -> list[Row]:
    """Find rows by their ids, in that order; those that are gone are left out."""
    if not row_ids:
        return []
    rows = (row for place in find_places(run, stage) for row in read_rows(place))
    found = {row["id"]: row for row in rows if row["id"] in row_ids}
    return [found[row_id] for row_id in row_ids if row_id in found]


def _is_of(stage: str, found: Sequence[tuple[Place, Row]]) -> bool:
    return found[0][0].stage == stage and not found[0][0].left_out

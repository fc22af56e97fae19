"""Documents to chunks: passages of bounded tokens with their heading path and exact span."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from domainforge.chunking import chunk_document
from domainforge.context import Context
from domainforge.errors import DataError
from domainforge.records import CHAT_MEDIA_TYPE, Chunk, Document, stable_id
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.table_writer import read_batches
from domainforge.tables import CHUNK_SCHEMA
from domainforge.token_counts import TokenCounter

_COLUMNS = ("id", "uri", "title", "text", "media_type", "metadata")
_NAMED = 5
_PROGRESS_EVENTS = 200
# More would wait for one another: a quarter of the work is Python's.
_MAX_THREADS = 4

_Row = dict[str, Any]
_Made = list[Chunk] | None


class ChunkConfig(Settings):
    """How documents are cut."""

    max_tokens: int = Field(
        256, ge=16, description="Longest passage, in tokens of the student's tokenizer."
    )
    min_tokens: int = Field(
        16, ge=0, description="Shorter leftovers join their neighbour in the section if they fit."
    )

    @model_validator(mode="after")
    def _check_order(self) -> "ChunkConfig":
        if self.min_tokens >= self.max_tokens:
            raise ValueError(
                f"min_tokens ({self.min_tokens}) must be below max_tokens ({self.max_tokens})"
            )
        return self


def run(config: ChunkConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Cut every document into chunks; those of unchanged documents are taken over.

    Raises:
        DataError: No document has any text.
    """
    before = _EarlierChunks(out.previous if out.same_recipe else None)
    counter = TokenCounter(context.tokenizer())
    writer = out.stream(CHUNK_SCHEMA)
    total = inputs.count("ingest")
    tally = _Tally()

    def cut(row: _Row) -> _Made:
        document = Document(row["uri"], row["title"], row["text"])
        if row["media_type"] == CHAT_MEDIA_TYPE:
            return [_whole_chat(document, row["metadata"], counter)]
        return chunk_document(document, counter, config.max_tokens, config.min_tokens)

    rows = (
        row for batch in inputs.batches("ingest", columns=_COLUMNS) for row in batch.to_pylist()
    )
    for row, chunks in _ahead(rows, lambda row: None if before.keep(row) else cut(row)):
        tally.note(row["uri"], chunks)
        for chunk in chunks or ():
            writer.add({**asdict(chunk), "id": chunk.id}, len(chunk.text))
        if tally.documents % max(1, total // _PROGRESS_EVENTS) == 0 or tally.documents == total:
            context.progress(tally.documents, total, chunks=writer.rows)
    for table in before.kept():
        tally.chunks += table.num_rows
        tally.tokens += int(pc.sum(table["tokens"]).as_py() or 0)
        writer.add_table(table)
    if not tally.chunks:
        raise DataError(f"none of the {total} documents has text under its title; check ingest")
    out.finish(writer)
    return _result(tally, before.count)


def _whole_chat(document: Document, metadata: str, counter: TokenCounter) -> Chunk:
    """Make one chunk of a chat, however long: its turns are learned together or not at all."""
    return Chunk(
        document_id=document.id,
        uri=document.uri,
        title=document.title,
        headings=(),
        index=0,
        start=0,
        end=len(document.text),
        text=document.text,
        tokens=len(counter.encode(document.text)),
        messages=tuple(json.loads(metadata)["messages"]),
    )


def _ahead(rows: Iterable[_Row], work: Callable[[_Row], _Made]) -> Iterator[tuple[_Row, _Made]]:
    """Work on a few rows ahead, in threads: a tokenizer lets others run meanwhile."""
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    waiting: deque[tuple[_Row, Future[_Made]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for row in rows:
            waiting.append((row, pool.submit(work, row)))
            if len(waiting) > 2 * threads:
                first, made = waiting.popleft()
                yield first, made.result()
        for first, made in waiting:
            yield first, made.result()


@dataclass
class _Tally:
    documents: int = 0
    chunks: int = 0
    tokens: int = 0
    blank: int = 0
    first_blank: list[str] = field(default_factory=list)

    def note(self, uri: str, chunks: Sequence[Chunk] | None) -> None:
        """Count a document and its chunks; None for those of before, which are counted later."""
        self.documents += 1
        if chunks is None:
            return
        self.chunks += len(chunks)
        self.tokens += sum(chunk.tokens for chunk in chunks)
        if not chunks:
            self.blank += 1
            self.first_blank += [uri] if len(self.first_blank) < _NAMED else []


class _EarlierChunks:
    """Chunks that the stage made before by the same recipe, and which of them still hold.

    They are the same for the same id (of uri and text) and title. Eight bytes a document are held.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        found = [np.unique(_keys(batch)) for batch in self._batches(["document_id", "title"])]
        self._keys = np.unique(np.concatenate([*found, np.zeros(0, np.uint64)]))
        self._kept = np.zeros(len(self._keys), dtype=bool)

    @property
    def count(self) -> int:
        """How many documents' chunks are kept."""
        return int(self._kept.sum())

    def keep(self, row: _Row) -> bool:
        """Keep the chunks of a document, if there are any."""
        key = _key(row["id"], row["title"])
        place = int(np.searchsorted(self._keys, key))
        known = place < len(self._keys) and self._keys[place] == key
        if known:
            self._kept[place] = True
        return bool(known)

    def kept(self) -> Iterator[pa.Table]:
        """Yield what is kept."""
        for batch in self._batches(None) if self._kept.any() else ():
            # Every key is there: they were gathered from the same rows.
            mask = self._kept[np.searchsorted(self._keys, _keys(batch))]
            yield pa.Table.from_batches([batch]).filter(pa.array(mask))

    def _batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        return read_batches(self._folder, columns) if self._folder else iter(())


def _keys(chunks: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    pairs = zip(chunks["document_id"].to_pylist(), chunks["title"].to_pylist(), strict=True)
    return np.array([_key(*pair) for pair in pairs], dtype=np.uint64)


def _key(document_id: str, title: str) -> np.uint64:
    return np.uint64(int(stable_id(document_id, title), 16))


def _result(tally: _Tally, reused: int) -> StageResult:
    account = Account(
        unit="documents",
        total=tally.documents,
        done=tally.documents - tally.blank,
        dropped={"only_a_title": tally.blank} if tally.blank else {},
    )
    figures = {
        "chunks": tally.chunks,
        "tokens": tally.tokens,
        "mean_tokens": round(tally.tokens / tally.chunks, 1),
        "documents_unchanged": reused,
    }
    more = f" and {tally.blank - _NAMED} more" if tally.blank > _NAMED else ""
    named = ", ".join(tally.first_blank) + more
    notes = (f"only a title and no text: {named}",) if tally.blank else ()
    return StageResult(account, notes, figures)


def identify(config: ChunkConfig, context: Context) -> dict[str, Any]:
    """Return the tokenizer's hash: another student cuts at other places."""
    return {"tokenizer": hashlib.sha256(context.tokenizer().to_str().encode()).hexdigest()}


STAGE = Stage(
    name="chunk",
    config=ChunkConfig,
    run=run,
    writes="chunks",
    reads=("ingest",),
    identity=identify,
    version=3,
)

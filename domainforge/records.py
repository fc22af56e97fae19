"""Document, chunk and example: the rows that flow through the line, and their Arrow schemas."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
SECTION = pa.struct(
    [("level", pa.int8()), ("title", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
)

DOCUMENT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("uri", pa.string()),
        ("title", pa.string()),
        ("media_type", pa.string()),
        ("text", pa.string()),
        ("sha256", pa.string()),
        ("metadata", pa.string()),
        ("uris", pa.list_(pa.string())),
        ("language", pa.string()),
        ("created", pa.string()),
        ("modified", pa.string()),
        ("license", pa.string()),
        ("sections", pa.list_(SECTION)),
        ("raw", pa.string()),
    ]
)

# A document that is a chat: its messages stand in its metadata, its text is how they read.
CHAT_MEDIA_TYPE = "application/x-chat"
# In the place of prompt and teacher: an example that its source holds as it is.
GIVEN = "given"

CHUNK_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("document_id", pa.string()),
        ("uri", pa.string()),
        ("title", pa.string()),
        ("headings", pa.list_(pa.string())),
        ("index", pa.int32()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("tokens", pa.int32()),
        ("context", pa.string()),
        ("messages", pa.list_(MESSAGE)),
    ]
)

EXAMPLE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("messages", pa.list_(MESSAGE)),
        ("text", pa.string()),
        ("fields", pa.string()),
        ("document_id", pa.string()),
        ("uri", pa.string()),
        ("chunk_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("unit", pa.int32()),
        ("sample", pa.int32()),
        ("prompt", pa.string()),
        ("prompt_hash", pa.string()),
        ("teacher", pa.string()),
        ("sampling", pa.string()),
        ("ledger_keys", pa.list_(pa.string())),
        ("side", pa.string()),
        ("scores", pa.string()),
        ("cluster", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
    ]
)


@dataclass(frozen=True)
class Section:
    """A heading and all that stands under it: `document.text[start:end]`, heading included.

    Attributes:
        level: 1 is the highest; a section reaches to the next heading of its level or higher.
    """

    level: int
    title: str
    start: int
    end: int


@dataclass(frozen=True)
class Document:
    """One source document as clean text.

    Attributes:
        uri: Where it came from; unique in a run (a path relative to the project, or a URL).
        text: The whole text; Markdown where the source has structure.
        media_type: Of the source file, for example `application/pdf`.
        metadata: What else is known of it (author, page numbers, row fields).
        uris: All its names, `uri` first, where the same text was found under several.
        language: ISO 639-1 code, or None where the text is too short to tell.
        created: ISO 8601 date or time, as far as the source tells it.
        modified: The same, of the last change.
        license: As the source names it, an SPDX identifier where possible.
        sections: The tree of headings, in order, with spans in `text`.
        raw: The text before cleaning, where the source's `keep_raw` asks for it.
    """

    uri: str
    title: str
    text: str
    media_type: str = "text/plain"
    metadata: dict[str, Any] = field(default_factory=dict)
    uris: tuple[str, ...] = ()
    language: str | None = None
    created: str | None = None
    modified: str | None = None
    license: str | None = None
    sections: tuple[Section, ...] = ()
    raw: str | None = None

    @property
    def id(self) -> str:
        """A short stable name: hash of uri and text."""
        return stable_id("document", self.uri, self.text)


@dataclass(frozen=True)
class Chunk:
    """A passage of a document: `document.text[start:end] == text`.

    Attributes:
        context: What the passage can't be read without and doesn't hold: the head of the table
            that it is cut from. Not counted in `tokens`.
        messages: Of a document that is a chat, which is one chunk; it is learned as it is, so that
            nothing is asked about it. Empty for every other passage.
    """

    document_id: str
    uri: str
    title: str
    headings: tuple[str, ...]
    index: int
    start: int
    end: int
    text: str
    tokens: int
    context: str = ""
    messages: tuple[dict[str, str], ...] = ()

    @property
    def id(self) -> str:
        """A short stable name: hash of the document, the span and the text."""
        return stable_id("chunk", self.document_id, self.start, self.end, self.text)


@dataclass(frozen=True)
class Example:
    """One row to learn from, with where it came from.

    Attributes:
        kind: `chat` (messages) or `text`.
        fields: The teacher's parsed reply (question, answer, quote ...).
        start: First character of the passage in the document; `end` is one past the last.
        unit: Which part of the chunk was asked about (0 where the chunk is whole).
        sample: How often the same was asked before.
        scores: Name to number, filled by later stages.
        reason: Why it was dropped; None while kept.
        evidence: What shows the reason.
    """

    kind: Literal["chat", "text"]
    document_id: str
    uri: str
    chunk_id: str
    start: int
    end: int
    prompt: str
    prompt_hash: str
    teacher: str
    messages: tuple[dict[str, str], ...] = ()
    text: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    unit: int = 0
    sample: int = 0
    sampling: dict[str, Any] = field(default_factory=dict)
    ledger_keys: tuple[str, ...] = ()
    side: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    cluster: str | None = None
    reason: str | None = None
    evidence: str | None = None

    @property
    def id(self) -> str:
        """A short stable name: hash of content and lineage."""
        lineage = (self.chunk_id, self.prompt, self.unit, self.sample, *self.ledger_keys)
        return stable_id("example", self.kind, self.messages, self.text, *lineage)


def stable_id(*parts: Any) -> str:
    """Return 16 hexadecimal digits that depend only on the parts."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]


def canonical_json(value: Any) -> str:
    """Serialise so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def document_table(documents: Iterable[Document]) -> pa.Table:
    """Put documents in a table, ordered by id."""
    rows = [
        {**asdict(d), "id": d.id, "sha256": text_hash(d.text), "uris": d.uris or (d.uri,)}
        for d in documents
    ]
    for row in rows:
        row["metadata"] = canonical_json(row["metadata"])
    return ordered_table(rows, DOCUMENT_SCHEMA)


def chunk_table(chunks: Iterable[Chunk]) -> pa.Table:
    """Put chunks in a table, ordered by id."""
    return ordered_table([{**asdict(c), "id": c.id} for c in chunks], CHUNK_SCHEMA)


def example_table(examples: Iterable[Example]) -> pa.Table:
    """Put examples in a table, ordered by id."""
    rows = [{**asdict(e), "id": e.id} for e in examples]
    for row in rows:
        for name in ("fields", "sampling", "scores"):
            row[name] = canonical_json(row[name])
    return ordered_table(rows, EXAMPLE_SCHEMA)


def ordered_table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Put rows in a table of that schema, ordered by id, so that concurrency leaves no trace."""
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["id"])), schema=schema)


def text_hash(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def content_hash(table: pa.Table) -> str:
    """SHA-256 over the canonical rows ordered by id: no times, no shard layout."""
    digest = hashlib.sha256()
    for row in sorted(table.to_pylist(), key=lambda row: str(row.get("id", ""))):
        digest.update(canonical_json(row).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def question_of(row: dict[str, Any]) -> str:
    """Return the last user message of a chat row, or the text of another."""
    return _last_message(row, "user") or str(row.get("text") or "")


def answer_of(row: dict[str, Any]) -> str:
    """Return the last assistant message of a chat row, or an empty string."""
    return _last_message(row, "assistant")


def said_in(row: dict[str, Any]) -> str:
    """Return what is said in a row, to compare it by: all turns of a chat, the system's aside."""
    said = [m["content"] for m in row.get("messages") or () if m["role"] != "system"]
    if len(said) > 2:
        return "\n".join(said)
    return f"{question_of(row)}\n{answer_of(row)}".strip()


def _last_message(row: dict[str, Any], role: str) -> str:
    for message in reversed(row.get("messages") or ()):
        if message["role"] == role:
            return str(message["content"])
    return ""

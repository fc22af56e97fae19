"""Document, chunk and example: the rows that flow through the line."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# A document that is a chat: its messages stand in its metadata, its text is how they read.
CHAT_MEDIA_TYPE = "application/x-chat"
# In the place of prompt and teacher: an example that its source holds as it is.
GIVEN = "given"
# In the place of the prompt: a general row that is about no document, only to be trained on.
REPLAY = "replay"
TAKEN_NAMES = frozenset((GIVEN, REPLAY))
"""What no prompt may be called: rows of ours that have no prompt are known by it."""
# In the place of the teacher: a row that a prompt file makes without one.
NO_TEACHER = "none"

Basis = Literal["passage", "absent", "free"]
"""What a row's answer stands on: its passages say it; they don't, and it declines; or neither."""


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
        kind: `chat` (messages), `text`, or `preference`: messages whose last answer is better than
            `rejected`.
        also: The other passages that it is about: `document_id`, `uri` and `chunk_id` of each.
        basis: What its answer stands on.
        rejected: The worse last answer of a preference.
        fields: The teacher's parsed reply (question, answer, quote ...).
        start: First character of the passage in the document; `end` is one past the last.
        unit: Which part of the chunk was asked about (0 where the chunk is whole).
        sample: How often the same was asked before.
        item: Which of the rows that one reply came to.
        attributes: What was drawn for it: audience, question type ...
        scores: Name to number, filled by later stages.
        reason: Why it was dropped; None while kept.
        evidence: What shows the reason.
    """

    kind: Literal["chat", "text", "preference"]
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
    rejected: str | None = None
    also: tuple[dict[str, str], ...] = ()
    basis: Basis = "passage"
    fields: dict[str, Any] = field(default_factory=dict)
    unit: int = 0
    sample: int = 0
    item: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
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
        number = (self.sample,) if self.item == 0 else (self.sample, self.item)
        lineage = (self.chunk_id, self.prompt, self.unit, *number, *self.ledger_keys)
        more = [part for part in (self.rejected, self.also) if part]
        return stable_id("example", self.kind, self.messages, self.text, *more, *lineage)


def stable_id(*parts: Any) -> str:
    """Return 16 hexadecimal digits that depend only on the parts."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]


def canonical_json(value: Any) -> str:
    """Serialise so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def text_hash(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def chunk_ids_of(row: Mapping[str, Any]) -> list[str]:
    """Return the ids of all passages that an example is about, the first one first.

    A general row is about none.
    """
    also = [other["chunk_id"] for other in row["also"] or ()]
    return [row["chunk_id"], *also] if row["chunk_id"] else also


def section_of(chunk: Mapping[str, Any]) -> str:
    """Return the top-level section that a chunk is in; empty above the first heading."""
    return str(chunk["headings"][0]) if chunk["headings"] else ""


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

"""What people said of rows, and which row a label is about."""

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domainforge.records import canonical_json, chunk_ids_of, stable_id, text_hash

Verdict = Literal["keep", "drop"]


class LabelPart(BaseModel):
    """Base of what a line of labels is made of: unknown keys are faults, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(LabelPart):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Content(LabelPart):
    """What a row says."""

    messages: tuple[Message, ...] = ()
    text: str | None = None
    rejected: str | None = None

    @property
    def form(self) -> tuple[tuple[str, ...], bool, bool]:
        """Who speaks in turn, and what else there is; no edit changes it."""
        roles = tuple(message.role for message in self.messages)
        return roles, self.text is not None, self.rejected is not None


class Passage(LabelPart):
    """One passage that a row is about."""

    document_id: str = ""
    uri: str = ""
    chunk_id: str = ""


class Label(LabelPart):
    """What somebody said of one row; the newest line about a row counts.

    Attributes:
        label: Its own name.
        at: UTC, ISO 8601.
        row: Id of the row that was looked at.
        key: Of what the row says and of its passages: the same in every run.
        verdict: None where somebody only left a comment.
        edited: What the row says from now on; such a row is kept.
        who: Nobody is named unless they ask for it.
        said: What the row said when it was looked at.
        scores: What it had been given by then.
    """

    label: str = Field(min_length=1)
    at: str
    row: str
    key: str
    verdict: Verdict | None
    edited: Content | None = None
    comment: str = ""
    who: str | None = None
    run: str = ""
    kind: Literal["chat", "text", "preference"]
    said: Content
    passages: tuple[Passage, ...] = ()
    scores: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_edit(self) -> "Label":
        if self.edited is not None and self.edited.form != self.said.form:
            raise ValueError("an edit must have the same messages, by role")
        return self

    @property
    def chunk_id(self) -> str:
        """The first passage that the row is about; "" where it is about none."""
        return self.passages[0].chunk_id if self.passages else ""


class Undo(LabelPart):
    """Takes one label back; what was said before it counts again."""

    undo: str
    at: str


class Labels:
    """What counts of all labels: for each content the newest that wasn't taken back."""

    def __init__(self, lines: Iterable[Label | Undo] = ()) -> None:
        given: dict[str, Label] = {}
        for line in lines:
            if isinstance(line, Undo):
                given.pop(line.undo, None)
            else:
                given.pop(line.label, None)
                given[line.label] = line
        self._by_key: dict[str, Label] = {}
        self._key_of_row: dict[str, str] = {}
        # An edited row is known by what it says now, too: it may be looked at again.
        self._first_key: dict[str, str] = {}
        for label in given.values():
            self._by_key.pop(label.key, None)
            self._by_key[label.key] = label
            self._key_of_row[label.row] = label.key
            if label.edited is not None:
                new = {"kind": label.kind, **label.edited.model_dump()}
                self._first_key[_key(new, [p.chunk_id for p in label.passages])] = label.key
        self._chunks = {label.chunk_id for label in self}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Label]:
        """Yield what counts, the oldest first."""
        return iter(self._by_key.values())

    def find(self, row: Mapping[str, Any]) -> Label | None:
        """Return what was last said of a row, in whatever run it was."""
        if (row["chunk_id"] or "") not in self._chunks:
            return None
        return self._by_key.get(self.key_of(row))

    def key_of(self, row: Mapping[str, Any]) -> str:
        """Return the key under which labels of a row stand; an edit doesn't change it."""
        if row["id"] in self._key_of_row:
            return self._key_of_row[row["id"]]
        key = content_key(row)
        return key if key in self._by_key else self._first_key.get(key, key)

    def hash_for(self, chunks: Iterable[str]) -> str:
        """Hash what the labels do to rows about some passages; "" where they do nothing.

        Rows about no passage at all count too.
        """
        wanted = {*self._chunks.intersection(chunks), ""}
        told = sorted(
            (label.key, label.verdict or "", label.at, label.comment, dump(label.edited))
            for label in self
            if label.verdict and label.chunk_id in wanted
        )
        return text_hash(canonical_json(told)) if told else ""


def label_row(
    row: Mapping[str, Any],
    verdict: Verdict | None,
    labels: Labels,
    *,
    edited: Content | None = None,
    comment: str = "",
    run: str = "",
    who: str | None = None,
) -> Label:
    """Make a label of a row, whatever stage the row is of.

    An edit of before stays until it is taken back, or another comes in its place.

    Args:
        row: As its table has it.
        verdict: What becomes of it.
        labels: What is there already: a row that was edited keeps the name it is known by.
        edited: What it says from now on.
        comment: Why.
        run: Where it was looked at.
        who: Who looked.
    """
    scores = row.get("scores") or {}
    scores = json.loads(scores) if isinstance(scores, str) else scores
    first = {name: row.get(name) or "" for name in ("document_id", "uri", "chunk_id")}
    about = [first, *(row.get("also") or ())]
    before = labels.find(row)
    if before is not None and before.edited is None:
        before = None
    return Label(
        label=secrets.token_hex(8),
        at=now(),
        row=row["id"],
        key=labels.key_of(row),
        verdict=verdict,
        edited=edited or (before.edited if before else None),
        comment=comment,
        who=who,
        run=run,
        kind=row["kind"],
        said=before.said if before else content_of(row),
        passages=tuple(Passage.model_validate(passage) for passage in about),
        scores=scores,
    )


def content_of(row: Mapping[str, Any]) -> Content:
    """Return what a row says."""
    messages = [Message.model_validate(message) for message in row.get("messages") or ()]
    return Content(messages=tuple(messages), text=row.get("text"), rejected=row.get("rejected"))


def content_key(row: Mapping[str, Any]) -> str:
    """Hash what a row says and which passages it is about: the same in every run."""
    return _key(row, chunk_ids_of(dict(row)))


def _key(row: Mapping[str, Any], chunk_ids: Iterable[str]) -> str:
    messages = [(m["role"], _plain(m["content"])) for m in row.get("messages") or ()]
    said = (messages, _plain(row.get("text")), _plain(row.get("rejected")))
    return stable_id("label", row["kind"], *said, [found for found in chunk_ids if found])


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


def dump(value: LabelPart | None) -> str:
    """Write a value as one line of JSON, without its end; "" for none."""
    return canonical_json(value.model_dump(mode="json", exclude_defaults=True)) if value else ""


def now() -> str:
    """Return the time as labels have it: UTC, ISO 8601, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

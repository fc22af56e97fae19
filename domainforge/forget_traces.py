"""What a document leaves behind in rows and files: names, ids, sentences; and how to see them."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from domainforge.records import text_hash
from domainforge.sentences import split_sentences

BLANK = "forgotten"
LEAST_CHARS = 25
LEFT_OUT = "forgotten"
# Only here is a uri looked for in files: as a word it may be a setting elsewhere.
_FREE_TEXT = {"notes", "figures", "stopped", "message", "text", "detail", "evidence", "questions"}
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_TEXTS = ("text", "raw", "rejected", "chosen", "fields", "messages", "context")
_WHOLE = ("evidence", "detail")
_NAMING = ("unit", "metadata")


@dataclass
class Traces:
    """All that tells a row or a text of the document from others.

    Attributes:
        documents: Ids of its versions.
        uris: All its names.
        items: What a source's journal calls the files that it came from.
        shas: SHA-256 of its texts.
        chunks: Ids of its passages.
        rows: Ids of every row made of it.
        keys: Ledger keys of the replies that its rows are made of.
        sentences: Its longer sentences, as far as no other document has them.
        sayings: What was written about it, to be seen where notes quote it.
    """

    documents: set[str] = field(default_factory=set)
    uris: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)
    shas: set[str] = field(default_factory=set)
    chunks: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    sentences: set[str] = field(default_factory=set)
    sayings: set[str] = field(default_factory=set)

    def as_dict(self) -> dict[str, list[str]]:
        """Return the traces as JSON-ready values."""
        return {item.name: sorted(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Iterable[str]]) -> "Traces":
        """Read what `as_dict` gave."""
        return cls(**{name: set(found) for name, found in values.items()})

    def owns(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row of any table was made of the document, or quotes it in its text."""
        if row.get("document_id") in self.documents or row.get("chunk_id") in self.chunks:
            return True
        if row.get("id") in self.documents or row.get("id") in self.rows:
            return True
        if any(self.owns(other) for other in row.get("also") or ()):
            return True
        names = {row.get("uri"), row.get("document"), *(row.get("uris") or ())}
        if names & self.uris or row.get("sha256") in self.shas:
            return True
        return any(self.quoted_in(text) for name in _TEXTS for text in leaves(row.get(name)))

    def clean(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return another document's row without what it says of this one."""
        found = dict(row)
        for name in _WHOLE:
            if isinstance(found.get(name), str) and self.named_in(found[name]):
                found[name] = BLANK
        for name in _NAMING:
            if isinstance(found.get(name), str):
                found[name] = self.without_names(found[name])
        return found

    def quoted_in(self, text: str) -> bool:
        """Tell whether a text has one of the document's own sentences.

        A document of a few letters (`Yes.`) is only told by a text that is no more than that.
        """
        return any(sentence in text for sentence in self._quoted) or text.strip() in self._short

    def named_in(self, text: str) -> bool:
        """Tell whether a text quotes the document or names it, its passages or its rows."""
        return self.told_in(text) or bool(self._names and self._names.search(text))

    def told_in(self, text: str) -> bool:
        """The same, without names."""
        gone = self.documents | self.chunks | self.rows if _ID.search(text) else set()
        if gone and any(found in gone for found in _ID.findall(text)):
            return True
        return self.quoted_in(text) or any(saying in text for saying in self._said)

    def without_names(self, text: str) -> str:
        """Replace the document's names."""
        return self._names.sub(self._alias, text) if self._names else text

    def leads_to(self, text: str) -> bool:
        """Tell whether a text is the path of a file that the document came from."""
        names = self.uris | self.items
        return text.startswith("/") and any(text.endswith(f"/{name}") for name in names)

    def clean_json(self, value: Any, *, free: bool = False) -> Any:
        """Return a JSON value in which no text tells of the document."""
        if isinstance(value, str):
            if self.told_in(value):
                return BLANK
            return self.without_names(value) if free else value
        if isinstance(value, list):
            return [self.clean_json(item, free=free) for item in value]
        if isinstance(value, dict):
            return {
                self.clean_json(name, free=free): self.clean_json(
                    item, free=free or name in _FREE_TEXT
                )
                for name, item in value.items()
            }
        return value

    @cached_property
    def name_pattern(self) -> str:
        """A regular expression for the names, each as a whole."""
        written = {*with_escapes(self.uris), *(uri.replace('"', '""') for uri in self.uris)}
        names = "|".join(re.escape(name) for name in sorted(written, key=len, reverse=True))
        return rf"(?<![\w/.-])(?:{names})(?![\w/-]|\.\w)" if names else ""

    @cached_property
    def _names(self) -> re.Pattern[str] | None:
        return re.compile(self.name_pattern) if self.name_pattern else None

    @cached_property
    def _quoted(self) -> tuple[str, ...]:
        return with_escapes(self.searched)

    @cached_property
    def searched(self) -> frozenset[str]:
        """The sentences that are long enough to be searched for in other texts."""
        return frozenset(text for text in self.sentences if len(text) >= LEAST_CHARS)

    @cached_property
    def _short(self) -> frozenset[str]:
        return frozenset(self.sentences - self.searched)

    @cached_property
    def _said(self) -> tuple[str, ...]:
        return with_escapes(self.sayings)

    def _alias(self, found: re.Match[str]) -> str:
        # Two names must stay two: `unit` tells what was held out together.
        return f"{BLANK}-{text_hash(found[0])[:8]}"


def long_sentences(text: str) -> set[str]:
    """Return a text's sentences of some length, a line at a time; of a short text all of it."""
    found = set()
    for start, end in split_sentences(text):
        found |= {line.strip() for line in text[start:end].split("\n")}
    long = {line for line in found if len(line) >= LEAST_CHARS}
    return long or ({text.strip()} if text.strip() else set())


def with_escapes(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts, and how JSON writes those that it writes otherwise."""
    found = set(texts)
    for ascii_only in (False, True):
        found |= {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for text in texts}
    return tuple(sorted(found))


def leaves(value: Any) -> Iterable[str]:
    """Yield every text in a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)


def is_weights(path: Path) -> bool:
    """Tell whether a file, named from its run's folder, is a model's: any word may be in it."""
    if path.name in ("manifest.json", "README.md", "forgotten.json"):
        return False
    return path.suffix in (".safetensors", ".bin", ".pt", ".pth", ".gguf") or bool(
        {"student", "model", "checkpoints"} & set(path.parts[:-1])
    )

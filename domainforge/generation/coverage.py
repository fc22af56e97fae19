"""Which sentences, sections and entities of the documents kept rows rest on, and which not."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa

from domainforge.filters.words import content_terms, count_words, words
from domainforge.generation.names import find_names
from domainforge.generation.units import MIN_SENTENCE_WORDS
from domainforge.records import chunk_ids_of, said_in, stable_id
from domainforge.sentences import split_sentences
from domainforge.tables import ordered_table

_SAID_SHARE = 0.6
_FEWEST_TERMS = 2

COVERAGE = "coverage"
"""Name of the table in which the filter writes it."""

Kind = Literal["sentence", "section", "entity"]

COVERAGE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("uri", pa.string()),
        ("chunk_id", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("rows", pa.int32()),
    ]
)


KIND_NAMES: Mapping[Kind, str] = {
    "sentence": "sentences",
    "section": "sections",
    "entity": "names",
}


@dataclass(frozen=True)
class Part:
    """A part of the documents, and how many rows rest on it.

    Attributes:
        text: The sentence, the path of headings, or the name.
        start: Of a sentence in its document; 0 for other kinds.
        end: One past its last character.
    """

    kind: Kind
    uri: str
    chunk_id: str
    start: int
    end: int
    text: str
    rows: int


@dataclass(frozen=True)
class Share:
    """How many parts of a kind have a row, of how many."""

    covered: int
    total: int


class Coverage:
    """Counts, for every part of the documents, the rows that rest on it.

    A row rests on the sentence that its quote stands in; without a quote on the sentences that it
    was asked about; where that was a whole passage, on those whose content words it mostly says.
    """

    def __init__(self, chunks: Iterable[Mapping[str, Any]]) -> None:
        """Find the parts.

        Args:
            chunks: Rows of the chunk stage; chats have no parts.
        """
        self._chunks = {chunk["id"]: chunk for chunk in chunks if not chunk.get("messages")}
        self._rows: Counter[tuple[str, int, int]] = Counter()
        self._section_rows: Counter[tuple[str, str]] = Counter()
        self._entity_rows: Counter[tuple[str, str]] = Counter()
        self._sentences = {at: _sentences(chunk) for at, chunk in self._chunks.items()}
        self._entities = _entities(list(self._chunks.values()))

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count rows of an examples table; those that stand on no passage don't count."""
        for row in rows:
            if row["basis"] != "passage":
                continue
            about = [self._chunks[at] for at in chunk_ids_of(row) if at in self._chunks]
            said = _said(row)
            terms = content_terms(said).keys()
            folded = f" {' '.join(words(said))} "
            # Chunks may overlap: a sentence, a section and a name count once for a row.
            self._rows.update({place for c in about for place in self._rests_on(row, c, terms)})
            self._section_rows.update({(c["uri"], _path(c)) for c in about})
            self._entity_rows.update(
                {
                    (c["uri"], name)
                    for c in about
                    for name in self._entities[c["id"]]
                    if f" {' '.join(words(name))} " in folded
                }
            )

    def open_sentences(self, chunk_id: str) -> list[tuple[int, int]]:
        """Return the spans, in the document, of a chunk's sentences that no row rests on.

        A chat has none.
        """
        chunk = self._chunks.get(chunk_id)
        if chunk is None:
            return []
        return [
            (start, end)
            for start, end in self._sentences[chunk_id]
            if not self._rows[chunk["document_id"], start, end]
        ]

    def parts(self) -> list[Part]:
        """Return all parts, in the order of the documents."""
        parts: dict[tuple[str, str, int, str], Part] = {}
        ordered = sorted(self._chunks.values(), key=lambda c: (c["uri"], c["start"]))
        for chunk in ordered:
            uri, chunk_id, begin = chunk["uri"], chunk["id"], chunk["start"]
            section = _path(chunk)
            rows = self._section_rows[uri, section]
            self._put(parts, Part("section", uri, chunk_id, 0, 0, section, rows))
            for start, end in self._sentences[chunk_id]:
                text = chunk["text"][start - begin : end - begin]
                rows = self._rows[chunk["document_id"], start, end]
                self._put(parts, Part("sentence", uri, chunk_id, start, end, text, rows))
            for name in self._entities[chunk_id]:
                rows = self._entity_rows[uri, name]
                self._put(parts, Part("entity", uri, chunk_id, 0, 0, name, rows))
        return list(parts.values())

    def _rests_on(
        self, row: Mapping[str, Any], chunk: Mapping[str, Any], terms: Iterable[str]
    ) -> list[tuple[str, int, int]]:
        document = chunk["document_id"]
        sentences = self._sentences[chunk["id"]]
        quoted = _quoted(row, chunk, sentences)
        if quoted:
            return [(document, *span) for span in quoted]
        first = chunk["id"] == row["chunk_id"]
        if first and (row["start"] > chunk["start"] or row["end"] < chunk["end"]):
            span = (row["start"], row["end"])
            return [(document, s, e) for s, e in sentences if s < span[1] and span[0] < e]
        known = set(terms)
        begin = chunk["start"]
        return [
            (document, start, end)
            for start, end in sentences
            if _is_said(chunk["text"][start - begin : end - begin], known)
        ]

    @staticmethod
    def _put(parts: dict[tuple[str, str, int, str], Part], part: Part) -> None:
        parts.setdefault((part.kind, part.uri, part.start, part.text), part)


def part_table(parts: Iterable[Part]) -> pa.Table:
    """Return parts as a table, ordered by id."""
    rows = [
        {**asdict(part), "id": stable_id("part", part.kind, part.uri, part.start, part.text)}
        for part in parts
    ]
    return ordered_table(rows, COVERAGE_SCHEMA)


def part_shares(parts: Iterable[Part]) -> dict[Kind, Share]:
    """Return how many parts of each kind have a row."""
    found: dict[Kind, list[bool]] = defaultdict(list)
    for part in parts:
        found[part.kind].append(part.rows > 0)
    return {kind: Share(sum(rows), len(rows)) for kind, rows in found.items()}


def _sentences(chunk: Mapping[str, Any]) -> list[tuple[int, int]]:
    text, begin = chunk["text"], chunk["start"]
    return [
        (begin + start, begin + end)
        for start, end in split_sentences(text)
        if count_words(text[start:end]) >= MIN_SENTENCE_WORDS
    ]


def _entities(chunks: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names that each chunk has, by its id; the most frequent first."""
    found: dict[str, list[str]] = {chunk["id"]: [] for chunk in chunks}
    for name, places in find_names(chunks).items():
        for place in places:
            found[chunks[place]["id"]].append(name)
    return found


def _path(chunk: Mapping[str, Any]) -> str:
    return " > ".join(chunk["headings"] or ()) or str(chunk["title"])


def _said(row: Mapping[str, Any]) -> str:
    return str(row["text"] or "") if row["kind"] == "text" else said_in(dict(row))


def _quoted(
    row: Mapping[str, Any], chunk: Mapping[str, Any], sentences: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the sentences that a row's quote is a part of, or that are part of it."""
    fields = row["fields"]
    quote = (json.loads(fields) if isinstance(fields, str) else fields or {}).get("quote")
    wanted = f" {' '.join(words(quote))} " if isinstance(quote, str) else ""
    if not wanted.strip():
        return []
    found = []
    for start, end in sentences:
        text = chunk["text"][start - chunk["start"] : end - chunk["start"]]
        own = f" {' '.join(words(text))} "
        if own in wanted or wanted in own:
            found.append((start, end))
    return found


def _is_said(sentence: str, known: set[str]) -> bool:
    terms = content_terms(sentence).keys()
    return len(terms) >= _FEWEST_TERMS and len(terms & known) >= _SAID_SHARE * len(terms)


def tell_coverage(shares: Mapping[Kind, Share], run: str) -> list[str]:
    """Say how much of the documents has a row; nothing where nothing was to be asked about.

    Args:
        shares: What is covered, by kind.
        run: Name of the run.
    """
    found = [
        f"{shares[kind].covered:,} of {shares[kind].total:,} {name}"
        for kind, name in KIND_NAMES.items()
        if kind in shares
    ]
    if not found or all(share.covered == share.total for share in shares.values()):
        return []
    return [
        f"kept rows rest on {', '.join(found)} of the documents; `domainforge coverage {run}` "
        "lists the others, and one more of `generate.rounds` asks about them"
    ]

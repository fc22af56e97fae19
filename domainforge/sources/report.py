"""What an ingest read and what it could not: a table by kind, and a list of every item."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domainforge.sources.journal import Journal

LIST_NAME = "ingest.csv"
_COLUMNS = ("uri", "kind", "state", "documents", "characters", "languages", "reason", "detail")
_NUMBERED = ("read", "partly", "unreadable", "skipped", "documents", "characters")
_MOST_LANGUAGES = 3
_MOST_KIND_CHARS = 20
_HINTS = {"not_wanted": " (by `where`)", "not_sampled": " (by `sample_share`)"}
_REASONS = """
SELECT reason, sum(number) FROM (
    SELECT reason, number FROM counts WHERE source = ?1
    UNION ALL SELECT reason, 1 FROM left_out WHERE source = ?1
) GROUP BY reason ORDER BY 2 DESC, reason
"""
_LANGUAGES = """
SELECT i.kind, coalesce(d.language, '?'), count(*) FROM documents d
JOIN items i ON i.source = d.source AND i.uri = d.item GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""
_BY_ITEM = """
SELECT i.uri, i.kind,
    (SELECT count(*) FROM documents d WHERE d.source = i.source AND d.item = i.uri) AS documents,
    (SELECT coalesce(sum(characters), 0) FROM documents d
     WHERE d.source = i.source AND d.item = i.uri) AS characters,
    (SELECT group_concat(DISTINCT language) FROM documents d
     WHERE d.source = i.source AND d.item = i.uri) AS languages,
    (SELECT coalesce(sum(blank_pages), 0) FROM documents d
     WHERE d.source = i.source AND d.item = i.uri) AS blank_pages,
    (SELECT count(*) FROM left_out l WHERE l.source = i.source AND l.item = i.uri AND fault) AS bad,
    (SELECT count(*) FROM names n WHERE n.source = i.source AND n.item = i.uri) AS copies,
    (SELECT reason || char(10) || detail FROM left_out l
     WHERE l.source = i.source AND l.item = i.uri ORDER BY fault DESC LIMIT 1) AS why
FROM items i ORDER BY i.source, i.uri
"""


@dataclass
class KindRow:
    """How the items of one kind fared; `languages` counts documents, the most first."""

    kind: str
    read: int = 0
    partly: int = 0
    unreadable: int = 0
    skipped: int = 0
    documents: int = 0
    characters: int = 0
    languages: dict[str, int] = field(default_factory=dict)


def write_list(journal: Journal, path: Path) -> list[KindRow]:
    """Write every item with its fate as CSV; returns the sums by kind."""
    kinds: dict[str, KindRow] = {}
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(_COLUMNS)
        for row in _items(journal):
            writer.writerow(row)
            kind = kinds.setdefault(str(row[1]), KindRow(str(row[1])))
            state = str(row[2])
            setattr(kind, state, getattr(kind, state) + 1)
            kind.documents += int(row[3])
            kind.characters += int(row[4])
    for name, language, number in journal.rows(_LANGUAGES):
        kinds[name].languages[language] = number
    return sorted(kinds.values(), key=lambda kind: (-kind.documents, kind.kind))


def _items(journal: Journal) -> Iterator[Sequence[Any]]:
    for uri, kind, documents, characters, languages, blank, bad, copies, why in journal.rows(
        _BY_ITEM
    ):
        reason, _, detail = (why or "").partition("\n")
        if bad or blank:
            state = "partly" if documents or copies else "unreadable"
        else:
            state = "read" if documents or copies else "skipped"
        if blank and not bad:
            reason, detail = "pages_without_text", f"{blank} pages"
        yield uri, kind, state, documents, characters, languages or "", reason, detail


def describe_kinds(kinds: Sequence[KindRow]) -> str:
    """Return the sums by kind as an aligned table, and below it the languages of each kind.

    These have no column of their own: a terminal of 80 columns has no room for it.
    """
    rows: list[tuple[str, ...]] = [("kind", *_NUMBERED)]
    for kind in kinds:
        numbers = (int(getattr(kind, name)) for name in _NUMBERED)
        rows.append((_shorten(kind.kind), *(f"{n:,}" if n else "-" for n in numbers)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    spoken = [f"{k.kind} {_most_common(k.languages)}" for k in kinds if k.languages]
    return "\n".join([*lines, *([f"languages: {'; '.join(spoken)}"] if spoken else [])])


def describe_barren(
    journal: Journal, labels: Mapping[str, str], elsewhere: Mapping[str, int]
) -> Iterator[str]:
    """Write a line for each source that gave no document at all, and why.

    Args:
        journal: What was read.
        labels: What to call the sources, by their keys.
        elsewhere: How many files of theirs an earlier source has.
    """
    for key, label in labels.items():
        ((copies,),) = journal.rows("SELECT count(*) FROM names WHERE source = ?", key)
        if journal.size_of_source(key)[0] or copies:
            continue
        reasons = [
            f"{reason} {number:,}{_HINTS.get(reason, '')}"
            for reason, number in journal.rows(_REASONS, key)
        ]
        if reasons:
            yield f"nothing taken from {label}: {', '.join(reasons)}"
        elif elsewhere.get(key):
            yield f"nothing taken from {label}: an earlier entry of `sources` has its files"
        else:
            yield f"nothing found in {label}: no files, pages or rows there"


def _shorten(kind: str) -> str:
    # The kind of a file that can't be read is the ending of its name, which may be anything.
    return kind if len(kind) <= _MOST_KIND_CHARS else f"{kind[: _MOST_KIND_CHARS - 1]}…"


def _most_common(languages: Mapping[str, int]) -> str:
    """Return the languages of most documents, as `en 120, de 4, and 2 more`."""
    first = [f"{name} {number:,}" for name, number in list(languages.items())[:_MOST_LANGUAGES]]
    more = len(languages) - len(first)
    return ", ".join([*first, *([f"and {more} more"] if more else [])])

"""Rows of fields to documents: what JSON lines, tables and Parquet files have in common."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domainforge.records import Document
from domainforge.sources.chats import chat_field, make_chat, read_messages
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.taken_names import TakenNames

TEXT_FIELDS = ("text", "content", "body")
_ID_FIELDS = ("id", "url")
_CREATED_FIELDS = ("created", "created_at", "published", "date")
_MODIFIED_FIELDS = ("modified", "updated", "updated_at")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d[\d:.]*(?:Z|[+-]\d\d:?\d\d)?)?")
# Of one part of a stream: few enough to stay small, many enough to be quick.
PART_ROWS = 1000
PART_BYTES = 4_000_000


@dataclass(frozen=True)
class Row:
    """One row of a file, and where in the file it stands, counted from 1."""

    number: int
    fields: Mapping[str, Any]


class RowReader:
    """Turns the rows of one file into documents; the names it gave stay taken.

    Args:
        unit: What a row is called in uris and faults: `line`, `row`, `item`.
    """

    def __init__(self, file: SourceFile, unit: str, media_type: str) -> None:
        self._file = file
        self._unit = unit
        self._media_type = media_type
        self._taken = TakenNames()
        names = (file.config.id_field,) if file.config.id_field else _ID_FIELDS
        self._id_fields: Sequence[str] = names

    def __enter__(self) -> "RowReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._taken.close()

    def uri(self, number: int) -> str:
        """Return the uri of a row without a name of its own."""
        return f"{self._file.uri}#{self._unit}-{number}"

    def pass_over(self, rows: Iterable[Row]) -> None:
        """Take only the names of rows that the caller has already."""
        for row in rows:
            self._name(row)

    def read(self, rows: Iterable[Row], faults: Iterable[LeftOut] = ()) -> Loaded:
        """Make documents of rows; one without a text is a fault, a blank one is dropped."""
        documents: list[Document] = []
        dropped: list[LeftOut] = []
        left = list(faults)
        for row in rows:
            uri = self._name(row)
            place = f"{self._unit} {row.number}"
            if self._file.config.chats and (field := chat_field(row.fields)):
                try:
                    documents.append(self._chat(row, field, uri))
                except UnreadableError as error:
                    left.append(LeftOut(uri, error.reason, f"{place}: {error.detail}"))
                continue
            field = text_field(row.fields, self._file.config)
            if field is None:
                wanted = self._file.config.text_field or ", ".join(TEXT_FIELDS)
                detail = f"{place}: no text under {wanted}; set text_field"
                left.append(LeftOut(uri, "no_text_field", detail))
                continue
            document = self._document(row, field, uri)
            if document.text:
                documents.append(document)
            else:
                dropped.append(LeftOut(uri, "empty", f"{place}: blank text"))
        return Loaded(tuple(documents), tuple(dropped), tuple(left))

    def _chat(self, row: Row, field: str, uri: str) -> Document:
        fields = row.fields
        title = _plain(fields.get(self._file.config.title_field))
        others = {k: v for k, v in fields.items() if k not in (field, *TEXT_FIELDS)}
        return replace(
            make_chat(uri, read_messages(fields[field]), others, title),
            created=_date(others, _CREATED_FIELDS),
            modified=_date(others, _MODIFIED_FIELDS),
            license=_plain(others.get("license")),
            raw=json.dumps(fields[field], ensure_ascii=False)
            if self._file.config.keep_raw
            else None,
        )

    def _name(self, row: Row) -> str:
        values = (row.fields.get(name) for name in self._id_fields)
        name = next((str(v) for v in values if isinstance(v, str | int) and str(v)), None)
        uri = f"{self._file.uri}#{name}" if name else self.uri(row.number)
        if not self._taken.take(uri):
            uri = f"{uri}-{self._unit}-{row.number}"
            self._taken.take(uri)
        return uri

    def _document(self, row: Row, field: str, uri: str) -> Document:
        fields = row.fields
        title_field = self._file.config.title_field
        text = clean_text(fields[field])
        title = fields.get(title_field)
        if not isinstance(title, str) or not title.strip():
            heading = first_heading(text) if "#" in text else None
            title = heading or f"{self._file.stem} {uri.partition('#')[2]}"
        title = " ".join(clean_text(title).split())
        others = {k: v for k, v in fields.items() if k != field and k != title_field}
        return Document(
            uri,
            title,
            text,
            self._media_type,
            others,
            created=_date(others, _CREATED_FIELDS),
            modified=_date(others, _MODIFIED_FIELDS),
            license=_plain(others.get("license")),
            raw=fields[field] if self._file.config.keep_raw else None,
        )


def text_field(fields: Mapping[str, Any], config: SourceConfig) -> str | None:
    """Return the name of the field that holds a row's text."""
    names = (config.text_field,) if config.text_field else TEXT_FIELDS
    return next((name for name in names if isinstance(fields.get(name), str)), None)


def encodable(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace half characters (lone surrogates), which JSON allows and UTF-8 does not."""
    body = json.dumps(fields, ensure_ascii=False)
    try:
        body.encode()
    except UnicodeEncodeError:
        fixed: dict[str, Any] = json.loads(body.encode("utf-8", "replace"))
        return fixed
    return fields


def _date(fields: Mapping[str, Any], names: Sequence[str]) -> str | None:
    values = (fields.get(name) for name in names)
    return next((v for v in values if isinstance(v, str) and _DATE.fullmatch(v)), None)


def _plain(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None

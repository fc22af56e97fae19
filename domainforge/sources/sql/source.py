"""A query's rows as documents, read as a stream and gone on with after an interruption."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from domainforge.errors import ConfigError
from domainforge.files import file_hash
from domainforge.records import Document, canonical_json
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.sql.address import find_address
from domainforge.sources.sql.config import SqlConfig
from domainforge.sources.sql.connection import Rows, open_rows
from domainforge.sources.sql.rows import RowReader, RowText, make_row_reader, row_revision
from domainforge.sources.taken_names import TakenNames

KIND = "sql row"
_VERSION = 1  # raised when the same row would give another document than before
_FIRST_TABLE = re.compile(r"\bfrom\s+[\"'`\[]?(?:\w+[\"'`\]]?\.[\"'`\[]?)?(\w+)", re.IGNORECASE)
_MEDIA_TYPES = {"markdown": "text/markdown", "text": "text/plain", "html": "text/html"}
_WAITING_ROWS = 64  # pages of HTML that wait for a worker together


class _OtherOrderError(Exception):
    """The rows are not the ones in the order of the interrupted reading."""


@dataclass(frozen=True)
class _Row:
    """One row on its way to be a reading; `html` is still to be parsed."""

    reading: Reading
    html: RowText | None = None


@dataclass(frozen=True)
class _Query:
    """What one run of the query needs: how to read rows, whom to ask what is known."""

    rows: RowReader
    reader: Reader
    names: TakenNames
    prefix: str
    shape: str


class SqlSource:
    """The rows of one query to a SQLite, PostgreSQL or MySQL database."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        """Take the settings; the database is not touched before `read`.

        Raises:
            ConfigError: Two settings say the same, no such variable, or the driver is missing.
            SourceError: No such SQLite file.
        """
        assert isinstance(config.sql, SqlConfig)
        for template, field in (("text", "text_field"), ("id", "id_field")):
            if getattr(config.sql, template) and getattr(config, field):
                raise ConfigError(
                    f"sources: sql: `{template}` and `{field}` say the same in two ways; keep one"
                )
        self._config = config
        self._sql = config.sql
        self._address = find_address(config.sql, project)
        table = _FIRST_TABLE.search(config.sql.query)
        self._name = config.sql.name or (table[1].lower() if table else "rows")

    def identity(self) -> Mapping[str, Any]:
        """Return the query and its database; for a SQLite file also what is in it."""
        timeouts = {"connect_timeout_seconds", "statement_timeout_seconds"}
        fields: dict[str, Any] = {
            "version": _VERSION,
            "sql": self._sql.model_dump(exclude=timeouts),
        }
        if self._address.file is not None:
            log = self._address.file.with_name(f"{self._address.file.name}-wal")
            there = [path for path in (self._address.file, log) if path.is_file()]
            fields["files"] = [file_hash(path) for path in there]
        return fields

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read all rows, in the query's order; each is an item.

        After an interruption the query runs again. Its first rows are passed over as long as the
        last of them is the one that the interrupted reading came to; else every row is looked up
        by its name.

        Raises:
            SourceError: The database can't be reached or refuses the query.
        """
        if reader.position is not None:
            try:
                yield from self._read(reader, reader.position)
                return
            except _OtherOrderError:
                reader.say(
                    f"{self._address.label}: its rows are no longer in the order of the "
                    "interrupted reading, so each is looked up by name; ORDER BY a key helps"
                )
        yield from self._read(reader, None)

    def _read(self, reader: Reader, position: Mapping[str, Any] | None) -> Iterator[Reading]:
        with (
            open_rows(self._address, self._sql) as rows,
            closing(TakenNames()) as names,
        ):
            first = next(rows.batches, ())
            query = _Query(
                make_row_reader(self._config, rows.columns, first),
                reader,
                names,
                f"sql/{self._address.database}/{self._name}",
                self._shape(),
            )
            yield from self._parse_html(self._go_on(query, _flat(first, rows), position), reader)

    def _shape(self) -> str:
        """Return the settings that make another document of the same row."""
        keys = {"text", "title", "id", "format", "created", "modified"}
        fields = self._config.model_dump(include={"text_field", "title_field", "id_field"})
        return canonical_json([_VERSION, self._sql.model_dump(include=keys), fields])

    def _go_on(
        self, query: _Query, rows: Iterator[Sequence[Any]], position: Mapping[str, Any] | None
    ) -> Iterator[_Row]:
        """Yield the rows that are not there yet."""
        passed = int(position["rows"]) if position else 0
        number = 0
        for number, values in enumerate(rows, 1):
            row = self._prepare(query, values, number, number > passed)
            if number == passed and position and row.reading.uri != position["uri"]:
                raise _OtherOrderError
            if number <= passed:
                continue
            if position is None and query.reader.done(row.reading.uri):
                continue
            yield row
        if number < passed:
            raise _OtherOrderError

    def _prepare(self, query: _Query, values: Sequence[Any], number: int, wanted: bool) -> _Row:
        """Read one row as far as it goes without a worker; unwanted ones only get their name."""
        fields = query.rows.fields(values)
        try:
            uri = f"{query.prefix}#{query.rows.name(fields, number)}"
        except UnreadableError as error:
            uri = f"{query.prefix}#row-{number}"
            return _Row(self._fault(uri, number, error.reason, error.detail))
        if not query.names.take(uri):
            detail = f"row {number}: {uri} was there before; name rows by what each has for itself"
            return _Row(self._fault(f"{uri}-row-{number}", number, "duplicate_id", detail))
        position = {"rows": number, "uri": uri}
        if not wanted:
            return _Row(Reading(uri, KIND, position=position))
        revision = row_revision(query.shape, fields)
        if query.reader.known(uri) == revision:
            return _Row(Reading(uri, KIND, revision=revision, unchanged=True, position=position))
        try:
            row = query.rows.read(fields)
        except UnreadableError as error:
            return _Row(self._fault(uri, number, error.reason, f"row {number}: {error.detail}"))
        size = len(row.text.encode(errors="replace"))
        reading = Reading(uri, KIND, Loaded(), revision, position=position, size_bytes=size)
        if self._sql.format == "html" and row.text.strip():
            return _Row(reading, row)
        loaded = self._load(uri, row, number)
        return _Row(Reading(uri, KIND, loaded, revision, position=position, size_bytes=size))

    def _fault(self, uri: str, number: int, reason: str, detail: str) -> Reading:
        fault = LeftOut(uri, reason, detail)
        return Reading(uri, KIND, Loaded(faults=(fault,)), position={"rows": number, "uri": uri})

    def _load(self, uri: str, row: RowText, number: int) -> Loaded:
        text = clean_text(row.text)
        if not text.strip():
            return Loaded(dropped=(LeftOut(uri, "empty", f"row {number}: no text in it"),))
        name = uri.rpartition("/")[2].replace("#", " ")
        document = Document(
            uri,
            clean_text(row.title) or first_heading(text) or name,
            text,
            _MEDIA_TYPES[self._sql.format],
            dict(row.metadata),
            created=row.created,
            modified=row.modified,
            raw=row.text if self._config.keep_raw else None,
        )
        return Loaded((document,))

    def _parse_html(self, rows: Iterator[_Row], reader: Reader) -> Iterator[Reading]:
        """Have pages parsed by workers, a few together, and keep the order of the rows."""
        if self._sql.format != "html":
            yield from (row.reading for row in rows)
            return
        with tempfile.TemporaryDirectory(prefix="domainforge-sql-") as folder:
            while batch := tuple(islice(rows, _WAITING_ROWS)):
                parsed = reader.parse(self._work(batch, Path(folder)))
                for row in batch:
                    if row.html is None:
                        yield row.reading
                        continue
                    for reading in parsed:
                        yield reading
                        if reading.last:
                            break

    def _work(self, batch: Sequence[_Row], folder: Path) -> Iterator[FileWork]:
        for index, row in enumerate(batch):
            if row.html is None:
                continue
            known = {
                "title": row.html.title or None,
                "created": row.html.created,
                "modified": row.html.modified,
            }
            given = {**row.html.metadata, **{k: v for k, v in known.items() if v is not None}}
            path = folder / f"{index}.html"
            path.write_text(row.html.text, encoding="utf-8", errors="replace")
            file = SourceFile(path, row.reading.uri, self._config, kind="html", given=given)
            yield FileWork(file, row.reading.revision, row.reading.position)


def _flat(first: Sequence[Sequence[Any]], rows: Rows) -> Iterator[Sequence[Any]]:
    yield from first
    for batch in rows.batches:
        yield from batch

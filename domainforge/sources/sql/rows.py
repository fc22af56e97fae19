"""One row of a query to what its document is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.errors import SourceError
from domainforge.records import canonical_json, text_hash
from domainforge.sources.config import SourceConfig
from domainforge.sources.field_values import plain_value, text_of
from domainforge.sources.loaded import UnreadableError
from domainforge.sources.row_template import TemplateFault, fill_template, template_names
from domainforge.sources.sql.config import SqlConfig
from domainforge.sources.sql.faults import near_match

_TEXT_COLUMNS = ("text", "content", "body")
_ID_COLUMNS = ("id", "url")
_MAX_ID_CHARS = 200


@dataclass(frozen=True)
class RowText:
    """What one row gives: the text as the database has it, and what is known of it."""

    text: str
    title: str
    created: str | None
    modified: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class RowReader:
    """How rows of one query are read; made by `make_row_reader`.

    Attributes:
        text_column: Where the text is, unless a template makes it.
        id_column: What names a row, unless a template does; None: its number.
        title_column: Where the title is, if there is such a column.
        used: Columns that are in the text and so not in the metadata.
    """

    sql: SqlConfig
    columns: tuple[str, ...]
    text_column: str | None
    id_column: str | None
    title_column: str | None
    used: frozenset[str]

    def fields(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return a row's values by the names of their columns."""
        return dict(zip(self.columns, row, strict=True))

    def name(self, fields: Mapping[str, Any], number: int) -> str:
        """Return what names the row in its uri: its id, or its number where it has none.

        Raises:
            UnreadableError: The template of the id fails on this row.
        """
        if self.sql.id is not None:
            found: str | None = _fill(self.sql.id, fields)
        else:
            found = text_of(fields[self.id_column]) if self.id_column else None
        name = " ".join((found or "").split())
        if len(name) > _MAX_ID_CHARS:
            name = f"{name[:_MAX_ID_CHARS]}~{text_hash(name)[:8]}"
        return name or f"row-{number}"

    def read(self, fields: Mapping[str, Any]) -> RowText:
        """Return what the row gives.

        Raises:
            UnreadableError: A template fails on this row, or its text is bytes that are no text.
        """
        text = self._text(fields)
        if self.sql.title is not None:
            title: str | None = _fill(self.sql.title, fields)
        else:
            title = text_of(fields[self.title_column]) if self.title_column else None
        skip = self.used | {self.title_column}
        metadata = {
            name: plain_value(value)
            for name, value in fields.items()
            if value is not None and name not in skip
        }
        created, modified = (
            text_of(fields[column]) if column else None
            for column in (self.sql.created, self.sql.modified)
        )
        return RowText(text, " ".join((title or "").split()), created, modified, metadata)

    def _text(self, fields: Mapping[str, Any]) -> str:
        if self.sql.text is not None:
            return _fill(self.sql.text, fields)
        assert self.text_column is not None
        value = fields[self.text_column]
        text = text_of(value)
        if text is None and value is not None:
            size = len(bytes(value))
            raise UnreadableError("not_text", f"{self.text_column}: {size:,} bytes, no text")
        return text or ""


def make_row_reader(
    config: SourceConfig, columns: tuple[str, ...], first: Sequence[Sequence[Any]]
) -> RowReader:
    """Decide what is the text, the title and the id of rows with these columns.

    Args:
        config: The source.
        columns: Names of the query's columns.
        first: The first rows: the text is in the column that has most of it, where no name tells.

    Raises:
        SourceError: A column that a setting names is not there, or no column holds text.
    """
    sql = config.sql
    assert isinstance(sql, SqlConfig)
    _check_names(config, sql, columns)
    text_column = None
    if sql.text is None:
        text_column = config.text_field or _known(_TEXT_COLUMNS, columns)
        text_column = text_column or _most_text(columns, first)
    id_column = None
    if sql.id is None:
        id_column = config.id_field or _known(_ID_COLUMNS, columns)
    title_column = None
    if sql.title is None:
        title_column = config.title_field if config.title_field in columns else None
    used = template_names(sql.text) if sql.text is not None else frozenset({str(text_column)})
    return RowReader(sql, columns, text_column, id_column, title_column, used)


def row_revision(shape: str, fields: Mapping[str, Any]) -> str:
    """Return a hash that changes when any value of the row does, or how rows are read."""
    return text_hash(shape + canonical_json({k: plain_value(v) for k, v in fields.items()}))


def _fill(template: str, fields: Mapping[str, Any]) -> str:
    shown = {
        name: text_of(value) or plain_value(value) if _is_shown_as_text(value) else value
        for name, value in fields.items()
    }
    try:
        return fill_template(template, shown)
    except TemplateFault as error:
        raise UnreadableError("bad_template", str(error)) from None


def _is_shown_as_text(value: Any) -> bool:
    """Dates and bytes are written as people read them; numbers and JSON stay what they are."""
    return isinstance(value, bytes | bytearray | memoryview) or hasattr(value, "isoformat")


def _check_names(config: SourceConfig, sql: SqlConfig, columns: tuple[str, ...]) -> None:
    wanted: list[tuple[str, str]] = []
    for key in ("text", "title", "id"):
        template = getattr(sql, key)
        wanted += [(key, name) for name in sorted(template_names(template))] if template else []
    named = {
        "text_field": config.text_field,
        "id_field": config.id_field,
        "created": sql.created,
        "modified": sql.modified,
    }
    wanted += [(key, name) for key, name in named.items() if name is not None]
    for key, name in wanted:
        if name not in columns:
            known = near_match(name, list(columns))
            raise SourceError(f"sources: sql: {key}: the query gives no column '{name}'; {known}")


def _known(names: Sequence[str], columns: Sequence[str]) -> str | None:
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def _most_text(columns: Sequence[str], first: Sequence[Sequence[Any]]) -> str | None:
    chars = {
        column: sum(len(row[index]) for row in first if isinstance(row[index], str))
        for index, column in enumerate(columns)
    }
    best = max(columns, key=lambda column: chars[column], default=None)
    if best is None or (first and not chars[best]):
        raise SourceError(
            "sources: sql: no column of the query holds text; there are: "
            f"{', '.join(columns) or 'none'}; write `text` as a template of them"
        )
    return best

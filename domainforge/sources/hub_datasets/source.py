"""The rows of a dataset as documents, in batches that an interrupted reading goes on from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from domainforge.errors import SourceError
from domainforge.records import Document, canonical_json, text_hash
from domainforge.sources.chats import CHAT_FIELDS, chat_field, make_chat, read_messages
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.config import SourceConfig
from domainforge.sources.field_values import plain_value
from domainforge.sources.hub_datasets.config import DatasetConfig
from domainforge.sources.hub_datasets.opening import (
    Place,
    find_place,
    find_revision,
    folder_state,
    open_dataset,
    told,
)
from domainforge.sources.loaded import LeftOut, Loaded, UnreadableError
from domainforge.sources.reading import Reader, Reading
from domainforge.sources.taken_names import TakenNames

KIND = "dataset rows"
_VERSION = 1  # raised when the same row would give another document than before
_BATCH_ROWS = 256
_TEXT_FIELDS = ("text", "content", "body")


@dataclass(frozen=True)
class _Stream:
    """An opened dataset.

    Attributes:
        rows: A `datasets.IterableDataset`.
        field: What holds the text, or a chat.
    """

    rows: Any
    field: str


class DatasetSource:
    """One split of a Hugging Face dataset, in a folder or on the Hub."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        """Take the settings; neither the Hub nor the data is touched before `read`.

        Raises:
            ConfigError: The token's variable is not set.
            SourceError: No such folder, and no name that the Hub could have.
        """
        assert isinstance(config.dataset, DatasetConfig)
        self._config = config
        self._dataset = config.dataset
        self._place: Place = find_place(config.dataset, project)
        parts = [self._place.label, config.dataset.config, config.dataset.split]
        self._prefix = "/".join(["datasets", *(part for part in parts if part)])

    def identity(self) -> Mapping[str, Any]:
        """Return its settings; for a folder also what is in it."""
        fields: dict[str, Any] = {
            "version": _VERSION,
            "dataset": self._dataset.model_dump(exclude={"token_env"}),
        }
        if self._place.folder is not None:
            fields["folder"] = folder_state(self._place.folder)
        return fields

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read all rows in their order; a batch of them is an item.

        A batch is known by the dataset's commit, so that an unchanged dataset is not downloaded
        again. An interrupted reading goes on at its last whole batch, if the commit is the same.

        Raises:
            SourceError: It can't be opened, or breaks off while it is read.
        """
        commit = find_revision(self._place)
        fields = self._config.model_dump(include={"text_field", "title_field", "id_field", "chats"})
        revision = text_hash(canonical_json([_VERSION, commit, fields]))
        position = reader.position or {}
        state = None
        start = 0
        if position.get("revision") == revision:
            start, state = int(position["rows"]), position["state"]
        while start % _BATCH_ROWS == 0 and reader.known(self._uri(start)) == revision:
            uri = self._uri(start)
            start, state = start + _BATCH_ROWS, None
            yield Reading(uri, KIND, revision=revision, unchanged=True)
        yield from self._read_from(start, state, commit, revision)

    def _uri(self, start: int) -> str:
        return f"{self._prefix}#rows-{start + 1}"

    def _read_from(self, start: int, state: Any, commit: str, revision: str) -> Iterator[Reading]:
        stream = self._open(commit, start, state)
        with closing(TakenNames()) as names:
            found = iter(stream.rows)
            while True:
                with told(self._place, start):
                    rows = list(islice(found, _BATCH_ROWS))
                    # The position lies in the file and row group; `skip` would download and pass
                    # over everything before it.
                    position = {
                        "revision": revision,
                        "rows": start + len(rows),
                        "state": stream.rows.state_dict(),
                    }
                if not rows:
                    return
                loaded = self._load(rows, start, stream.field, names)
                size = sum(len(document.text.encode()) for document in loaded.documents)
                yield Reading(
                    self._uri(start), KIND, loaded, revision, position=position, size_bytes=size
                )
                start += len(rows)

    def _open(self, commit: str, start: int, state: Any) -> _Stream:
        rows = open_dataset(self._place, commit)
        with told(self._place):
            names = rows.column_names or _first_names(rows)
        field = self._text_field(names) if names else ""
        with told(self._place, start):
            if state is not None:
                rows.load_state_dict(state)
            else:
                rows = rows.skip(start) if start else rows
        return _Stream(rows, field)

    def _text_field(self, columns: Sequence[str]) -> str:
        """Return what holds the text of all rows; looked up once, since columns are the same.

        Raises:
            SourceError: None does.
        """
        if self._config.text_field is not None:
            names: Sequence[str] = (self._config.text_field,)
        else:
            names = (*_TEXT_FIELDS, *CHAT_FIELDS)
        found = next((name for name in names if name in columns), None)
        if found is None:
            raise SourceError(
                f"sources: dataset: {self._dataset.name}: no text under {', '.join(names)}; set "
                f"text_field to one of its fields: {', '.join(columns)}"
            )
        return found

    def _load(
        self, rows: Sequence[Mapping[str, Any]], start: int, field: str, names: TakenNames
    ) -> Loaded:
        documents: list[Document] = []
        dropped: list[LeftOut] = []
        faults: list[LeftOut] = []
        for number, row in enumerate(rows, start + 1):
            uri = self._row_uri(row, number, names)
            text = read_text(row.get(field))
            if self._config.chats and (chat := chat_field(row)):
                try:
                    documents.append(self._chat(row, chat, uri))
                except UnreadableError as error:
                    detail = f"row {number}: {error.detail}"
                    faults.append(LeftOut(uri, error.reason, detail))
            elif text is None:
                detail = f"row {number}: {field} holds a {type(row.get(field)).__name__}, no text"
                faults.append(LeftOut(uri, "no_text_field", detail))
            elif not clean_text(text).strip():
                dropped.append(LeftOut(uri, "empty", f"row {number}: blank text"))
            else:
                documents.append(self._document(row, field, text, uri))
        return Loaded(tuple(documents), tuple(dropped), tuple(faults))

    def _chat(self, row: Mapping[str, Any], field: str, uri: str) -> Document:
        others = {name: plain_value(row[name]) for name in row if name not in (field, "text")}
        title, license_name = row.get(self._config.title_field), row.get("license")
        known = title if isinstance(title, str) and title.strip() else None
        document = make_chat(uri, read_messages(row[field]), others, known)
        raw = canonical_json(plain_value(row[field])) if self._config.keep_raw else None
        return replace(
            document, license=license_name if isinstance(license_name, str) else None, raw=raw
        )

    def _row_uri(self, row: Mapping[str, Any], number: int, names: TakenNames) -> str:
        """Name a row by its number, which is unique however far a reading came; by id if asked."""
        own = row.get(self._config.id_field) if self._config.id_field else None
        uri = f"{self._prefix}#{own}"
        if own is None or own == "" or not names.take(uri):
            return f"{self._prefix}#row-{number}"
        return uri

    def _document(self, row: Mapping[str, Any], field: str, text: str, uri: str) -> Document:
        raw, text = text, clean_text(text)
        title_field = self._config.title_field
        title = row.get(title_field)
        if not isinstance(title, str) or not title.strip():
            title = first_heading(text) or uri.removeprefix("datasets/").replace("#", " ")
        others = {
            name: plain_value(value)
            for name, value in row.items()
            if value is not None and name not in (field, title_field)
        }
        license_name = row.get("license")
        return Document(
            uri,
            " ".join(clean_text(title).split()),
            text,
            metadata=others,
            license=license_name if isinstance(license_name, str) else None,
            raw=raw if self._config.keep_raw else None,
        )


def _first_names(rows: Any) -> list[str]:
    """Return the columns of a dataset that has no types before it is read."""
    with closing(iter(rows)) as found:
        return list(next(found, {}))


def read_text(value: Any) -> str | None:
    """Return a text as it is, and a chat as paragraphs with who says them; None for others."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, Sequence) or not all(isinstance(turn, Mapping) for turn in value):
        return None
    turns = []
    for turn in value:
        who, said = turn.get("role") or turn.get("from"), turn.get("content") or turn.get("value")
        if not isinstance(who, str) or not isinstance(said, str):
            return None
        turns.append(f"**{who}:** {said}")
    return "\n\n".join(turns)

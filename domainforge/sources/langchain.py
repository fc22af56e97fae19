"""Any LangChain document loader or vector store as a source, handed over in Python.

A pipeline file can't name one: a class path in YAML would be code in data.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from domainforge.errors import SourceError
from domainforge.records import Document, canonical_json, text_hash
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.field_values import plain_value
from domainforge.sources.loaded import LeftOut, Loaded
from domainforge.sources.reading import Reader, Reading
from domainforge.sources.taken_names import TakenNames

if TYPE_CHECKING:
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.documents import Document as LangChainDocument
    from langchain_core.vectorstores import VectorStore

KIND = "langchain document"
_VERSION = 1  # raised when the same document would be taken over in another way than before
_STORE_BATCH = 100
_CREATED = ("created", "created_at", "creationdate", "creation_date", "published", "date")
_MODIFIED = ("modified", "last_modified", "moddate", "updated", "updated_at")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(://)[^/@\s]+@")


class LangChainSource:
    """The documents of a LangChain loader (`lazy_load`) or vector store (`get_by_ids`).

    Args:
        loader: Any `BaseLoader`, or any `VectorStore`; LangChain has no way to list what a store
            holds, so that it needs `ids`, except for an `InMemoryVectorStore`.
        name: What the source is called in uris: `langchain/<name>/...`.
        ids: What to take from a store, in this order.
    """

    def __init__(
        self,
        loader: "BaseLoader | VectorStore",
        *,
        name: str,
        ids: Iterable[str] | None = None,
    ) -> None:
        if not re.fullmatch(r"[\w.-]+", name):
            raise SourceError(
                f"LangChainSource: the name {name!r} stands in uris; write it with letters, "
                "digits, dots and hyphens"
            )
        self.name = name
        self._loader: Any = loader
        self._ids = ids
        self._is_store = not hasattr(loader, "lazy_load")
        if self._is_store and not hasattr(loader, "get_by_ids"):
            raise SourceError(
                f"LangChainSource: {type(loader).__name__} is neither a document loader "
                "(lazy_load) nor a vector store (get_by_ids)"
            )
        if self._is_store and ids is None and not hasattr(loader, "store"):
            raise SourceError(
                f"LangChainSource: {type(loader).__name__} can't tell what it holds; give the ids "
                "of the documents to take: LangChainSource(store, name=..., ids=[...])"
            )

    def identity(self) -> Mapping[str, Any]:
        """Return its name and class; what the loader would read can't be known."""
        return {"version": _VERSION, "langchain": self.name, "class": type(self._loader).__name__}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read all documents, lazily; each is an item.

        A loader that fails ends this source only: what came before is kept, and the failure is a
        fault that names it. It starts over after an interruption, since loaders can't be told to
        begin in the middle; documents that are there already are passed over.
        """
        count = 0
        with closing(TakenNames()) as names:
            found = self._store_documents() if self._is_store else iter(self._loader.lazy_load())
            previous: str | None = None
            part = 1
            while True:
                try:
                    item = next(found, None)
                except BaseException as error:
                    # The loader is anyone's code, and fails with anyone's errors.
                    if not isinstance(error, Exception):
                        raise
                    yield self._failed(error, count)
                    return
                if item is None:
                    return
                count += 1
                name = self._item_name(item, count)
                part = part + 1 if name == previous else 1
                previous = name
                uri = _free_uri(f"langchain/{self.name}/{name}", part, count, names)
                if not reader.done(uri):
                    yield self._read_one(item, uri, reader)

    def _store_documents(self) -> Iterator["LangChainDocument"]:
        ids = iter(self._ids if self._ids is not None else sorted(self._loader.store))
        while batch := list(islice(ids, _STORE_BATCH)):
            yield from self._loader.get_by_ids(batch)

    def _item_name(self, item: Any, count: int) -> str:
        """Return where a document is from, without where that is on this machine."""
        metadata = getattr(item, "metadata", None) or {}
        own = getattr(item, "id", None)
        if self._is_store and own:
            return str(own)
        source = metadata.get("source")
        if isinstance(source, str) and source.strip():
            return _portable(source)
        return str(own) if own else f"document-{count}"

    def _read_one(self, item: Any, uri: str, reader: Reader) -> Reading:
        text, metadata = getattr(item, "page_content", None), getattr(item, "metadata", None)
        if not isinstance(text, str) or not isinstance(metadata, Mapping):
            detail = f"the loader gave a {type(item).__name__}, not a LangChain Document"
            return Reading(uri, KIND, Loaded(faults=(LeftOut(uri, "not_a_document", detail),)))
        fields = {str(key): plain_value(value) for key, value in metadata.items()}
        if isinstance(fields.get("source"), str):
            fields["source"] = _portable(fields["source"])
        revision = text_hash(canonical_json([_VERSION, text, fields]))
        if reader.known(uri) == revision:
            return Reading(uri, KIND, revision=revision, unchanged=True)
        loaded = _load(uri, clean_text(text), fields)
        return Reading(uri, KIND, loaded, revision, size_bytes=len(text.encode(errors="replace")))

    def _failed(self, error: Exception, count: int) -> Reading:
        uri = f"langchain/{self.name}"
        said = _CREDENTIALS.sub(r"\1", " ".join(str(error).split()))[:200]
        who = type(self._loader).__name__
        detail = f"{who} failed after {count} documents: {type(error).__name__}: {said}"
        return Reading(uri, KIND, Loaded(faults=(LeftOut(uri, "loader_failed", detail),)))


def _load(uri: str, text: str, fields: Mapping[str, Any]) -> Loaded:
    if not text.strip():
        return Loaded(dropped=(LeftOut(uri, "empty", "no text in it"),))
    title = fields.get("title")
    if not isinstance(title, str) or not title.strip():
        title = first_heading(text) or uri.rpartition("/")[2]
    license_name = fields.get("license")
    document = Document(
        uri,
        " ".join(clean_text(title).split()),
        text,
        metadata={k: v for k, v in fields.items() if v is not None and k != "title"},
        created=_date(fields, _CREATED),
        modified=_date(fields, _MODIFIED),
        license=license_name if isinstance(license_name, str) else None,
    )
    return Loaded((document,))


def _free_uri(uri: str, part: int, count: int, names: TakenNames) -> str:
    """Return a name that no other document has: loaders give pages of one file the same one."""
    wanted = uri if part == 1 else f"{uri}#{part}"
    if names.take(wanted):
        return wanted
    names.take(f"{uri}#document-{count}")
    return f"{uri}#document-{count}"


def _portable(source: str) -> str:
    """Return an address without its credentials, or a path from its last folder on."""
    if _ADDRESS.match(source):
        return _CREDENTIALS.sub(r"\1", source)
    path = PureWindowsPath(source) if "\\" in source else PurePosixPath(source)
    parts = [part for part in path.parts if part not in (path.anchor, ".", "..")]
    return "/".join(parts[-2:] if path.is_absolute() else parts) or source


def _date(fields: Mapping[str, Any], names: Iterable[str]) -> str | None:
    values = (fields.get(name) for name in names)
    return next((v for v in values if isinstance(v, str) and _DATE.fullmatch(v)), None)

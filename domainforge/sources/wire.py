"""What goes between ingest and its worker processes: one JSON message a line, data only.

Nothing that executes on arrival (no pickle): a file that takes over its parser gets no further.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from domainforge.records import Document, Section
from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile


def pack(message: Mapping[str, Any]) -> bytes:
    """Return a message as one line."""
    try:
        return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE, default=str)
    except (TypeError, orjson.JSONEncodeError):
        # Half characters, keys that are no text, integers past 64 bits.
        return orjson.dumps(_plain(message), option=orjson.OPT_APPEND_NEWLINE, default=str)


def unpack(line: bytes) -> dict[str, Any]:
    """Read a message."""
    message: dict[str, Any] = orjson.loads(line)
    return message


def unpack_answer(line: bytes) -> dict[str, Any]:
    """Read a worker's message, with what it loaded as such.

    Raises:
        ValueError: It is none: something has taken the worker over.
    """
    try:
        message = unpack(line)
        if "loaded" in message:
            return {"loaded": unpack_loaded(message["loaded"])}
        if "starting" in message:
            return {"starting": str(message["starting"])}
        return {"end": bool(message["end"]), "memory": bool(message.get("memory"))}
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"no message: {type(error).__name__}") from None


def pack_file(file: SourceFile) -> dict[str, Any]:
    """Return a file to read as JSON values."""
    return {
        # Names of files are bytes, and need not be UTF-8.
        "path": os.fsencode(file.path).decode("latin-1"),
        "uri": file.uri,
        "kind": file.kind,
        "given": dict(file.given),
        "config": file.config.model_dump(mode="json"),
    }


def unpack_file(message: Mapping[str, Any]) -> SourceFile:
    """Read a file to read."""
    config = SourceConfig.model_validate(message["config"])
    path = Path(os.fsdecode(message["path"].encode("latin-1")))
    return SourceFile(path, message["uri"], config, message["kind"], message["given"])


def pack_loaded(loaded: Loaded) -> dict[str, Any]:
    """Return what a file gave as JSON values."""
    return asdict(loaded)


def unpack_loaded(message: Mapping[str, Any]) -> Loaded:
    """Read what a file gave."""
    return Loaded(
        tuple(_document(fields) for fields in message["documents"]),
        tuple(_left_out(fields) for fields in message["dropped"]),
        tuple(_left_out(fields) for fields in message["faults"]),
    )


def mend_document(document: Document) -> Document:
    """Return a document made in this process as it would come from a worker.

    Half characters are replaced; what JSON has no value for in the metadata becomes text.
    """
    return _document(unpack(pack(asdict(document))))


def _document(fields: dict[str, Any]) -> Document:
    sections = tuple(Section(**section) for section in fields.pop("sections"))
    document = Document(**{**fields, "uris": tuple(fields["uris"]), "sections": sections})
    optional = (document.raw, document.language, document.created, document.modified)
    texts = (document.uri, document.title, document.text, document.media_type, *document.uris)
    numbers = (n for part in sections for n in (part.level, part.start, part.end))
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(text, str | None) for text in (*optional, document.license))
        and all(isinstance(number, int) for number in numbers)
        and all(isinstance(section.title, str) for section in sections)
        and isinstance(document.metadata, dict)
    ):
        raise TypeError("a document with a field of another type")
    return document


def _left_out(fields: dict[str, Any]) -> LeftOut:
    left_out = LeftOut(**fields)
    if not all(isinstance(text, str) for text in fields.values()):
        raise TypeError("a word of what is left out that is none")
    return left_out


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    return _plain(str(value))

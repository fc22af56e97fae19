"""JSON files: a list of rows with texts is documents, anything else is readable Markdown."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from domainforge.records import Document
from domainforge.sources.chats import chat_field
from domainforge.sources.cleaning import clean_text, decode
from domainforge.sources.kinds.jsonl import MEANING, not_documents
from domainforge.sources.kinds.rows import TEXT_FIELDS, Row, RowReader, encodable, text_field
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

_TITLES = ("title", "name")
_MAX_DEPTH = 100


def load_json(data: bytes, file: SourceFile) -> Loaded:
    """Read a .json file.

    A list of objects of which one has a text is rows, as in a .jsonl file; so is a list that is
    the only one in an object (`{"data": [...]}`). Any other value is a nested Markdown list of
    its names and values, nothing left out.

    Raises:
        UnreadableError: No JSON, or nested absurdly deep.
    """
    value = parse_json(data)
    items = _items(value)
    rows = [Row(n, item) for n, item in enumerate(items, 1) if isinstance(item, dict)]
    if rows and len(rows) == len(items):
        reason = not_documents(rows, file)
        if reason:
            return Loaded(dropped=(LeftOut(file.uri, reason, MEANING[reason]),))
        chats = file.config.chats and any(chat_field(row.fields) for row in rows)
        if chats or any(text_field(row.fields, file.config) for row in rows):
            with RowReader(file, "item", "application/json") as reader:
                return reader.read(rows)
    text = "\n".join(_lines(value, 0))
    raw = text if file.config.keep_raw else None
    titles = (value.get(name) for name in _TITLES) if isinstance(value, dict) else ()
    title = next((t for t in titles if isinstance(t, str) and t.strip()), file.stem)
    title = " ".join(clean_text(title).split())
    return Loaded((Document(file.uri, title, clean_text(text), "application/json", raw=raw),))


def parse_json(data: bytes) -> Any:
    """Parse JSON as files have it: any encoding, byte order mark, NaN, half characters.

    Raises:
        UnreadableError: It is no JSON.
    """
    import orjson

    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return encodable({"value": json.loads(decode(data))})["value"]
    except (ValueError, RecursionError) as error:
        raise UnreadableError("unreadable", f"no valid JSON: {error}"[:300]) from error


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        # An object with a text of its own is one row; wrappers have one list of rows.
        if any(isinstance(value.get(name), str) for name in TEXT_FIELDS):
            return [value]
        lists = [item for item in value.values() if isinstance(item, list) and item]
        if len(lists) == 1 and all(isinstance(item, dict) for item in lists[0]):
            return lists[0]
    return []


def _lines(value: Any, depth: int) -> Iterator[str]:
    """Write a value as a list in which names stand before their values."""
    if depth > _MAX_DEPTH:
        raise UnreadableError("unreadable", f"nested deeper than {_MAX_DEPTH} levels")
    indent = "  " * depth
    if isinstance(value, Mapping):
        pairs = [(f"{indent}- {' '.join(name.split())}:", item) for name, item in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{indent}-", item) for item in value]
    else:
        yield indent + _flat(value)
        return
    for start, item in pairs:
        if isinstance(item, Mapping | list) and item:
            yield start
            yield from _lines(item, depth + 1)
        else:
            # The lines of a text stay lines, set under its name.
            yield f"\n{indent}  ".join(f"{start} {_flat(item)}".rstrip().split("\n"))


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value, ensure_ascii=False) if value not in ({}, []) else ""

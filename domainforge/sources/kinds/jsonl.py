"""JSON lines: every row with a text is a document; exams and examples are told apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile

_TEXT_FIELDS = ("text", "content", "body")
_ID_FIELDS = ("id", "url")
_KINDS = frozenset({"chat", "text"})  # of rows that DomainForge itself writes, `show --json`
_MEANING = {
    "exam_file": "questions to test with, never to learn from",
    "example_file": "chat messages, not documents; set text_field if its rows have a text",
}


@dataclass(frozen=True)
class _Row:
    line: int
    fields: dict[str, Any]


def load_jsonl(data: bytes, file: SourceFile) -> Loaded:
    """Read a .jsonl file row by row; a bad line costs that line only.

    A file of questions with answers is dropped as `exam_file`, one of chat messages as
    `example_file`: what the student is tested with must never become what it reads.
    """
    rows, faults = _parse(decode(data), file)
    reason = _not_documents(rows, file)
    if reason:
        return Loaded(dropped=(LeftOut(file.uri, reason, _MEANING[reason]),), faults=tuple(faults))
    documents: list[Document] = []
    dropped: list[LeftOut] = []
    taken: set[str] = set()
    for row in rows:
        uri = _uri(row, file, taken)
        field = _text_field(row.fields, file.config)
        if field is None:
            wanted = file.config.text_field or ", ".join(_TEXT_FIELDS)
            detail = f"line {row.line}: no text under {wanted}; set text_field"
            faults.append(LeftOut(uri, "no_text_field", detail))
            continue
        document = _document(row, field, uri, file)
        if document.text:
            documents.append(document)
        else:
            dropped.append(LeftOut(uri, "empty", f"line {row.line}: blank text"))
    return Loaded(tuple(documents), tuple(dropped), tuple(faults))


def _parse(text: str, file: SourceFile) -> tuple[list[_Row], list[LeftOut]]:
    rows: list[_Row] = []
    faults: list[LeftOut] = []
    # splitlines() would also cut at line separators inside JSON strings.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            detail = f"line {number}: no valid JSON: {error}"[:300]
            faults.append(LeftOut(f"{file.uri}#line-{number}", "bad_line", detail))
            continue
        if isinstance(value, dict):
            rows.append(_Row(number, _encodable(value)))
        else:
            detail = f"line {number}: a {type(value).__name__}, not an object with fields"
            faults.append(LeftOut(f"{file.uri}#line-{number}", "bad_line", detail))
    return rows, faults


def _encodable(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace half characters (lone surrogates), which JSON allows and UTF-8 does not."""
    body = json.dumps(fields, ensure_ascii=False)
    try:
        body.encode()
    except UnicodeEncodeError:
        fixed: dict[str, Any] = json.loads(body.encode("utf-8", "replace"))
        return fixed
    return fields


def _not_documents(rows: Sequence[_Row], file: SourceFile) -> str | None:
    if not rows:
        return None
    exam = all({"question", "answers"} <= row.fields.keys() for row in rows)
    if exam and file.path.name == "exam.jsonl":
        return "exam_file"
    if all(row.fields.get("kind") in _KINDS for row in rows) and _some_chats(rows):
        return "example_file"
    if any(_text_field(row.fields, file.config) for row in rows):
        return None
    if exam:
        return "exam_file"
    return "example_file" if all("messages" in row.fields for row in rows) else None


def _some_chats(rows: Sequence[_Row]) -> bool:
    return any(row.fields.get("messages") for row in rows)


def _text_field(fields: dict[str, Any], config: SourceConfig) -> str | None:
    names = (config.text_field,) if config.text_field else _TEXT_FIELDS
    return next((name for name in names if isinstance(fields.get(name), str)), None)


def _uri(row: _Row, file: SourceFile, taken: set[str]) -> str:
    names = (file.config.id_field,) if file.config.id_field else _ID_FIELDS
    values = (row.fields.get(name) for name in names)
    name = next((str(v) for v in values if isinstance(v, str | int) and str(v)), None)
    uri = f"{file.uri}#{name or f'line-{row.line}'}"
    if uri in taken:
        uri = f"{uri}-line-{row.line}"
    taken.add(uri)
    return uri


def _document(row: _Row, field: str, uri: str, file: SourceFile) -> Document:
    text = clean_text(row.fields[field])
    title = row.fields.get(file.config.title_field)
    if not isinstance(title, str) or not title.strip():
        title = first_heading(text) or f"{file.stem} {uri.partition('#')[2]}"
    others = {k: v for k, v in row.fields.items() if k not in (field, file.config.title_field)}
    title = " ".join(clean_text(title).split())
    return Document(uri, title, text, "application/jsonl", others)

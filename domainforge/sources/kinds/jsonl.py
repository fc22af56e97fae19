"""JSON lines: every row with a text is a document; exams and examples are told apart."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from domainforge.sources.chats import chat_field
from domainforge.sources.kinds.rows import (
    PART_BYTES,
    PART_ROWS,
    Row,
    RowReader,
    encodable,
    text_field,
)
from domainforge.sources.kinds.text_lines import stray_text, utf8_lines
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile

# Of rows that DomainForge itself writes, `show --json`.
_KINDS = frozenset({"chat", "text", "preference"})
MEANING = {
    "exam_file": "questions to test with, never to learn from",
    "example_file": "chat messages, not documents; set `chats: true` to learn from them as they "
    "are (not from examples of DomainForge itself), or text_field if its rows have a text",
}


@dataclass
class Part:
    """Some rows of a file, and the lines among them that are none."""

    rows: list[Row] = field(default_factory=list)
    faults: list[LeftOut] = field(default_factory=list)


def stream_jsonl(handle: BinaryIO, file: SourceFile, skip: int) -> Iterator[Loaded]:
    """Read a .jsonl file of any size row by row; a bad line costs that line only.

    A file of questions with answers is dropped as `exam_file`, one of chat messages as
    `example_file`: what the student is tested with must never become what it reads. The first
    thousand rows tell which it is.
    """
    with RowReader(file, "line", "application/jsonl") as reader:
        for number, part in enumerate(row_parts(handle, reader)):
            if number == 0 and (reason := not_documents(part.rows, file)):
                left_out = LeftOut(file.uri, reason, MEANING[reason])
                if not skip:
                    yield Loaded(dropped=(left_out,), faults=tuple(part.faults))
                return
            if number < skip:
                reader.pass_over(part.rows)
            else:
                yield reader.read(part.rows, part.faults)


def not_documents(rows: Sequence[Row], file: SourceFile) -> str | None:
    """Tell by the first rows of a file whether it is an exam or examples: the reason, or None."""
    if not rows:
        return None
    exam = all({"question", "answers"} <= row.fields.keys() for row in rows)
    if exam and file.uri.rpartition("/")[2] == "exam.jsonl":
        return "exam_file"
    if are_examples(rows):
        return "example_file"
    if any(text_field(row.fields, file.config) for row in rows):
        return None
    if exam:
        return "exam_file"
    chats = all("messages" in row.fields or chat_field(row.fields) for row in rows)
    return "example_file" if chats and not file.config.chats else None


def are_examples(rows: Sequence[Row]) -> bool:
    """Tell whether rows are examples that DomainForge itself wrote."""
    kinds = all(row.fields.get("kind") in _KINDS for row in rows)
    return kinds and any(row.fields.get("messages") for row in rows)


def row_parts(handle: BinaryIO, reader: RowReader) -> Iterator[Part]:
    """Read rows in parts of a size that stays small."""
    part, size = Part(), 0
    for number, line in enumerate(utf8_lines(handle), 1):
        if line is None:
            detail = f"line {number}: too long for a row"
            part.faults.append(LeftOut(reader.uri(number), "bad_line", detail))
            continue
        try:
            value = _parse(line)
        except (ValueError, RecursionError) as error:
            detail = f"line {number}: no valid JSON: {error}"[:300]
            part.faults.append(LeftOut(reader.uri(number), "bad_line", detail))
        else:
            if isinstance(value, dict):
                part.rows.append(Row(number, value))
            elif value is not _BLANK:
                detail = f"line {number}: a {type(value).__name__}, not an object with fields"
                part.faults.append(LeftOut(reader.uri(number), "bad_line", detail))
        size += len(line)
        if size >= PART_BYTES or len(part.rows) + len(part.faults) >= PART_ROWS:
            yield part
            part, size = Part(), 0
    if part.rows or part.faults:
        yield part


_BLANK = object()


def _parse(line: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        if not line.strip():
            return _BLANK
    # The slower parser takes what the strict one refuses: NaN, half characters, stray bytes.
    value = json.loads(stray_text(line))
    return encodable(value) if isinstance(value, dict) else value

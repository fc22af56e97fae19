"""Jupyter notebooks: text, code and what the code printed, without the file's own noise."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.kinds.html import html_to_markdown, parse_html
from domainforge.sources.kinds.json_file import parse_json
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

# Of one output: a log of a training run says nothing more after that.
_MAX_OUTPUT_CHARS = 2000
_MAX_HTML_CHARS = 100_000
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def load_notebook(data: bytes, file: SourceFile) -> Loaded:
    """Read an .ipynb file, of format 3 or later; outputs are kept as text up to a length.

    Raises:
        UnreadableError: No notebook.
    """
    notebook = parse_json(data)
    cells = _cells(notebook)
    if cells is None:
        raise UnreadableError("unreadable", "no notebook: it has no list of cells")
    metadata = _object(notebook.get("metadata"))
    language = _language(metadata)
    blocks = [block.strip("\n") for cell in cells for block in _blocks(_object(cell), language)]
    raw = "\n\n".join(block for block in blocks if block.strip())
    text = clean_text(raw)
    own = metadata.get("title")
    title = own if isinstance(own, str) and own.strip() else first_heading(text) or file.stem
    known = {"code_language": language, "cells": len(cells)}
    return Loaded(
        (
            Document(
                file.uri,
                title,
                text,
                "application/x-ipynb+json",
                known,
                raw=raw if file.config.keep_raw else None,
            ),
        )
    )


def fenced(text: str, language: str = "") -> str:
    """Put text in a code block whose fence the text can't close."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _cells(notebook: Any) -> Sequence[Any] | None:
    found = _object(notebook)
    if isinstance(found.get("cells"), list):
        cells: list[Any] = found["cells"]
        return cells
    sheets = found.get("worksheets")
    if isinstance(sheets, list):
        nested = [_object(sheet).get("cells") for sheet in sheets]
        return [cell for cells in nested if isinstance(cells, list) for cell in cells]
    return None


def _language(metadata: dict[str, Any]) -> str:
    for section, name in (("language_info", "name"), ("kernelspec", "language")):
        value = _object(metadata.get(section)).get(name)
        if isinstance(value, str) and re.fullmatch(r"[\w+#.-]{1,30}", value):
            return value
    return "python"


def _blocks(cell: dict[str, Any], language: str) -> Iterator[str]:
    source = _text(cell.get("source", cell.get("input")))
    if cell.get("cell_type") == "code":
        if source.strip():
            yield fenced(source.strip("\n"), language)
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            yield _output(_object(output))
    elif cell.get("cell_type") == "heading":
        level = cell.get("level")
        yield f"{'#' * min(max(level, 1), 6) if isinstance(level, int) else '#'} {source}"
    else:
        yield source


def _output(output: dict[str, Any]) -> str:
    data = _object(output.get("data", output))
    if output.get("output_type") in ("error", "pyerr"):
        return fenced(_cut(f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"))
    if "text/markdown" in data:
        return _cut(_text(data["text/markdown"]))
    table = _text(data.get("text/html"))
    if "<table" in table and len(table) <= _MAX_HTML_CHARS:
        return _cut(html_to_markdown(parse_html(table)))
    text = _text(data.get("text/plain", output.get("text")))
    return fenced(_cut(text.strip("\n"))) if text.strip() else ""


def _cut(text: str) -> str:
    text = _COLOURS.sub("", text)
    if len(text) <= _MAX_OUTPUT_CHARS:
        return text
    return text[: text.rfind("\n", 1, _MAX_OUTPUT_CHARS)].rstrip() + "\n..."


def _text(value: Any) -> str:
    """Join text that the format keeps as a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

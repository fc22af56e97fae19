"""What a PDF says of itself: title, author, dates, outline, attachments."""

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.pdf_layout import outline_key
from domainforge.sources.loaded import UnreadableError

if TYPE_CHECKING:
    from pypdf import PdfReader

_NO_TITLE = (".doc", ".docx", ".pdf", ".tex", ".dvi", ".indd", ".ppt", ".pptx", ".xls", ".xlsx",
             ".rtf", ".odt")  # fmt: skip
_MAX_OUTLINE = 5000
_MAX_NAMED = 50
# What pypdf raises on broken files besides its own errors.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class PdfFacts:
    """Facts of a whole PDF.

    Attributes:
        outline: `outline_key` of each title in it, to its depth from 1.
    """

    title: str | None = None
    created: str | None = None
    modified: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    outline: dict[str, int] = field(default_factory=dict)


def pdf_facts(data: bytes) -> PdfFacts:
    """Read the facts that pypdf finds; a file that only PDFium can open has none.

    Raises:
        UnreadableError: It needs a password.
    """
    reader = open_reader(data)
    if reader is None:
        return PdfFacts()
    from pypdf.errors import PyPdfError

    facts: dict[str, Any] = {}
    for name, read in (("info", _info), ("outline", _outline), ("attachments", _attachments)):
        try:
            facts[name] = read(reader)
        except (PyPdfError, *BROKEN):
            facts[name] = {}
    info = facts["info"]
    metadata = {key: info[key] for key in ("author", "subject", "keywords") if info.get(key)}
    if facts["attachments"]:
        metadata["attachments"] = facts["attachments"]
    return PdfFacts(
        info.get("title"), info.get("created"), info.get("modified"), metadata, facts["outline"]
    )


def open_reader(data: bytes) -> "PdfReader | None":
    """Open a PDF with pypdf; None where it can't.

    Raises:
        UnreadableError: It needs a password.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    # pypdf logs every oddity of a file; what matters of it becomes a fault.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(data))
        opened = not reader.is_encrypted or bool(reader.decrypt(""))
    except (PyPdfError, *BROKEN):
        return None
    if not opened:
        raise UnreadableError("encrypted", "needs a password; save a copy without one")
    return reader


def _info(reader: "PdfReader") -> dict[str, str]:
    found = reader.metadata
    if found is None:
        return {}
    title = _plain(found.title)
    if title.lower().strip("()") in {"untitled", "anonymous"} or title.lower().endswith(_NO_TITLE):
        title = ""
    texts = {
        "title": title,
        "author": _plain(found.author),
        "subject": _plain(found.subject),
        "keywords": _plain(found.keywords),
        "created": _date(reader, "creation_date"),
        "modified": _date(reader, "modification_date"),
    }
    return {key: value for key, value in texts.items() if value}


def _plain(value: object) -> str:
    text = " ".join(clean_text(value).split())[:1000] if isinstance(value, str) else ""
    return (
        "" if text.lower() in {"anonymous", "(anonymous)", "unspecified", "(unspecified)"} else text
    )


def _date(reader: "PdfReader", name: str) -> str:
    try:
        value = getattr(reader.metadata, name)
    except BROKEN:
        return ""
    return value.isoformat() if isinstance(value, datetime) else ""


def _outline(reader: "PdfReader") -> dict[str, int]:
    titles: dict[str, int] = {}
    for title, depth in _walk_outline(reader.outline, 1):
        titles.setdefault(outline_key(title), depth)
        if len(titles) >= _MAX_OUTLINE:
            break
    titles.pop("", None)
    return titles


def _walk_outline(items: Any, depth: int) -> Iterator[tuple[str, int]]:
    for item in items:
        if isinstance(item, list):
            yield from _walk_outline(item, depth + 1)
        elif isinstance(item.title, str):
            yield item.title, depth


def _attachments(reader: "PdfReader") -> list[str]:
    names = []
    for embedded in reader.attachment_list:
        names.append(_plain(embedded.name) or "unnamed")
        if len(names) >= _MAX_NAMED:
            break
    return names

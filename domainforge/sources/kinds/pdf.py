"""PDF text by pypdf, with pages joined and what repeats on every page left out."""

import io
import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from pypdf import PdfReader

# Lines at the top and at the bottom of a page that may be its header and footer.
_EDGE_LINES = 2
_MIN_PAGES_TO_COMPARE = 3
_FULL_LINE_SHARE = 0.8
_MIN_FULL_LINE_CHARS = 40
_ITEM = re.compile(r"\s*(?:[-*|\u2022\u25aa\u25e6\u2023\u2013\u2014]|\(?\w{1,3}[.)]\s|#)")
_HYPHENATED = re.compile(r"(\w+)-\n\s*(\w+)")
_NO_TITLE = re.compile(
    r"untitled|\(?anonymous\)?|.*\.(docx?|pdf|tex|dvi|indd|pptx?|xlsx?|rtf|odt)", re.IGNORECASE
)
# What pypdf raises on broken files besides its own errors.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def load_pdf(data: bytes, file: SourceFile) -> Loaded:
    """Read the text layer of a PDF; pages without one are named in the metadata.

    Raises:
        UnreadableError: Encrypted, broken, or scanned (no text on any page).
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    # pypdf logs every oddity of a file; what matters of it becomes a fault.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(data))
        _unlock(reader)
        pages, broken = _page_texts(reader)
        title = _own_title(reader)
    except (PyPdfError, *_BROKEN) as error:
        raise UnreadableError("unreadable", f"no readable PDF: {error}"[:300]) from error
    blank = [number for number, page in enumerate(pages, 1) if not clean_text(page)]
    if len(blank) == len(pages):
        detail = f"no text on any of its {len(pages)} pages: scanned? OCR is not built in"
        raise UnreadableError("no_text", detail)
    metadata: dict[str, Any] = {"pages": len(pages)}
    if blank:
        metadata["pages_without_text"] = blank
    if broken:
        metadata["pages_unreadable"] = broken
    text = join_pages(pages)
    return Loaded((Document(file.uri, title or file.stem, text, "application/pdf", metadata),))


def join_pages(pages: Sequence[str]) -> str:
    """Join page texts: repeated headers and footers out, hyphens and wrapped lines mended."""
    cleaned = [clean_text(page).split("\n") for page in pages]
    return clean_text(_unwrap([line for lines in _without_repeats(cleaned) for line in lines]))


def _unlock(reader: "PdfReader") -> None:
    """Open a PDF that only restricts printing or copying; others stay closed."""
    from pypdf.errors import DependencyError

    if not reader.is_encrypted:
        return
    try:
        opened = bool(reader.decrypt(""))
    except DependencyError:
        detail = "AES-encrypted; `pip install cryptography` reads it if it has no password"
        raise UnreadableError("encrypted", detail) from None
    if not opened:
        raise UnreadableError("encrypted", "needs a password; save a copy without one")


def _page_texts(reader: "PdfReader") -> tuple[list[str], list[int]]:
    """Extract each page; a broken page is blank and its number is returned."""
    from pypdf.errors import PyPdfError

    texts: list[str] = []
    broken: list[int] = []
    first_error: Exception | None = None
    for number, page in enumerate(reader.pages, 1):
        try:
            texts.append(page.extract_text())
        except (PyPdfError, *_BROKEN) as error:
            first_error = first_error or error
            texts.append("")
            broken.append(number)
    if first_error and len(broken) == len(texts):
        raise UnreadableError("unreadable", f"no page can be read: {first_error}"[:300])
    if not texts:
        raise UnreadableError("unreadable", "it has no pages")
    return texts, broken


def _own_title(reader: "PdfReader") -> str | None:
    raw = reader.metadata.title if reader.metadata else None
    title = " ".join(clean_text(raw).split()) if isinstance(raw, str) else ""
    return None if not title or _NO_TITLE.fullmatch(title) else title


def _without_repeats(pages: Sequence[list[str]]) -> list[list[str]]:
    """Leave out edge lines that most pages share; digits count as equal (page numbers)."""
    filled = [[line for line in lines if line.strip()] for lines in pages]
    readable = sum(1 for lines in filled if lines)
    if readable < _MIN_PAGES_TO_COMPARE:
        return filled
    seen = Counter(key for lines in filled for key in set(_edges(lines)))
    repeated = {key for key, count in seen.items() if count >= 3 and count > readable / 2}
    result = []
    for lines in filled:
        edges = _edges(lines)
        drop = {index for key, index in edges.items() if key in repeated}
        result.append([line for index, line in enumerate(lines) if index not in drop])
    # Pages that are nothing but the same lines: then those lines are the document.
    return result if any(result) else filled


def _edges(lines: Sequence[str]) -> dict[tuple[str, str], int]:
    """Map (top or bottom, line with digits masked) to the line's index."""
    top = {("top", _mask(line)): i for i, line in enumerate(lines[:_EDGE_LINES])}
    start = max(len(lines) - _EDGE_LINES, 0)
    bottom = {("bottom", _mask(line)): i for i, line in enumerate(lines[start:], start)}
    return top | bottom


def _mask(line: str) -> str:
    return re.sub(r"\d+", "#", " ".join(line.split()))


def _unwrap(lines: Sequence[str]) -> str:
    """Join lines that were wrapped at the page's width; short lines, lists and tables stay.

    What was joined becomes a paragraph between blank lines. A word cut by a hyphen is joined
    too, unless the document spells it with the hyphen elsewhere.
    """
    full = max(_FULL_LINE_SHARE * _usual_width(lines), _MIN_FULL_LINE_CHARS)
    words = set(re.findall(r"\w+-\w+|\w+", " ".join(lines).lower()))
    result: list[str] = []
    wrapped = joined = False
    for line in lines:
        cut = bool(result and re.search(r"\w-$", result[-1]) and line[:1].isalpha())
        cut = cut and (wrapped or line[:1].islower())
        if cut or (wrapped and not _ITEM.match(line)):
            result[-1] = _join(result[-1], line, cut, words)
            joined = True
        else:
            result += [""] if joined else []
            result.append(line)
            joined = False
        wrapped = len(line) >= full and _is_prose(line)
        if wrapped and not joined and len(result) > 1:
            result.insert(-1, "")
    return "\n".join(result)


def _usual_width(lines: Sequence[str]) -> int:
    """Return the width that half of all characters stand in lines of, or longer ones."""
    widths = sorted(map(len, lines), reverse=True)
    left = sum(widths) / 2
    for width in widths:
        left -= width
        if left <= 0:
            return width
    return 0


def _join(line: str, following: str, cut: bool, words: set[str]) -> str:
    if not cut:
        return f"{line} {following.lstrip()}"
    found = _HYPHENATED.search(f"{line}\n{following}")
    left, right = (found[1], found[2]) if found else ("", "")
    known = f"{left}-{right}".lower() in words and (left + right).lower() not in words
    keep = known or not following[:1].islower()
    return (line if keep else line[:-1]) + following.lstrip()


def _is_prose(line: str) -> bool:
    return sum(char.isalpha() or char == " " for char in line) >= 0.8 * len(line)

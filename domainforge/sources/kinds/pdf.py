"""PDF to Markdown: text and layout by liteparse (PDFium), facts by pypdf, scans by OCR if asked."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.pdf_facts import BROKEN, open_reader, pdf_facts
from domainforge.sources.kinds.pdf_layout import PdfPage, pages_to_markdown
from domainforge.sources.kinds.pdf_page import Piece, Rules
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from liteparse import ParsedPage

_MAX_PAGES = 20_000
_HOW_TO_OCR = "scanned? `ocr: true` in its source reads it by OCR (pip install 'domainforge[ocr]')"
_MAX_PIECES = 50_000
_MAX_RULES = 2_000
_PAGES_AT_A_TIME = 25
_MAX_NOTES = 200
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_MIN_RIGHT_TO_LEFT_SHARE = 0.2


def load_pdf(data: bytes, file: SourceFile) -> Loaded:
    """Read the text of a PDF; pages without any are named in the metadata.

    Raises:
        UnreadableError: Encrypted, broken, or scanned (no text on any page) and no OCR asked for.
    """
    facts = pdf_facts(data)
    pages, total, metadata = _read_pages(data)
    broken = metadata.get("pages_unreadable", ())
    blank = [number for number, page in enumerate(pages, 1) if not page.pieces]
    blank = [number for number in blank if number not in broken]
    if blank and file.config.ocr:
        from domainforge.sources.kinds.pdf_ocr import read_scans

        scans = read_scans(data, blank)
        for number, pieces in scans.items():
            pages[number - 1] = PdfPage(pieces)
        if scans:
            metadata["pages_by_ocr"] = sorted(scans)
        blank = [number for number in blank if number not in scans]
    if len(blank) == len(pages) and not metadata.get("form_fields"):
        more = "OCR found none either" if file.config.ocr else _HOW_TO_OCR
        raise UnreadableError("no_text", f"no text on any of its {len(pages)} pages: {more}")
    metadata = {"pages": len(pages), **facts.metadata, **metadata}
    if blank:
        metadata["pages_without_text"] = blank
    if total > len(pages):
        metadata["pages_claimed"] = total
    text = pages_to_markdown(pages, facts.outline)
    text = f"{text}\n\n{_form(metadata)}".strip()
    document = Document(
        file.uri,
        facts.title or file.stem,
        text,
        "application/pdf",
        metadata,
        created=facts.created,
        modified=facts.modified,
        raw=_raw(pages) if file.config.keep_raw else None,
    )
    return Loaded((document,))


def _raw(pages: Sequence[PdfPage]) -> str:
    """Return every piece of text in the order of the file, page after page."""
    texts = (page.text or "\n".join(piece.text for piece in page.pieces) for page in pages)
    return "\f".join(texts)


def _read_pages(data: bytes) -> tuple[list[PdfPage], int, dict[str, Any]]:
    """Return the pages, how many the file claims, and its annotations and form fields."""
    from liteparse import LiteParse, ParseError

    parser = LiteParse(
        continue_on_page_error=True,
        extract_annotations=True,
        extract_form_fields=True,
        extract_vector_graphics=True,
        image_mode="off",
        keep_headers_footers=True,
        max_pages=_MAX_PAGES,
        num_workers=1,
        ocr_enabled=False,
        output_format="json",
        quiet=True,
    )
    found: dict[int, PdfPage] = {}
    notes: list[str] = []
    links: dict[str, None] = {}
    fields: dict[str, str] = {}
    broken: list[int] = []
    total = 0
    try:
        for batch in parser.parse_batches(data, _PAGES_AT_A_TIME):
            total = batch.total_pages
            for page in batch.result.pages:
                found[page.page_num] = _page(page)
                _take_extras(page, notes, links, fields)
            broken += [error.page_num for error in batch.result.page_errors]
            if batch.result.page_errors and not batch.result.pages:
                break  # A page tree that claims more than there is.
    except ParseError as error:
        if not found:
            raise _fault(str(error)) from error
    if not found:
        raise UnreadableError("unreadable", "it has no pages that can be read")
    pages = [found.get(number, PdfPage()) for number in range(1, max(found) + 1)]
    _mend_right_to_left(data, pages)
    extras = {
        "pages_unreadable": [number for number in broken if number < len(pages)],
        "annotations": notes[:_MAX_NOTES],
        "links": list(links)[:_MAX_NOTES],
        "form_fields": fields,
    }
    return pages, total, {key: value for key, value in extras.items() if value}


def _fault(message: str) -> UnreadableError:
    if "password" in message:
        return UnreadableError("encrypted", "needs a password; save a copy without one")
    return UnreadableError("unreadable", f"no readable PDF: {message}"[:300])


def _page(page: "ParsedPage") -> PdfPage:
    # Pieces that hold nothing but invisible characters are no text.
    pieces = tuple(
        Piece(
            text,
            item.x,
            item.y,
            item.x + item.width,
            item.y + max(item.height, 1.0),
            item.font_size or item.height or 1.0,
            (item.font_weight or 0) >= 600 or bool(_BOLD.search(item.font_name or "")),
        )
        for item in page.text_items[:_MAX_PIECES]
        if (text := _piece_text(item.text))
    )
    return PdfPage(pieces, _rules(page))


def _piece_text(text: str) -> str:
    # U+0002 and U+FFFE: PDFium's sign for a hyphen at the end of a line.
    return " ".join(clean_text(re.sub("[\x02\ufffe]", "-", text)).split())


def _rules(page: "ParsedPage") -> Rules:
    graphics = page.vector_graphics
    if graphics is None:
        return Rules()
    return Rules(
        tuple(
            (line.y1, min(line.x1, line.x2), max(line.x1, line.x2))
            for line in graphics.lines[:_MAX_RULES]
            if abs(line.y1 - line.y2) < 1 < abs(line.x1 - line.x2)
        )
    )


def _take_extras(
    page: "ParsedPage", notes: list[str], links: dict[str, None], fields: dict[str, str]
) -> None:
    for note in page.annotations or ():
        if note.uri:
            links[clean_text(note.uri)] = None
        elif note.contents and note.subtype != "widget":
            author = f" ({clean_text(note.title)})" if note.title else ""
            notes.append(f"page {page.page_num}: {clean_text(note.contents)}{author}")
    for box in page.form_fields or ():
        name = clean_text(box.alternate_name or box.name or "")
        value = "yes" if box.checked else ", ".join(box.selected_options) or box.value or ""
        if name and value and value != "Off":
            fields[name] = clean_text(value)


def _form(metadata: dict[str, Any]) -> str:
    """Write what was filled into the form, field by field."""
    return "\n".join(
        f"- {name}: {value}" for name, value in metadata.get("form_fields", {}).items()
    )


def _mend_right_to_left(data: bytes, pages: list[PdfPage]) -> None:
    """Take pages in Arabic or Hebrew from pypdf: PDFium gives their letters in drawing order."""
    wanted = [index for index, page in enumerate(pages) if _is_right_to_left(page.pieces)]
    reader = open_reader(data) if wanted else None
    if reader is None:
        return
    from pypdf.errors import PyPdfError

    for index in wanted:
        try:
            text = reader.pages[index].extract_text()
        except (PyPdfError, *BROKEN):
            continue
        pages[index] = PdfPage(text=text or None, pieces=pages[index].pieces)


def _is_right_to_left(pieces: Sequence[Piece]) -> bool:
    letters = "".join(piece.text for piece in pieces)
    found = sum(1 for _ in _RIGHT_TO_LEFT.finditer(letters))
    return found > _MIN_RIGHT_TO_LEFT_SHARE * len(letters)

"""Small files of every kind, made by the tests that read them."""

import io
from collections.abc import Sequence
from pathlib import Path

from docx import Document as WordDocument
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from domainforge.sources.config import SourceConfig
from domainforge.sources.loaded import Loaded, SourceFile
from domainforge.sources.wire import pack, unpack, unpack_loaded
from domainforge.sources.worker import read_file

MAX_BYTES = 10_000_000


def load_bytes(folder: Path, name: str, data: bytes, **config: object) -> Loaded:
    """Write a file and read it by its kind."""
    path = folder / name
    path.write_bytes(data)
    source = SourceConfig.model_validate({"files": str(folder), **config})
    return load_file(SourceFile(path, f"kb/{name}", source), MAX_BYTES)


def load_file(file: SourceFile, max_bytes: int) -> Loaded:
    """Read a file as a worker does, in this process, all parts in one."""
    messages = [unpack(pack(message)) for message in read_file(file, 0, max_bytes)]
    parts = [unpack_loaded(m["loaded"]) for m in messages if "loaded" in m]
    return Loaded(
        tuple(document for part in parts for document in part.documents),
        tuple(item for part in parts for item in part.dropped),
        tuple(item for part in parts for item in part.faults),
    )


def make_pdf(pages: Sequence[Sequence[str]], title: str | None = None) -> bytes:
    """Draw lines of text on pages; a page without lines gets a picture of nothing."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    if title:
        canvas.setTitle(title)
    for lines in pages:
        if not lines:
            canvas.rect(100, 100, 200, 200, fill=1)
        for index, line in enumerate(lines):
            canvas.drawString(60, 780 - 16 * index, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def encrypt_pdf(data: bytes, user: str, owner: str) -> bytes:
    """Encrypt a PDF; an empty user password leaves it readable by anyone."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(user, owner, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def make_docx() -> bytes:
    """Make a Word file with a title, headings, lists and a table."""
    word = WordDocument()
    word.add_heading("Ferry rules", level=0)
    word.add_heading("Fares", level=1)
    word.add_paragraph("A crossing costs 2.50 crowns.")
    word.add_paragraph("Children travel free.", style="List Bullet")
    word.add_paragraph("Dogs pay half.", style="List Bullet")
    word.add_heading("Hours", level=2)
    table = word.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("Day", "Last ferry", "Sunday", "18:40"), strict=True):
        cell.text = text
    buffer = io.BytesIO()
    word.save(buffer)
    return buffer.getvalue()

"""Word documents, through mammoth's HTML to Markdown."""

import io
import struct
import zlib
from typing import Any
from xml.parsers.expat import ExpatError
from zipfile import BadZipFile, ZipFile

from domainforge.records import Document
from domainforge.sources.cleaning import first_heading
from domainforge.sources.kinds.html import html_to_markdown, parse_html
from domainforge.sources.loaded import Loaded, SourceFile, UnreadableError

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_MAX_UNPACKED_BYTES = 1 << 30
# What mammoth, zipfile and expat raise on broken files; none of them has one error class.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    BadZipFile,
    EOFError,
    ExpatError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def load_docx(data: bytes, file: SourceFile) -> Loaded:
    """Read a .docx file; headings, lists, tables and links survive, comments do not."""
    import mammoth

    if data.startswith(b"\xd0\xcf\x11\xe0"):
        detail = "protected by a password, or an old .doc; save it as a plain .docx"
        raise UnreadableError("encrypted", detail)
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MAX_UNPACKED_BYTES:
            raise UnreadableError("too_large", f"unpacks to {unpacked:,} bytes")
        result = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map=_STYLES,
            convert_image=mammoth.images.img_element(_without_pixels),
        )
        text = html_to_markdown(parse_html(result.value))
    except _BROKEN as error:
        raise UnreadableError("unreadable", f"no readable .docx: {error}"[:300]) from error
    return Loaded((Document(file.uri, first_heading(text) or file.stem, text, MEDIA_TYPE),))


def _without_pixels(image: Any) -> dict[str, str]:
    """Stand for an embedded image; its alternative text is kept by mammoth."""
    return {"src": f"data:{image.content_type};base64,"}

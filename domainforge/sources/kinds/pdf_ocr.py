"""Scanned pages of a PDF by OCR: RapidOCR, whose models travel in its package."""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any

from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.pdf_page import Piece
from domainforge.sources.loaded import UnreadableError

INSTALL = "pip install 'domainforge[ocr]'"
_DPI = 200
_GLANCE_DPI = 18
# A3 at 200 dpi. Twice as many take more memory than a worker has; whoever saves a photograph as a
# PDF makes a page of a point a pixel, far larger than paper.
_MOST_PIXELS = 8_000_000
_MIN_SCORE = 0.6
# Lines up to this much higher than the usual one are set in the same size: the boxes of scanned
# lines differ by their letters.
_LARGER = 1.4


def read_scans(data: bytes, pages: Sequence[int]) -> dict[int, tuple[Piece, ...]]:
    """Read pages by OCR, one after the other; pages where it finds nothing are not in the result.

    Raises:
        UnreadableError: The extra `ocr` is not installed.
    """
    if find_spec("rapidocr") is None or find_spec("onnxruntime") is None:
        raise UnreadableError("no_ocr", f"`ocr: true` needs {INSTALL}")
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "critical"})
    found: dict[int, tuple[Piece, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.pdf"
        path.write_bytes(data)
        for number in pages:
            dpi = dpi_of_page(path, number)
            image = _picture(path, number, dpi)
            pieces = _pieces(engine(image.image_bytes), 72 / dpi) if image else ()
            if pieces:
                found[number] = pieces
    return found


def dpi_of_page(path: Path, number: int) -> float:
    """Return how finely to draw a page, by its size on a tiny picture of it."""
    glance = _picture(path, number, _GLANCE_DPI)
    if glance is None:
        return _DPI
    finest = _GLANCE_DPI * sqrt(_MOST_PIXELS / (glance.width * glance.height))
    return min(_DPI, finest)


def _picture(path: Path, number: int, dpi: float) -> Any:
    from liteparse import LiteParse, ParseError

    parser = LiteParse(ocr_enabled=False, quiet=True, dpi=dpi, num_workers=1)
    try:
        shots = parser.screenshot(path, page_numbers=[number])
    except ParseError:
        return None
    return shots[0] if shots and not shots[0].is_solid_fill else None


def _pieces(result: Any, points: float) -> tuple[Piece, ...]:
    if result.boxes is None:
        return ()
    heights = [float(box[:, 1].max() - box[:, 1].min()) * points for box in result.boxes]
    usual = median(heights)
    pieces = []
    for box, text, score, height in zip(
        result.boxes, result.txts, result.scores, heights, strict=True
    ):
        text = " ".join(clean_text(text).split())
        if score < _MIN_SCORE or not text:
            continue
        left, top = float(box[:, 0].min()) * points, float(box[:, 1].min()) * points
        right = float(box[:, 0].max()) * points
        size = usual if height < _LARGER * usual else height
        pieces.append(Piece(text, left, top, right, top + height, size))
    return tuple(pieces)

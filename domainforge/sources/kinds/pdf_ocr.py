"""Scanned pages of a PDF by OCR: RapidOCR, whose models travel in its package."""

import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from domainforge.sources.cleaning import clean_text
from domainforge.sources.kinds.pdf_page import Piece
from domainforge.sources.loaded import UnreadableError

INSTALL = "pip install 'domainforge[ocr]'"
_DPI = 200
_POINTS = 72 / _DPI
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
            image = _picture(path, number)
            pieces = _pieces(engine(image)) if image else ()
            if pieces:
                found[number] = pieces
    return found


def _picture(path: Path, number: int) -> bytes | None:
    from liteparse import LiteParse, ParseError

    parser = LiteParse(ocr_enabled=False, quiet=True, dpi=_DPI, num_workers=1)
    try:
        shots = parser.screenshot(path, page_numbers=[number])
    except ParseError:
        return None
    return shots[0].image_bytes if shots and not shots[0].is_solid_fill else None


def _pieces(result: Any) -> tuple[Piece, ...]:
    if result.boxes is None:
        return ()
    heights = [float(box[:, 1].max() - box[:, 1].min()) * _POINTS for box in result.boxes]
    usual = median(heights)
    pieces = []
    for box, text, score, height in zip(
        result.boxes, result.txts, result.scores, heights, strict=True
    ):
        text = " ".join(clean_text(text).split())
        if score < _MIN_SCORE or not text:
            continue
        left, top = float(box[:, 0].min()) * _POINTS, float(box[:, 1].min()) * _POINTS
        right = float(box[:, 0].max()) * _POINTS
        size = usual if height < _LARGER * usual else height
        pieces.append(Piece(text, left, top, right, top + height, size))
    return tuple(pieces)

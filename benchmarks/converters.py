"""Claim: our loaders keep more of a file than the converters they were weighed with.

Reads every PDF, HTML, office file and e-book below a folder with each converter that is installed,
in turn, and prints megabytes a second on one core and how much came out as it should be:

- words: share of the words of `expected_outputs/NAME.md` that come out, in order
- rows: share of the table rows there whose filled cells come out as one Markdown table row
- vectors: share of the strings of `rows.jsonl` that are in or out as they should be

    python benchmarks/converters.py FOLDER [--vectors rows.jsonl]
    python benchmarks/converters.py FOLDER --quick    # one pass instead of three
    python benchmarks/office_converters.py FOLDER     # writes office files to read
"""

import argparse
import difflib
import io
import json
import logging
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from domainforge.sources.config import SourceConfig
from domainforge.sources.kinds.html import load_html
from domainforge.sources.kinds.known import kind_of
from domainforge.sources.kinds.pdf import load_pdf
from domainforge.sources.kinds.web_page import load_web_page
from domainforge.sources.loaded import Load, SourceFile

Convert = Callable[[bytes], str]


def ours(load: Load) -> Convert:
    """Convert by one of our loaders."""
    config = SourceConfig.model_validate({"files": "."})
    file = SourceFile(Path("x"), "x", config)
    return lambda data: "\n".join(document.text for document in load(data, file).documents)


def pypdf(data: bytes) -> str:
    """Plain text by pypdf."""
    import pypdf

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages)


def pypdfium2(data: bytes) -> str:
    """Plain text by PDFium."""
    import pypdfium2

    return "\n".join(p.get_textpage().get_text_range() for p in pypdfium2.PdfDocument(data))


def pdfplumber(data: bytes) -> str:
    """Plain text by pdfplumber."""
    import pdfplumber

    return "\n".join(page.extract_text() for page in pdfplumber.open(io.BytesIO(data)).pages)


def pdf_oxide(data: bytes) -> str:
    """Markdown by pdf_oxide."""
    import pdf_oxide

    return str(pdf_oxide.PdfDocument.from_bytes(data).to_markdown_all())


def liteparse(data: bytes) -> str:
    """Markdown by liteparse's own layout."""
    import liteparse

    parser = liteparse.LiteParse(
        ocr_enabled=False, output_format="markdown", quiet=True, num_workers=1
    )
    return "\n".join(page.markdown for page in parser.parse(data).pages)


def pymupdf4llm(data: bytes) -> str:
    """Markdown by PyMuPDF4LLM (AGPL: to compare with only)."""
    import pymupdf
    import pymupdf4llm

    return str(pymupdf4llm.to_markdown(pymupdf.open(stream=data, filetype="pdf"), use_ocr=False))


def markitdown(ending: str) -> Convert:
    """Markdown by markitdown."""
    import markitdown

    engine = markitdown.MarkItDown()
    return lambda data: engine.convert_stream(io.BytesIO(data), file_extension=ending).text_content


def trafilatura(data: bytes) -> str:
    """Markdown by trafilatura."""
    import trafilatura

    options = {"include_tables": True, "include_links": True, "include_formatting": True}
    return trafilatura.extract(data, output_format="markdown", favor_recall=True, **options) or ""


def readability(data: bytes) -> str:
    """readability-lxml's choice as Markdown."""
    import readability
    from markdownify import markdownify

    summary = readability.Document(data.decode(errors="replace")).summary()
    return str(markdownify(summary, heading_style="ATX"))


def resiliparse(data: bytes) -> str:
    """Plain text by Resiliparse."""
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(data.decode(errors="replace"), main_content=True))


CONVERTERS: dict[str, dict[str, Callable[[], Convert]]] = {
    ".pdf": {
        "domainforge": lambda: ours(load_pdf),
        "pypdf": lambda: pypdf,
        "pypdfium2": lambda: pypdfium2,
        "pdfplumber": lambda: pdfplumber,
        "pdf_oxide": lambda: pdf_oxide,
        "liteparse": lambda: liteparse,
        "pymupdf4llm": lambda: pymupdf4llm,
        "markitdown": lambda: markitdown(".pdf"),
    },
    ".html": {
        "domainforge": lambda: ours(load_html),
        "domainforge, web page": lambda: ours(load_web_page),
        "trafilatura": lambda: trafilatura,
        "readability-lxml": lambda: readability,
        "resiliparse": lambda: resiliparse,
        "markitdown": lambda: markitdown(".html"),
    },
}


def office_converters() -> dict[str, dict[str, Callable[[], Convert]]]:
    """Return ours, the rivals and markitdown for each kind of office file."""
    from office_converters import RIVALS

    found: dict[str, dict[str, Callable[[], Convert]]] = {}
    for ending, rivals in RIVALS.items():
        kind = kind_of(f"x{ending}")
        assert kind is not None
        assert kind.load is not None
        found[ending] = {
            "domainforge": partial(ours, kind.load),
            **{name: partial(_same, convert) for name, convert in rivals.items()},
            "markitdown": partial(markitdown, ending),
        }
    return found


def _same(convert: Convert) -> Convert:
    return convert


def words_found(text: str, expected: str) -> tuple[int, int]:
    """Count expected words that come out in the expected order."""
    wanted, got = (str(t).replace("|", " ").split() for t in (expected, text))
    wanted = [word for word in wanted if word.strip("-")]
    matcher = difflib.SequenceMatcher(None, wanted, got, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()), len(wanted)


def rows_found(text: str, expected: str) -> tuple[int, int]:
    """Count expected table rows whose filled cells are one row of the result."""
    wanted = [cells for line in expected.splitlines() if len(cells := filled_cells(line)) > 1]
    got = {cells for line in text.splitlines() if (cells := filled_cells(line))}
    return sum(cells in got for cells in wanted), len(wanted)


def filled_cells(line: str) -> tuple[str, ...]:
    """Return the cells of a table row that hold something."""
    if not line.startswith("|") or not set(line) - set("|-: "):
        return ()
    return tuple(cell for cell in map(str.strip, line.strip("|").split("|")) if cell)


def vectors_held(text: str, vectors: dict[str, Any]) -> tuple[int, int]:
    """Count strings that are in or out as they should be."""
    wanted, unwanted = vectors["must_include"], vectors["must_not_include"]
    held = sum(string in text for string in wanted) + sum(s not in text for s in unwanted)
    return held, len(wanted) + len(unwanted)


def measure(
    convert: Convert, files: list[Path], vectors: dict[str, Any], passes: int
) -> dict[str, Any]:
    """Read all files and return speed, failures and shares."""
    counts = {name: [0, 0] for name in ("words", "rows", "vectors")}
    seconds, failed, size = [0.0] * passes, 0, 0
    for file in files:
        data = file.read_bytes()
        size += len(data)
        text = ""
        for number in range(passes):
            start = time.process_time()
            try:
                text = convert(data)
            except Exception:  # A rival may raise anything; it counts as no text.
                failed += number == 0
                text = ""
            seconds[number] += time.process_time() - start
        expected = file.parent / "expected_outputs" / f"{file.stem}.md"
        if expected.exists():
            wanted = expected.read_text(encoding="utf-8")
            tally(counts["words"], words_found(text, wanted))
            tally(counts["rows"], rows_found(text, wanted))
        if file.name in vectors:
            tally(counts["vectors"], vectors_held(text, vectors[file.name]))
    shares = {name: got / of if of else None for name, (got, of) in counts.items()}
    return {"mb_per_s": size / 1e6 / sorted(seconds)[passes // 2], "failed": failed, **shares}


def tally(count: list[int], new: tuple[int, int]) -> None:
    """Add a count and what it is of."""
    count[0] += new[0]
    count[1] += new[1]


def main() -> None:
    """Measure what is installed."""
    from runs import print_table

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    vectors: dict[str, Any] = {}
    if options.vectors:
        for line in options.vectors.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            vectors.setdefault(row["id"], row)
    results: dict[str, dict[str, Any]] = {}
    for ending, converters in (CONVERTERS | office_converters()).items():
        files = sorted(options.folder.rglob(f"*{ending}"))
        if not files:
            continue
        rows = []
        for name, make in converters.items():
            try:
                convert = make()
                convert(files[0].read_bytes())
            except ImportError:
                continue
            except Exception:  # The first file only warms up.
                pass
            result = measure(convert, files, vectors, 1 if options.quick else 3)
            results[f"{ending[1:]} {name}"] = result
            rows.append([name, *(shown(value) for value in result.values())])
        print_table([ending[1:], "MB/s", "failed", "words", "rows", "vectors"], rows)
    print(json.dumps({"converters": results}))


def shown(value: float | None) -> str:
    """Write a figure for the table."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


if __name__ == "__main__":
    main()

"""Files of every kind for the ingest benchmark, made from the pages in `data/`; no two alike."""

import csv
import io
import json
import random
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from itertools import accumulate
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"
_MADE_WORDS = 30_000
_MADE_SHARE = 0.1
_FILE_CHARS = 40_000
_ROW_CHARS = 2_000


class Prose:
    """Sentences of the pages' words, and of words that are spelled like theirs.

    The made words are what every real text has: rare ones, which no tokenizer has in its cache.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        pages = [path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*/*.md"))]
        counted = Counter(re.findall(r"[A-Za-z'\u2019-]+|\d+", " ".join(pages)))
        self._words = list(counted)
        weights = [float(counted[word]) for word in self._words]
        spelling = _spelling(self._words)
        share = sum(weights) * _MADE_SHARE / _MADE_WORDS
        for _ in range(_MADE_WORDS):
            self._words.append(self._spell(spelling))
            weights.append(share)
        self._weights = list(accumulate(weights))

    def words(self, count: int) -> str:
        """Return words without an end."""
        return " ".join(self._random.choices(self._words, cum_weights=self._weights, k=count))

    def sentence(self) -> str:
        """Return 6 to 24 words that begin large and end with a full stop."""
        text = self.words(self._random.randint(6, 24))
        return f"{text[:1].upper()}{text[1:]}."

    def paragraph(self) -> str:
        """Return two to eight sentences."""
        return " ".join(self.sentence() for _ in range(self._random.randint(2, 8)))

    def page(self, chars: int) -> str:
        """Return Markdown with headings, lists, tables and code, of about that size."""
        parts, size = [f"# {self.words(4)}"], 0
        while size < chars:
            part = self._random.choices(
                [self.paragraph, self._heading, self._list, self._table, self._code],
                weights=[70, 12, 8, 6, 4],
            )[0]()
            parts.append(part)
            size += len(part) + 2
        return "\n\n".join(parts)

    def _heading(self) -> str:
        return f"{'#' * self._random.randint(2, 4)} {self.words(3)}"

    def _list(self) -> str:
        return "\n".join(f"- {self.sentence()}" for _ in range(5))

    def _table(self) -> str:
        rows = [f"| {self.words(2)} | {self.words(1)} | {self.words(3)} |" for _ in range(6)]
        return "\n".join([rows[0], "|---|---|---|", *rows[1:]])

    def _code(self) -> str:
        lines = "\n".join(f"{self.words(1)} = load({self.words(1)!r})" for _ in range(5))
        return f"```python\n{lines}\n```"

    def _spell(self, spelling: dict[str, list[str]]) -> str:
        word = ""
        while len(word) < 14:
            following = self._random.choice(spelling[word[-2:]])
            if not following:
                break
            word += following
        return word


def _spelling(words: list[str]) -> dict[str, list[str]]:
    """Note which letter follows which two; an empty one ends a word."""
    following = defaultdict(list)
    for word in (w.lower() for w in words if w.isalpha()):
        for index in range(len(word) + 1):
            following[word[max(index - 2, 0) : index]].append(word[index : index + 1])
    return following


def write_kind(folder: Path, kind: str, megabytes: float, prose: Prose) -> int:
    """Fill a folder with files of one kind that hold so much text; returns the characters."""
    folder.mkdir(parents=True)
    total = 0
    while total < megabytes * 1_000_000:
        page = prose.page(_FILE_CHARS)
        path = folder / f"{total:010d}.{kind}"
        total += len(page)
        WRITERS[kind](path, page)
    return total


def write_mixed(folder: Path, megabytes: float, prose: Prose) -> None:
    """Fill a folder with txt, md, html, jsonl and csv, a fifth each.

    Paragraphs come from a pool, so that a gigabyte takes a minute; each file orders them anew.
    """
    pool = [prose.page(3_000) for _ in range(min(2_000, int(megabytes * 100) + 20))]
    chooser = random.Random(megabytes)
    kinds = ["txt", "md", "html", "jsonl", "csv"]
    for kind in kinds:
        place = folder / kind
        place.mkdir(parents=True)
        # Rows come in large files, pages in small ones.
        chars = 10_000_000 if kind in ("jsonl", "csv") else 100_000
        chars = min(chars, int(megabytes * 1_000_000 / len(kinds)))
        for index in range(round(megabytes * 1_000_000 / len(kinds) / chars)):
            parts = chooser.choices(pool, k=max(1, chars // 3_000))
            WRITERS[kind](place / f"{index:06d}.{kind}", "\n\n".join([f"# Page {index}", *parts]))


def texts(prose: Prose, megabytes: float) -> Iterator[str]:
    """Yield pages of 20,000 characters."""
    total = 0
    while total < megabytes * 1_000_000:
        page = prose.page(20_000)
        total += len(page)
        yield page


def _rows(page: str) -> Iterator[tuple[str, str]]:
    for index, start in enumerate(range(0, len(page), _ROW_CHARS)):
        yield f"Row {index}", page[start : start + _ROW_CHARS]


def _html(page: str) -> str:
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark").enable("table").render(page)
    menu = "<nav><ul><li><a href='/'>Home</a></li><li><a href='/all'>All</a></li></ul></nav>"
    title = page[2 : page.index("\n")]
    return (
        f"<!DOCTYPE html><html><head><meta charset='utf-8'><title>{title}</title></head>"
        f"<body>{menu}<main>{body}</main><footer>Imprint</footer></body></html>"
    )


def _write_text(path: Path, page: str) -> None:
    path.write_text(page, encoding="utf-8")


def _write_html(path: Path, page: str) -> None:
    path.write_text(_html(page), encoding="utf-8")


def _write_csv(path: Path, page: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["title", "text"])
        writer.writerows(_rows(page))


def _write_jsonl(path: Path, page: str) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for title, text in _rows(page):
            handle.write(json.dumps({"title": title, "text": text}) + "\n")


def _write_eml(path: Path, page: str) -> None:
    message = EmailMessage()
    message["Subject"], message["From"] = page[2 : page.index("\n")], "office@ferry.example"
    message["To"], message["Date"] = "crew@ferry.example", "Mon, 02 Mar 2026 08:00:00 +0000"
    message.set_content(page)
    message.add_alternative(_html(page), subtype="html")
    path.write_bytes(bytes(message))


def _write_ipynb(path: Path, page: str) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": text, "id": f"cell-{index}"}
        for index, (_, text) in enumerate(_rows(page))
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook), encoding="utf-8")


def _write_zip(path: Path, page: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, start in enumerate(range(0, len(page), 10_000)):
            archive.writestr(f"{index}.md", f"# Part {index}\n\n{page[start : start + 10_000]}")


def _write_epub(path: Path, page: str) -> None:
    container = (
        '<?xml version="1.0"?><container version="1.0" '
        'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        'full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Book</dc:title>'
        '</metadata><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
        '</manifest><spine><itemref idref="a"/></spine></package>'
    )
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark").enable("table").render(page)
    chapter = (
        '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>A</title>'
        f"</head><body>{body}</body></html>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("book.opf", package)
        archive.writestr("a.xhtml", chapter)


def _write_docx(path: Path, page: str) -> None:
    from docx import Document

    document = Document()
    for part in page.split("\n\n"):
        if part.startswith("#"):
            document.add_heading(part.lstrip("# "), min(part.count("#"), 4))
        else:
            document.add_paragraph(part)
    document.save(str(path))


def _write_pptx(path: Path, page: str) -> None:
    from pptx import Presentation

    deck = Presentation()
    for title, text in _rows(page):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    deck.save(str(path))


def _write_xlsx(path: Path, page: str) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Rows")
    sheet.append(["title", "text", "number"])
    for index, sentence in enumerate(re.split(r"(?<=\.)\s", page)):
        sheet.append([f"Row {index}", sentence, index])
    book.save(path)


def _write_pdf(path: Path, page: str) -> None:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Flowable, Paragraph, Preformatted, SimpleDocTemplate

    styles = getSampleStyleSheet()
    flow: list[Flowable] = []
    for part in page.split("\n\n"):
        if part.startswith("#"):
            flow.append(Paragraph(part.lstrip("# "), styles["Heading2"]))
        elif part[0] in "|`-":
            flow.append(Preformatted(part, styles["Code"]))
        else:
            flow.append(Paragraph(part, styles["BodyText"]))
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, invariant=True).build(flow)
    path.write_bytes(buffer.getvalue())


WRITERS: dict[str, Callable[[Path, str], None]] = {
    "txt": _write_text,
    "md": _write_text,
    "html": _write_html,
    "pdf": _write_pdf,
    "docx": _write_docx,
    "pptx": _write_pptx,
    "xlsx": _write_xlsx,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "eml": _write_eml,
    "ipynb": _write_ipynb,
    "epub": _write_epub,
    "zip": _write_zip,
}

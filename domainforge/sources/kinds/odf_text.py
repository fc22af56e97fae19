"""The flowing text of OpenDocument files to Markdown: headings, lists, tables, notes, links."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from domainforge.sources.kinds.odf_cells import GridBudget, table_rows
from domainforge.sources.kinds.office import Package
from domainforge.sources.kinds.tables import markdown_table
from domainforge.sources.loaded import UnreadableError

if TYPE_CHECKING:
    from lxml.etree import _Element

_NAMES = "urn:oasis:names:tc:opendocument:xmlns:"
_OFFICE = f"{{{_NAMES}office:1.0}}"
_STYLE = f"{{{_NAMES}style:1.0}}"
_TEXT = f"{{{_NAMES}text:1.0}}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_HIGHEST_HEADING = 6
_DEEPEST = 60
# Written by the program from what stands elsewhere, deleted, or no text of the document.
_LEFT_OUT = frozenset(
    (
        *("tracked-changes", "table-of-content", "illustration-index", "table-index"),
        *("object-index", "alphabetical-index", "bibliography", "user-index", "forms"),
        *("sequence-decls", "variable-decls", "user-field-decls", "page-thumbnail", "scripts"),
        *("footer", "header", "date-time", "page-number", "slide-number", "event-listeners"),
    )
)
_SAFE_LINK = re.compile(r"(?:https?://|mailto:|ftp://)[^\s()<>]+")


class OdfWriter:
    """Writes elements as blocks of Markdown, and keeps notes and comments for the end."""

    def __init__(self, package: Package, trees: Sequence["_Element"]) -> None:
        self._package = package
        self._numbered = _numbered_levels(trees)
        self._parents = {
            style.get(f"{_STYLE}name", ""): style.get(f"{_STYLE}parent-style-name", "")
            for tree in trees
            for style in tree.iter(f"{_STYLE}style")
        }
        self._notes: list[str] = []
        self._comments: list[str] = []
        self._budget = GridBudget()

    def blocks(self, parent: "_Element", depth: int = 0) -> list[str]:
        """Return the blocks in an element.

        Raises:
            UnreadableError: Nested too deeply.
        """
        if depth > _DEEPEST:
            raise UnreadableError("unreadable", "its elements are nested too deeply")
        return [block for child in parent for block in self.blocks_of(child, depth)]

    def blocks_of(self, element: "_Element", depth: int = 0) -> list[str]:
        """Return the blocks of an element itself."""
        name = local_name(element)
        if not name or name in _LEFT_OUT:
            return []
        if name == "h":
            level = element.get(f"{_TEXT}outline-level", "1")
            text = self._inline(element, depth)
            number = min(int(level), _HIGHEST_HEADING) if re.fullmatch("[1-9]", level) else 1
            return [f"{'#' * number} {text}"] if text else []
        if name == "p":
            return self._paragraph(element, depth)
        if name == "list":
            return ["\n".join(self._list(element, depth, 1, ""))]
        if name == "table":
            rows = [row for row in table_rows(element, self._budget) if row]
            return [markdown_table(rows)]
        if name == "frame":
            return self._frame(element, depth)
        return self.blocks(element, depth + 1)

    def endings(self) -> Iterator[str]:
        """Yield what goes below the text: footnotes, then reviewers' comments."""
        for number, note in enumerate(self._notes, 1):
            yield f"[^{number}]: {note}"
        if self._comments:
            yield "Comments:"
            yield "\n".join(f"* {comment}" for comment in self._comments)

    def _paragraph(self, element: "_Element", depth: int) -> list[str]:
        text = self._inline(element, depth)
        style = element.get(f"{_TEXT}style-name", "")
        for _ in range(10):
            if style == "Title" and text:
                return [f"# {text}"]
            style = self._parents.get(style, "")
        frames = (frame for frame in element.iter("{*}frame") if _owner(frame) is element)
        # A frame in a paragraph is a block of its own: a text box can hold anything.
        boxes = [block for frame in frames for block in self._frame(frame, depth + 1)]
        return [text, *boxes] if text else boxes

    def _list(self, element: "_Element", depth: int, level: int, style: str) -> Iterator[str]:
        style = element.get(f"{_TEXT}style-name", style)
        if depth > _DEEPEST:
            raise UnreadableError("unreadable", "its elements are nested too deeply")
        indent = "    " * (level - 1)
        number = 0
        for item in element:
            if local_name(item) not in ("list-item", "list-header"):
                continue
            number += 1
            mark = f"{number}." if (style, level) in self._numbered else "*"
            first = True
            for child in item:
                if local_name(child) == "list":
                    yield from self._list(child, depth + 1, level + 1, style)
                    continue
                for block in self.blocks_of(child, depth + 1):
                    text = " ".join(block.split()) if "\n| " not in block else block
                    yield f"{indent}{mark} {text}" if first else f"{indent}    {text}"
                    first = False

    def _frame(self, frame: "_Element", depth: int) -> list[str]:
        words = " ".join(
            " ".join((child.text or "").split())
            for child in frame
            if local_name(child) in ("title", "desc")
        ).strip()
        for child in frame:
            name = local_name(child)
            if name == "object":
                return self._object(child) or ([f"![{words}](object)"] if words else [])
            if name == "image" and words:
                file = re.sub(r"[^\w.-]", "", (child.get(_HREF) or "").rpartition("/")[2][:100])
                words = words.replace("[", "(").replace("]", ")")
                return [f"![{words}]({file or 'picture'})"]
        return self.blocks(frame, depth + 1)

    def _object(self, element: "_Element") -> list[str]:
        """Read an embedded formula by the words that its author typed (StarMath)."""
        name = (element.get(_HREF) or "").removeprefix("./") + "/content.xml"
        if name not in self._package:
            return []
        for note in self._package.xml(name).iter("{*}annotation"):
            if note.text and "StarMath" in (note.get("encoding") or ""):
                return [f"`{' '.join(note.text.split()).replace('`', '')}`"]
        return []

    def _inline(self, element: "_Element", depth: int) -> str:
        return " ".join("".join(self._pieces(element, depth + 1)).split())

    def _pieces(self, element: "_Element", depth: int) -> Iterator[str]:
        if depth > _DEEPEST:
            raise UnreadableError("unreadable", "its elements are nested too deeply")
        yield element.text or ""
        for child in element:
            yield from self._piece(child, depth)
            yield child.tail or ""

    def _piece(self, child: "_Element", depth: int) -> Iterable[str]:
        name = local_name(child)
        make: Callable[[], Iterable[str]] | None = {
            "s": lambda: " ",
            "tab": lambda: " ",
            "line-break": lambda: " ",
            "note": lambda: self._note(child, depth),
            "annotation": lambda: self._annotation(child, depth),
            "a": lambda: self._link(child, depth),
        }.get(name)
        if make is not None:
            return make()
        if not name or name in _LEFT_OUT or name in ("frame", "ruby-text", "annotation-end"):
            return ()
        return self._pieces(child, depth + 1)

    def _note(self, element: "_Element", depth: int) -> Iterable[str]:
        body = element.find(f"{_TEXT}note-body")
        if body is None:
            return ()
        place = len(self._notes)
        self._notes.append("")  # its own place, since a note can hold notes
        self._notes[place] = " ".join(" ".join(self.blocks(body, depth + 1)).split())
        return f"[^{place + 1}]"

    def _annotation(self, element: "_Element", depth: int) -> Iterable[str]:
        paragraphs = (e for e in element if local_name(e) in ("p", "list"))
        texts = (block for p in paragraphs for block in self.blocks_of(p, depth + 1))
        comment = " ".join(" ".join(texts).split())
        if comment:
            self._comments.append(comment)
        return ()

    def _link(self, element: "_Element", depth: int) -> Iterable[str]:
        text = self._inline(element, depth)
        address = element.get(_HREF) or ""
        return f"[{text}]({address})" if text and _SAFE_LINK.fullmatch(address) else text


def local_name(element: "_Element") -> str:
    """Return an element's name without its namespace; comments have none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _owner(frame: "_Element") -> "_Element | None":
    """Return the paragraph that a frame stands in, unless it is within another frame or note."""
    for parent in frame.iterancestors():
        if local_name(parent) in ("p", "h", "frame", "note", "annotation"):
            return parent
    return None


def _numbered_levels(trees: Sequence["_Element"]) -> set[tuple[str, int]]:
    found = set()
    for tree in trees:
        for style in tree.iter(f"{_TEXT}list-style"):
            for level in style.iter(f"{_TEXT}list-level-style-number"):
                number = level.get(f"{_TEXT}level", "1")
                if re.fullmatch("[0-9]{1,2}", number):
                    found.add((style.get(f"{_STYLE}name", ""), int(number)))
    return found

"""OpenDocument texts, presentations and spreadsheets, read from their one XML tree."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.kinds.odf_cells import GridBudget, table_rows
from domainforge.sources.kinds.odf_text import OdfWriter, local_name
from domainforge.sources.kinds.office import Package, Properties, open_package, properties_of
from domainforge.sources.kinds.xlsx import join_blocks, parts_of, sheet_blocks
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError

if TYPE_CHECKING:
    from lxml.etree import _Element

_MEDIA_TYPE = "application/vnd.oasis.opendocument."
_ENDINGS = {"text": ".odt", "spreadsheet": ".ods", "presentation": ".odp"}
_HIDDEN = ("hidden", "false", "collapse")


def load_odt(data: bytes, file: SourceFile) -> Loaded:
    """Read a text document; headings, lists, tables, notes, links and comments survive.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    _, content, writer, properties = _open(data, "text")
    body = writer.blocks(content)
    raw = "\n\n".join([*body, *writer.endings()])
    text = clean_text(raw)
    own = first_heading(text)
    title = own if text.startswith("# ") else properties.title or own
    return Loaded((_document(file, title, raw, "text", properties),))


def load_odp(data: bytes, file: SourceFile) -> Loaded:
    """Read the slides of a presentation in order, each under its title.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    _, content, writer, properties = _open(data, "presentation")
    hidden_styles = _hidden_styles(content)
    parts: list[str] = []
    titles: list[str] = []
    dropped: list[LeftOut] = []
    pages = [page for page in content if local_name(page) == "page"]
    for number, page in enumerate(pages, 1):
        if _attribute(page, "style-name") in hidden_styles:
            dropped.append(LeftOut(f"{file.uri}#slide-{number}", "hidden", "a hidden slide"))
            continue
        heading, blocks = _slide(page, writer)
        titles += [heading] if heading else []
        parts += [f"## {heading or f'Slide {number}'}", *blocks]
    text = "\n\n".join([*parts, *writer.endings()])
    title = properties.title or clean_text(next(iter(titles), ""))
    return Loaded((_document(file, title, text, "presentation", properties),), tuple(dropped))


def load_ods(data: bytes, file: SourceFile) -> Loaded:
    """Read the sheets that a spreadsheet shows: values, not formulas; dates in ISO 8601.

    Raises:
        UnreadableError: Broken, encrypted, dangerous, or of another kind.
    """
    root, content, _, properties = _open(data, "spreadsheet")
    hidden_styles = _hidden_styles(root)
    sheets = [table for table in content if local_name(table) == "table"]
    shown = [s for s in sheets if _attribute(s, "style-name") not in hidden_styles] or sheets
    budget = GridBudget()
    blocks = (
        (_attribute(sheet, "name") or "Sheet", block)
        for sheet in shown
        for block in sheet_blocks(table_rows(sheet, budget))
    )
    texts = list(join_blocks(blocks))
    dropped = [
        LeftOut(f"{file.uri}#{_attribute(sheet, 'name')}", "hidden", "a hidden sheet")
        for sheet in sheets
        if sheet not in shown
    ]
    detail = "it repeats more cells than can be read; the rest of it is left out"
    faults = (LeftOut(f"{file.uri}#cells", "too_large", detail),) if budget.spent else ()
    whole = _document(file, properties.title, "", "spreadsheet", properties)
    return Loaded(parts_of(whole, texts, file), tuple(dropped), faults)


def _open(data: bytes, kind: str) -> tuple["_Element", "_Element", OdfWriter, Properties]:
    """Return the tree, the element that holds the content, a writer for it, and the properties."""
    package = open_package(data, _ENDINGS[kind], "content.xml")
    root = package.xml("content.xml")
    content = next((e for e in root.iter("{*}body") for e in e), None)
    if content is None:
        raise UnreadableError("unreadable", f"no readable {_ENDINGS[kind]}: nothing in it")
    found = local_name(content)
    if found != kind:
        what = _ENDINGS.get(found, f"an OpenDocument {found}")
        raise UnreadableError("wrong_kind", f"a {what} file; name it so")
    trees = [root]
    if "styles.xml" in package:
        trees.append(package.xml("styles.xml"))
    return root, content, OdfWriter(package, trees), _properties(package)


def _properties(package: Package) -> Properties:
    if "meta.xml" not in package:
        return Properties()
    try:
        return properties_of(package.xml("meta.xml"))
    except UnreadableError:
        return Properties()


def _document(
    file: SourceFile, title: str | None, raw: str, kind: str, properties: Properties
) -> Document:
    return Document(
        file.uri,
        title or file.stem,
        clean_text(raw),
        _MEDIA_TYPE + kind,
        dict[str, Any](properties.metadata),
        created=properties.created,
        modified=properties.modified,
        license=properties.license,
        raw=raw if file.config.keep_raw else None,
    )


def _slide(page: "_Element", writer: OdfWriter) -> tuple[str, list[str]]:
    title = ""
    blocks: list[str] = []
    for shape in page:
        if local_name(shape) == "notes":
            notes = writer.blocks(shape)
            blocks += ["### Notes", *notes] if notes else []
        elif _attribute(shape, "class") == "title" and not title:
            title = " ".join(" ".join(writer.blocks(shape)).split()).lstrip("# ")
        else:
            blocks += writer.blocks_of(shape)
    return title, blocks


def _hidden_styles(tree: "_Element") -> set[str | None]:
    """Return the styles of sheets and slides that are not shown."""
    root = tree.getroottree().getroot()
    return {name for style in root.iter("{*}style") for name in _if_hidden(style)}


def _if_hidden(style: "_Element") -> Iterator[str]:
    for properties in style:
        values = (_attribute(properties, "visibility"), _attribute(properties, "display"))
        if re.fullmatch("table-properties|drawing-page-properties", local_name(properties)) and any(
            value in _HIDDEN for value in values
        ):
            yield _attribute(style, "name") or ""


def _attribute(element: "_Element", name: str) -> str | None:
    """Return an attribute by its local name: ODF uses each in one meaning per element."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return None

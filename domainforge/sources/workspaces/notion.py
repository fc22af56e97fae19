"""A Notion workspace from its export: Markdown & CSV or HTML, ids taken out of names."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import (
    Export,
    choose,
    open_export,
    place_of,
    state_of,
    work_of,
)

if TYPE_CHECKING:
    from bs4 import Tag

_ID = re.compile(r"[ _-]?(?<![0-9a-f])[0-9a-f]{32}(?=$|\.|_all\.csv$)")
_LINK = re.compile(r"(!?)\[([^\[\]\n]{0,500})\]\(([^()\s]{1,1000})\)")
_ID_IN_LINK = re.compile(r"(?:%20|[ _-]|(?<![0-9a-f]))[0-9a-f]{32}(?=\.|/|$|#|\?)")
_PROPERTY = re.compile(r"([^\n:]{1,80}): ?(.*)")
_INNER = re.compile(r"(?:^|/)(?:Export[^/]*|[^/]*Part-\d+)\.zip$")
_CREATED = frozenset({"created", "created time", "created at", "date created"})
_MODIFIED = frozenset({"last edited", "last edited time", "edited", "updated", "last updated"})
_TIME = re.compile(r"@?([A-Z][a-z]{2})[a-z]* (\d{1,2}), (\d{4})(?: (\d{1,2}):(\d\d) ?([AP]M))?")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class NotionSource:
    """Reads an export of a workspace or of one page with all below it."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.notion is not None
        self._config = config
        self._path = config.notion.path
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the hash of the export."""
        return {"export": state_of(place_of(self._path, self._project))}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read pages, databases and files, in the order of their names.

        Raises:
            SourceError: No export.
        """
        place = place_of(self._path, self._project)
        with open_export(place, reader.folder, lambda name: bool(_INNER.search(name))) as export:
            yield from read_unless_known(self._works(export), reader)

    def _works(self, export: Export) -> Iterator[FileWork | LeftOut]:
        yield from export.left_out
        names = {item.name for item in export.items}
        databases = {without_ids(name.removesuffix("_all.csv").removesuffix(".csv")): name
                     for name in names if name.endswith(".csv")}  # fmt: skip
        rows = {
            folder
            for name in names
            if name.endswith((".md", ".html"))
            and (folder := without_ids(str(PurePosixPath(name).parent))) in databases
        }
        for item in export.items:
            uri = export.uri(item.name)
            stem = without_ids(item.name.removesuffix("_all.csv").removesuffix(".csv"))
            whole = f"{item.name.removesuffix('.csv')}_all.csv"
            if item.name.endswith(".csv") and whole in names:
                yield LeftOut(uri, "duplicate", f"part of {PurePosixPath(whole).name}")
                continue
            if item.name.endswith(".csv") and stem in rows:
                yield LeftOut(uri, "duplicate", "each of its rows is a page of its own")
                continue
            if item.name == "index.html" and len(names) > 1:
                yield LeftOut(uri, "navigation", "the list of all pages")
                continue
            left_out = choose(item, export, self._config)
            if left_out is not None:
                yield left_out
                continue
            folder = without_ids(str(PurePosixPath(item.name).parent))
            title = PurePosixPath(stem).name if item.name.endswith(".csv") else None
            given: dict[str, object] = {"title": title} if title else {}
            yield work_of(item, export, self._config, _kind(item.name, folder in rows), given)


def _kind(name: str, is_row: bool) -> str | None:
    if name.endswith(".md"):
        return "notion row" if is_row else "notion page"
    return "notion html" if name.endswith(".html") else None


def without_ids(name: str) -> str:
    """Take the 32 digits out of each part of a path: `Trips 0123...cdef/Rome 89ab...4567.md`."""
    return "/".join(_without_id(part) for part in name.split("/"))


def _without_id(part: str) -> str:
    plain = _ID.sub("", part).strip()
    return part if not plain or plain.startswith(".") else plain


def load_notion_page(data: bytes, file: SourceFile) -> Loaded:
    """Read a page in Markdown."""
    return _markdown_page(data, file, is_row=False)


def load_notion_row(data: bytes, file: SourceFile) -> Loaded:
    """Read the page of a row in a database: its fields stand above its text."""
    return _markdown_page(data, file, is_row=True)


def load_notion_html(data: bytes, file: SourceFile) -> Loaded:
    """Read a page of the HTML export."""
    from domainforge.sources.kinds.html import html_to_markdown, load_html, parse_html

    try:
        soup = parse_html(decode(data, "utf-8"))
        body = soup.select_one("article.page .page-body")
        if body is None:
            return load_html(data, file)
        heading = soup.select_one("h1.page-title")
        fields = dict(_html_fields(soup.select("table.properties tr")))
        _prepare(body)
        text = html_to_markdown(body)
    except RecursionError:
        raise UnreadableError("unreadable", "its elements are nested too deeply") from None
    title = " ".join(clean_text(heading.get_text()).split()) if heading else ""
    return _page(title or _name(file), fields, text, file, "text/html")


def _markdown_page(data: bytes, file: SourceFile, is_row: bool) -> Loaded:
    text = clean_text(decode(data))
    title = first_heading(text) if text.startswith("# ") else None
    body = text.partition("\n")[2].strip("\n") if title else text
    head, _, rest = body.partition("\n\n")
    matches = [_PROPERTY.fullmatch(line) for line in head.split("\n")]
    fields = {match[1].strip(): match[2].strip() for match in matches if match is not None}
    # A row that was exported alone has no database beside it, but mostly a date of Notion's.
    is_row = is_row or any(key.lower() in _CREATED | _MODIFIED for key in fields)
    if is_row and None not in matches:
        body = rest
    else:
        fields = {}
    return _page(title or _name(file), fields, body.strip("\n"), file, "text/markdown")


def _page(
    title: str, fields: dict[str, str], body: str, file: SourceFile, media_type: str
) -> Loaded:
    parents = [*without_ids(file.uri).split("/")[1:-1]]
    metadata: dict[str, Any] = dict(fields)
    if parents:
        metadata["parents"] = parents
    times = {key.lower(): _time(value) for key, value in fields.items()}
    lines = "\n".join(f"- {key}: {value}" for key, value in fields.items() if value)
    parts = [f"# {title}", lines, _LINK.sub(_clean_link, body)]
    has_text = bool(lines or body.strip())
    document = Document(
        file.uri,
        title,
        "\n\n".join(part for part in parts if part) if has_text else "",
        media_type,
        metadata,
        created=next((times[key] for key in times if key in _CREATED), None),
        modified=next((times[key] for key in times if key in _MODIFIED), None),
    )
    return Loaded((document,))


def _clean_link(match: re.Match[str]) -> str:
    image, text, target = match.groups()
    if "://" in target and "notion.so/" not in target:
        return match[0]
    return f"{image}[{_ID.sub('', text)}]({_ID_IN_LINK.sub('', target)})"


def _name(file: SourceFile) -> str:
    return PurePosixPath(without_ids(file.uri)).stem


def _time(text: str) -> str | None:
    """`August 1, 2021 3:00 PM`, as Notion writes it, as ISO 8601; it names no zone."""
    match = _TIME.match(text)
    if match is None or match[1] not in _MONTHS:
        return None
    date = f"{match[3]}-{_MONTHS.index(match[1]) + 1:02}-{int(match[2]):02}"
    if match[4] is None:
        return date
    hour = int(match[4]) % 12 + (12 if match[6] == "PM" else 0)
    return f"{date}T{hour:02}:{match[5]}:00"


def _html_fields(rows: "list[Tag]") -> Iterator[tuple[str, str]]:
    for row in rows:
        name, value = row.find("th"), row.find("td")
        if name is not None and value is not None:
            values = [" ".join(span.get_text().split()) for span in value.select(".selected-value")]
            text = ", ".join(values) or " ".join(value.get_text().split())
            if text:
                yield clean_text(" ".join(name.get_text().split())), clean_text(text)


def _prepare(body: "Tag") -> None:
    for element in body.select("nav, script, style"):
        element.decompose()
    for box in body.select(".checkbox"):
        box.replace_with("[x] " if "checkbox-on" in (box.get("class") or ()) else "[ ] ")

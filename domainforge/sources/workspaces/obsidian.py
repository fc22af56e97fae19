"""An Obsidian vault: notes with their links written out and embedded notes put in."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, first_heading
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import read_unless_known
from domainforge.sources.kinds.text import load_markdown
from domainforge.sources.loaded import LeftOut, Loaded, SourceFile, UnreadableError
from domainforge.sources.reading import FileWork, Reader, Reading
from domainforge.sources.workspaces.export import (
    Export,
    Item,
    choose,
    hash_of,
    open_export,
    place_of,
    state_of,
    work_of,
)

_FENCE = (
    r"^ {0,3}(?P<fence>`{3,}+|~{3,}+)[^\n]*+\n.*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)|`[^`\n]+`"
)
_CODE = re.compile(_FENCE, re.MULTILINE | re.DOTALL)
_COMMENT_OR_CODE = re.compile(f"(?P<comment>%%.*?%%)|{_FENCE}", re.MULTILINE | re.DOTALL)
_QUERY = re.compile(r"^ {0,3}`{3,}(?:dataview|dataviewjs|query|tasks|button)\b")
_EMBED = re.compile(r"!\[\[([^\[\]\n|]{1,300})(?:\|([^\[\]\n]{0,300}))?\]\]")
_WIKILINK = re.compile(r"\[\[([^\[\]\n|]{1,300})(?:\|([^\[\]\n]{0,300}))?\]\]")
_CALLOUT = re.compile(r"^((?:> ?)+)\[!([\w-]{1,30})(?:\|[^\]\n]*)?\][+-]? *(.*)$", re.MULTILINE)
_BLOCK_ID = re.compile(r"(?<![ \t])[ \t]++\^[\w-]{1,60}[ \t]*$|^\^[\w-]{1,60}[ \t]*$", re.MULTILINE)
_HIGHLIGHT = re.compile(r"==(?=\S)([^=\n]{1,1000})(?<=\S)==")
_TAG = re.compile(r"(?<![\w/#&`\[])#([^\W\d_][\w/-]{0,99})")
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_CREATED = ("created", "date created", "date", "creation date")
_MODIFIED = ("modified", "updated", "date modified", "last modified", "lastmod")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?.{0,15})?")
_MAX_NOTE_BYTES = 5_000_000
_MAX_EMBEDS = 200


class ObsidianSource:
    """Reads the notes of a vault and the files beside them; `.obsidian` and `.trash` never."""

    def __init__(self, config: SourceConfig, project: Path) -> None:
        assert config.obsidian is not None
        self._config = config
        self._path = config.obsidian.path
        self._project = project

    def identity(self) -> Mapping[str, Any]:
        """Return the hash of the vault."""
        return {"export": state_of(place_of(self._path, self._project))}

    def read(self, reader: Reader) -> Iterator[Reading]:
        """Read notes and attachments, in the order of their names.

        Raises:
            SourceError: No vault.
        """
        with open_export(place_of(self._path, self._project), reader.folder) as export:
            yield from read_unless_known(self._works(export), reader)

    def _works(self, export: Export) -> Iterator[FileWork | LeftOut]:
        yield from export.left_out
        notes = _by_name(item for item in export.items if item.name.endswith(".md"))
        for number, item in enumerate(export.items):
            left_out = choose(item, export, self._config)
            if left_out is not None:
                yield left_out
            elif not item.name.endswith(".md"):
                yield work_of(item, export, self._config)
            else:
                yield self._note(number, item, notes, export)

    def _note(self, number: int, item: Item, notes: Mapping[str, Path], export: Export) -> FileWork:
        """Say in a small file which note to read and which it embeds, for the worker process."""
        embeds = _embedded(item.path, notes)
        order = {
            "note": str(item.path.absolute()),
            "embeds": {k: str(p) for k, p in embeds.items()},
        }
        path = export.temporary / f"{number}.json"
        path.write_text(json.dumps(order), encoding="utf-8")
        file = SourceFile(path, export.uri(item.name), self._config, "obsidian note")
        return FileWork(file, revision=hash_of(item.path, *embeds.values()))


def load_obsidian_note(data: bytes, file: SourceFile) -> Loaded:
    """Read a note; `data` is the order that the source wrote: the note and what it embeds."""
    order = json.loads(data)
    document = _load(Path(order["note"]), file)
    embeds = {name: Path(path) for name, path in order["embeds"].items()}

    def embedded(match: re.Match[str]) -> str:
        target, _, part = match[1].partition("#")
        path = embeds.get(_key(target))
        if path is None:
            return "" if PurePosixPath(target).suffix else match[0][1:]
        inner = _without_comments(_load(path, file).text)
        return f"\n\n{_part(inner, part.strip())}\n\n"

    found: list[str] = []
    text = _outside_code(_without_comments(document.text), lambda part: _tagged(part, found))
    text = _outside_code(text, lambda part: _EMBED.sub(embedded, part))
    text = _outside_code(text, _write_out)
    metadata = dict(document.metadata)
    tags = [*_listed(metadata.pop("tags", None) or metadata.pop("tag", None)), *found]
    if tags:
        metadata["tags"] = list(dict.fromkeys(tag.lstrip("#") for tag in tags))
    aliases = _listed(metadata.pop("aliases", None) or metadata.pop("alias", None), ",")
    if aliases:
        metadata["aliases"] = aliases
    created, modified = _date(metadata, _CREATED), _date(metadata, _MODIFIED)
    text = clean_text(text)
    own = (first_heading(document.text), file.stem)  # what is no title of the front matter
    title = document.title if document.title not in own else None
    title = title or (first_heading(text) if text.startswith("# ") else None)
    return Loaded(
        (
            Document(
                file.uri,
                title or PurePosixPath(file.uri).stem,
                text,
                "text/markdown",
                metadata,
                created=created,
                modified=modified,
            ),
        )
    )


def _load(path: Path, file: SourceFile) -> Document:
    if path.stat().st_size > _MAX_NOTE_BYTES:
        raise UnreadableError("too_large", f"a note of more than {_MAX_NOTE_BYTES:,} bytes")
    (document,) = load_markdown(path.read_bytes(), file).documents
    return document


def _by_name(items: Iterable[Item]) -> dict[str, Path]:
    """Notes by all names that a link may use: the path, or its end; the shortest path wins."""
    notes: dict[str, Path] = {}
    for item in sorted(items, key=lambda item: (item.name.count("/"), item.name)):
        parts = item.name.split("/")
        for start in range(len(parts)):
            notes.setdefault(_key("/".join(parts[start:])), item.path.absolute())
    return notes


def _key(name: str) -> str:
    return name.strip().strip("/").removesuffix(".md").lower()


def _embedded(path: Path, notes: Mapping[str, Path]) -> dict[str, Path]:
    try:
        if path.stat().st_size > _MAX_NOTE_BYTES:
            return {}
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    names = dict.fromkeys(_key(m[1].partition("#")[0]) for m in _EMBED.finditer(text))
    found = {name: notes[name] for name in names if name in notes}
    others = [(name, where) for name, where in found.items() if where != path.absolute()]
    return dict(others[:_MAX_EMBEDS])


def _without_comments(text: str) -> str:
    """Drop `%% comments %%`; one that stands in code is none, code in one goes with it."""
    return _COMMENT_OR_CODE.sub(lambda match: "" if match["comment"] else match[0], text)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change a text, but not what stands in code."""
    parts: list[str] = []
    position = 0
    for match in _CODE.finditer(text):
        parts.append(change(text[position : match.start()]))
        if not _QUERY.match(match[0]):  # shown only by plugins, as what they find
            parts.append(match[0])
        position = match.end()
    parts.append(change(text[position:]))
    return "".join(parts)


def _tagged(text: str, found: list[str]) -> str:
    found += _TAG.findall(text)
    return text


def _write_out(text: str) -> str:
    text = _WIKILINK.sub(_link_text, text)
    text = _CALLOUT.sub(_callout, text)
    text = _HIGHLIGHT.sub(r"\1", text)
    return _BLOCK_ID.sub("", text)


def _link_text(match: re.Match[str]) -> str:
    if match[2]:
        return match[2].strip()
    page, _, part = match[1].partition("#")
    part = "" if part.startswith("^") else part.replace("#", " > ")
    page = page.strip().removesuffix(".md").rpartition("/")[2]
    return f"{page} > {part}" if page and part else page or part


def _callout(match: re.Match[str]) -> str:
    kind = match[2].replace("-", " ").capitalize()
    return f"{match[1]}**{kind}: {match[3]}**" if match[3] else f"{match[1]}**{kind}**"


def _part(text: str, part: str) -> str:
    """Return the section under a heading, the block of an id, or all."""
    if not part:
        return text
    if part.startswith("^"):
        blocks = re.split(r"\n\s*\n", text)
        return next((b for b in blocks if b.rstrip().endswith(part)), "")
    wanted = part.rpartition("#")[2].strip().lower()
    for match in _HEADING.finditer(text):
        if match[2].strip().lower() == wanted:
            rest = text[match.end() :]
            level = len(match[1])
            end = next((m.start() for m in _HEADING.finditer(rest) if len(m[1]) <= level), None)
            return match[0] + rest[:end]
    return ""


def _listed(value: Any, between: str = r"[,\s]+") -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in re.split(between, value) if part.strip()]
    return [str(item) for item in value] if isinstance(value, list) else []


def _date(metadata: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for key, value in metadata.items():
        if key.lower() in names and (match := _ISO.fullmatch(str(value).strip())):
            return match[0].replace(" ", "T", 1)
    return None

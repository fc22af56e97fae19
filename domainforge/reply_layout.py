"""The delimited form of a reply: a block of text for each field, under a line nobody can forge."""

import json
import math
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

END = "end of reply"
_NAME = re.compile(r"[^\W\d][\w-]*")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,300})")
_NUMBER = re.compile(_INTEGER.pattern + r"(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,4})?")
_OF_OBJECTS = {"type", "properties", "required", "additionalProperties", "title", "$schema"}
_OF_LISTS = {"type", "items", "title", "description"}
_OF_VALUES = {"type", "enum", "title", "description"}
_OF_NUMBERS = {*_OF_VALUES, "minimum", "maximum"}
_HINTS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_MOST_SHOWN = 80


@dataclass(frozen=True)
class Block:
    """One field of a reply, or of an entry of a list in it.

    Attributes:
        path: Keys that lead to it; of an entry's field, those within the entry.
        name: What its line is called.
        kind: Type of its value, as JSON Schema calls it.
        hint: What to write there, in words.
    """

    path: tuple[str, ...]
    name: str
    kind: str
    hint: str


@dataclass(frozen=True)
class Group:
    """Blocks that come together.

    Attributes:
        listed: Keys that lead to the list whose entries they make; None where they come once.
    """

    blocks: tuple[Block, ...]
    listed: tuple[str, ...] | None = None

    @property
    def list_name(self) -> str:
        """What the list is called."""
        return ".".join(self.listed or ())


Layout = tuple[Group, ...]


class LayoutError(ValueError):
    """A reply isn't in its form; says where and what was due."""


class _Unwritable(Exception):
    """A schema asks for more than blocks can say."""


def find_layout(schema: Mapping[str, Any]) -> Layout | None:
    """Return the blocks that a reply of this schema takes; None where only JSON can say it.

    Objects may be nested, and there may be lists of values or of objects, but none within another.
    Fields that can be left out, and words such as `minLength` or `$ref`, want JSON.
    """
    try:
        return tuple(_groups(schema, ()))
    except _Unwritable:
        return None


def describe_layout(layout: Layout, marker: str) -> str:
    """Say how a reply has to look.

    Args:
        layout: Its blocks.
        marker: A word that stands in no passage.
    """
    head = (
        "Reply in the form below and nothing else. Copy every line that begins with === as it "
        "stands, and write under it what the brackets ask for, without the brackets."
    )
    lines = [head]
    for group in layout:
        if group.listed is not None:
            first, last = group.blocks[0].name, group.blocks[-1].name
            blocks = f"the block {first}" if first == last else f"the blocks {first} to {last}"
            lines.append(
                f"Write {blocks} once for each of the {group.list_name}, one after the other."
            )
    lines.append("")
    for group in layout:
        for block in group.blocks:
            lines += [_line(marker, block.name), f"({block.hint})"]
    return "\n".join([*lines, _line(marker, END)])


def parse_layout(layout: Layout, marker: str, text: str) -> dict[str, Any]:
    """Read a reply: every block once and in order, nothing before, between or after.

    Raises:
        LayoutError: It isn't in that form.
    """
    said = _split(text, marker)
    fields: dict[str, Any] = {}
    for group in layout:
        if group.listed is None:
            (block,) = group.blocks
            _put(fields, block.path, _take(said, block, marker))
            continue
        entries: list[Any] = []
        while said[0][0] == group.blocks[0].name:
            entry: dict[str, Any] = {}
            for block in group.blocks:
                _put(entry, ("entry", *block.path), _take(said, block, marker))
            entries.append(entry["entry"])
        _put(fields, group.listed, entries)
    if said[0][0] != END:
        raise LayoutError(_due(marker, END, said[0][0]))
    return fields


def _groups(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Group]:
    for name, part in _properties(schema):
        here = (*path, name)
        if part.get("type") == "object":
            yield from _groups(part, here)
        elif part.get("type") == "array":
            if not part.keys() <= _OF_LISTS or not isinstance(part.get("items"), Mapping):
                raise _Unwritable
            yield Group(tuple(_blocks(part["items"], ".".join(here), ())), here)
        else:
            yield Group((_block(part, ".".join(here), here),))


def _blocks(schema: Mapping[str, Any], name: str, path: tuple[str, ...]) -> Iterator[Block]:
    """Yield the blocks of one entry of a list."""
    if schema.get("type") != "object":
        yield _block(schema, name, path)
        return
    for key, part in _properties(schema):
        yield from _blocks(part, f"{name}.{key}", (*path, key))


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    fields = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(fields, Mapping) or not fields:
        raise _Unwritable
    all_due = set(schema.get("required", ())) == set(fields)
    closed = isinstance(schema.get("additionalProperties", False), bool)
    if not schema.keys() <= _OF_OBJECTS or not all_due or not closed:
        raise _Unwritable
    for name, part in fields.items():
        if not _NAME.fullmatch(name) or not isinstance(part, Mapping):
            raise _Unwritable
        yield name, part


def _block(schema: Mapping[str, Any], name: str, path: tuple[str, ...]) -> Block:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _HINTS:
        raise _Unwritable
    if not schema.keys() <= (_OF_NUMBERS if kind in ("integer", "number") else _OF_VALUES):
        raise _Unwritable
    hint = _HINTS[kind] + "".join(
        f", {word} {schema[key]}"
        for key, word in (("minimum", "at least"), ("maximum", "at most"))
        if key in schema
    )
    if "enum" in schema:
        options = schema["enum"]
        if kind != "string" or not all(isinstance(o, str) and o.strip() == o for o in options):
            raise _Unwritable
        hint = f"one of: {', '.join(options)}"
    described = str(schema.get("description", ""))
    return Block(path, name, kind, " ".join(f"{hint}: {described}".split()).rstrip(": "))


def _line(marker: str, name: str) -> str:
    return f"=== {marker} {name} ==="


def _split(text: str, marker: str) -> deque[tuple[str, str]]:
    """Cut a reply at its marker lines: names and what stands under them; the end comes last."""
    found: list[tuple[str, list[str]]] = []
    for number, line in enumerate(text.strip().split("\n"), start=1):
        name = line.strip().removeprefix(f"=== {marker} ").removesuffix(" ===")
        is_marker = line.strip() == _line(marker, name)
        if marker in line and not is_marker:
            raise LayoutError(
                f"line {number} has {marker} in it, but isn't one of the form's lines"
            )
        if found and found[-1][0] == END and line.strip():
            raise LayoutError(f"line {number} stands after the end: {_shorten(line)}")
        if is_marker:
            found.append((name, []))
        elif not found:
            raise LayoutError(f"line {number} is none of the form's: {_shorten(line)}")
        else:
            found[-1][1].append(line)
    said = deque((name, "\n".join(lines).strip()) for name, lines in found)
    if not said or said[-1][0] != END:
        raise LayoutError(f"it doesn't end with the line {_line(marker, END)}")
    return said


def _take(said: deque[tuple[str, str]], block: Block, marker: str) -> Any:
    name, text = said[0]
    if name != block.name:
        raise LayoutError(_due(marker, block.name, name))
    said.popleft()
    return _read(text, block)


def _due(marker: str, due: str, found: str) -> str:
    return f"{_line(marker, due)} is due where {_line(marker, _shorten(found))} stands"


def _read(text: str, block: Block) -> str | int | float | bool:
    if block.kind == "string":
        return text
    if block.kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if block.kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if block.kind == "number" and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        number: int | float = json.loads(text)
        return number
    raise LayoutError(f"{block.name}: {_shorten(text)} is not {block.hint}")


def _put(fields: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *way, last = path
    for name in way:
        fields = fields.setdefault(name, {})
    fields[last] = value


def _shorten(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."

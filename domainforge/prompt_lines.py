"""Where in a prompt file a fault lies: the line of a header's key, or of a template that failed."""

import traceback
from pathlib import Path
from typing import Any

import yaml


def at_key(path: Path, *keys: str | int) -> str:
    """Return `FILE:LINE` of a key in the header, or of the nearest key above it.

    Only the file, where it can't be read or has no header.
    """
    text = _read(path)
    before, _, rest = text.partition("---")
    try:
        node = yaml.compose(rest.partition("\n---")[0], Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        node = None
    if node is None:
        return str(path)
    line = 0
    for key in keys:
        found = _step(node, key)
        if found is None:
            break
        line, node = found
    return f"{path}:{before.count(chr(10)) + line + 1}"


def at_template(path: Path, template: str, error: BaseException) -> str:
    """Return `FILE:LINE` of what failed in a template; only the file, where that isn't found.

    Args:
        path: The prompt file.
        template: As it stands in the file: a section of the body, or a value of the header.
        error: What Jinja raised, which rewrites tracebacks to lines of the template.
    """
    inside = 0
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in ("<template>", "<unknown>") and frame.lineno:
            inside = frame.lineno - 1
    text, lines = _read(path), template.splitlines()
    start = text.find(template) if template else -1
    if start >= 0:
        return f"{path}:{text.count(chr(10), 0, start) + inside + 1}"
    # YAML may have unfolded it; the line that failed is mostly as it was.
    failed = lines[inside].strip() if inside < len(lines) else ""
    start = text.find(failed) if failed else -1
    return f"{path}:{text.count(chr(10), 0, start) + 1}" if start >= 0 else str(path)


def _step(node: Any, key: str | int) -> tuple[int, Any] | None:
    """Return line and value of a key or an item; None where the node has no such thing."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line, node.value[key]
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

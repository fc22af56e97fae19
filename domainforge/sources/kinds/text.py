"""Markdown and plain text, with the YAML front matter that notes and websites carry."""

import re
from typing import Any

from domainforge.records import Document
from domainforge.sources.cleaning import clean_text, decode, first_heading
from domainforge.sources.loaded import Loaded, SourceFile

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)


def load_markdown(data: bytes, file: SourceFile) -> Loaded:
    """Read a Markdown file; front matter becomes metadata."""
    raw = decode(data)
    text, fields = _split_front_matter(clean_text(raw))
    title = fields.pop("title", None) or first_heading(text) or file.stem
    kept = raw if file.config.keep_raw else None
    return Loaded((Document(file.uri, str(title), text, "text/markdown", fields, raw=kept),))


def load_plain(data: bytes, file: SourceFile) -> Loaded:
    """Read a plain text file."""
    raw = decode(data)
    text = clean_text(raw)
    kept = raw if file.config.keep_raw else None
    return Loaded((Document(file.uri, first_heading(text) or file.stem, text, raw=kept),))


def _split_front_matter(text: str) -> tuple[str, dict[str, Any]]:
    """Take a YAML header off; what isn't one stays text."""
    import yaml

    match = _FRONT_MATTER.match(text)
    if match is None:
        return text, {}
    try:
        header = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return text, {}
    if not isinstance(header, dict):
        return text, {}
    fields = {str(key): _flat(value) for key, value in header.items()}
    kept = {key: value for key, value in fields.items() if value is not None}
    return text[match.end() :].strip("\n"), kept


def _flat(value: Any) -> str | list[str] | None:
    """Keep values and lists of values; deeper things can be huge through YAML aliases."""
    if isinstance(value, list):
        flat = [str(item) for item in value if not isinstance(item, list | dict)]
        return flat or None
    return None if value is None or isinstance(value, dict) else str(value)

"""Which documents of a source are taken: by their fields, and by chance that can be repeated."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from domainforge.records import Document, stable_id
from domainforge.sources.config import SourceConfig

_COMPARISON = re.compile(r"\s*(>=|<=|!=|>|<)\s*(.+?)\s*")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "!=": operator.ne,
}
_OWN_FIELDS = ("uri", "title", "media_type", "language", "created", "modified", "license")


def reason_to_pass_over(document: Document, config: SourceConfig, seed: int) -> str | None:
    """Return why a document is not taken, or None.

    A field of `where` is one of the document's own (language, license, created ...) or of its
    metadata; `meta.set` reaches into it. A value fits if it is equal, one of a list, or as a
    comparison in text says (`'>= 3'`, `'!= draft'`); numbers are compared as numbers, all else
    as text, so that ISO dates compare rightly. A document without the field doesn't fit.
    """
    for name, wanted in config.where.items():
        if not _fits(_field(document, name), wanted):
            return "not_wanted"
    if config.sample_share is not None:
        chance = int(stable_id("sample", seed, document.uri), 16) / 16**16
        if chance >= config.sample_share:
            return "not_sampled"
    return None


def _field(document: Document, name: str) -> Any:
    if name in document.metadata:
        return document.metadata[name]
    if name in _OWN_FIELDS:
        return getattr(document, name)
    value: Any = document.metadata
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list | tuple):
        return any(_fits(value, each) for each in wanted)
    if isinstance(value, list | tuple):
        return any(_fits(each, wanted) for each in value)
    if value is None or wanted is None:
        return value is wanted
    comparison = _COMPARISON.fullmatch(wanted) if isinstance(wanted, str) else None
    if comparison is None:
        return value == wanted or str(value).casefold() == str(wanted).casefold()
    left, right = _number(value), _number(comparison[2])
    if left is None or right is None:
        return _OPERATORS[comparison[1]](str(value), comparison[2])
    return _OPERATORS[comparison[1]](left, right)


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None

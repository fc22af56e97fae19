"""The infobox of a wiki page as a table of two columns."""

import re
from collections.abc import Iterator, Mapping

# Words in the names of fields that place or picture something instead of saying it.
_FURNITURE_WORDS = """
image images imagesize caption alt logo map mapsize coordinates coord coords footnotes width style
module signature colour color ref refs photo flag seal icon emblem shield embed child nocat
collapsed pushpin display pref lat lon long latd latm lats latns longd longm longs longew latitude
longitude
"""
_FURNITURE = frozenset(_FURNITURE_WORDS.split())
# `leader_title1 = Mayor` beside `leader_name1 = Tove Lund`: the first names what the second says.
_LABEL = re.compile(r"(.+)_(?:type|title|label)(\d*)$")
_LABELLED = ("name", "date", "info", "data")
_MAX_INFOBOX_ROWS = 80


def render_infobox(named: Mapping[str, str]) -> str:
    """Write the fields that say something as a table; an empty text where none does."""
    rows = list(_infobox_rows(named))[:_MAX_INFOBOX_ROWS]
    if not rows:
        return ""
    lines = [f"| {_cell(key)} | {_cell(value)} |" for key, value in rows]
    head = f"| {_cell(named.get('name', ''))} | |"
    return "\n\n" + "\n".join([head, "| --- | --- |", *lines]) + "\n\n"


def _infobox_rows(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    labels: dict[str, str] = {}
    used: set[str] = set()
    for key, label in named.items():
        match = _LABEL.fullmatch(key)
        beside = [f"{match[1]}_{name}{match[2]}" for name in _LABELLED] if match else []
        beside = [name for name in beside if name in named]
        if beside:  # a label without a value says nothing, so it goes either way
            used.add(key)
            labels.update(dict.fromkeys(beside, label))
    for key, value in named.items():
        words = re.split(r"[\W_\d]+", key.lower())
        if not value or key == "name" or key in used or _FURNITURE & set(words):
            continue
        if len(words) > 1 and words[-1] == "size":
            continue
        yield labels.get(key) or key.replace("_", " ").strip(), value


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)

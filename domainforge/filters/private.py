"""Personal data and secrets in rows: counted, taken out, or a reason to drop them.

No evidence, score or note shows what was found: only its kind, its place and how much it is.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from domainforge.filters.rows import Evidence, FilterConfig, Row
from domainforge.privacy.spans import Span, find_spans
from domainforge.records import canonical_json

_SECRET, _PERSONAL = "secret", "personal_data"
_SCORES = {True: "secrets", False: "personal_data"}
_TAKEN_OUT = re.compile(r"\[([A-Za-z-]+(?: [a-z]+){0,3}) removed\]")
# Taking something out can bring its neighbours together; numbers without a gap come one by one.
_MOST_PASSES = 64


def find_secret(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows with keys, tokens or passwords, where those are to be dropped."""
    if config.secrets != "drop":
        return [None] * len(rows)
    return [_find(row, config, secrets=True) for row in rows]


def find_personal_data(rows: Sequence[Row], config: FilterConfig) -> list[Evidence]:
    """Find rows with personal data of a fixed form, where those are to be dropped."""
    if config.personal_data != "drop":
        return [None] * len(rows)
    return [_find(row, config, secrets=False) for row in rows]


def redact_row(
    row: Mapping[str, Any], config: FilterConfig, found: str | None = None
) -> dict[str, Any]:
    """Do with a checked example what the settings say; it keeps its id.

    What is flagged or taken out is counted in its scores (`personal_data`, `secrets`). A row that
    was dropped for what it holds loses it, so that the table of dropped rows shows it to nobody;
    so do the teacher's fields of rows that are kept where only those had it.

    Args:
        row: A row of the examples table, whose `fields` and `scores` are JSON.
        config: What is to be done.
        found: What the checks had against it, where a person decided: who labels a row sees it
            without its secret, and it must not come back with the label.
    """
    wanted = {True: config.secrets, False: config.personal_data}
    gone = {True: _SECRET, False: _PERSONAL}
    taken = {
        kind: wanted[kind] == "redact" or gone[kind] in (row.get("reason"), found)
        for kind in (True, False)
    }
    hidden = {kind: taken[kind] or wanted[kind] == "drop" for kind in (True, False)}
    changed = dict(row)
    texts = set(_texts_of(row))
    counts = {
        kind: sum(len(_find_kind(text, kind, config)) for text in texts)
        for kind in (True, False)
        if wanted[kind] in ("flag", "redact")
    }
    if any(counts.values()):
        scores = json.loads(row["scores"] or "{}")
        for kind, count in counts.items():
            # What was counted before it was taken out stays.
            if count:
                scores[_SCORES[kind]] = max(float(count), scores.get(_SCORES[kind], 0.0))
        changed["scores"] = canonical_json(scores)
    region = config.phone_region
    if any(taken.values()):
        changed |= _said_without(row, taken, region)
    if any(hidden.values()) and row["fields"]:
        # What was checked and stays as it is need not be looked through again.
        known = set() if any(taken.values()) or hidden[False] else texts
        fields = json.loads(row["fields"])
        cleaned = _clean_value(fields, hidden, region, known)
        if cleaned != fields:
            changed["fields"] = canonical_json(cleaned)
    return changed


class PrivateCounts:
    """Counts what kept rows hold or lost, by kind."""

    def __init__(self, config: FilterConfig) -> None:
        self._config = config
        self._rows = Counter[str]()
        self._kinds = {name: Counter[str]() for name in _SCORES.values()}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Look at kept rows; only at the texts of those that have a score for it."""
        for row in rows:
            scores = json.loads(row["scores"] or "{}")
            for secrets, name in _SCORES.items():
                if name in scores:
                    self._rows[name] += 1
                    for text in _texts_of(row):
                        self._kinds[name].update(self._kinds_in(text, secrets=secrets))

    def figures(self) -> dict[str, Any]:
        """Return the counts for run.json; nothing where nothing was found."""
        if not self._rows:
            return {}
        rows = dict(sorted(self._rows.items()))
        kinds = sum(self._kinds.values(), Counter[str]())
        return {"private_rows": rows, "private_kinds": _order(kinds)}

    def notes(self) -> list[str]:
        """Say what a user should know before the rows are trained on or given away."""
        return [
            f"{self._rows[name]} kept rows hold {what} ({_list(self._kinds[name])}); "
            f"filter.{name}: redact takes it out, drop drops the rows"
            for name, what in (("personal_data", "personal data"), ("secrets", "secrets"))
            if self._rows[name] and getattr(self._config, name) == "flag"
        ]

    def _kinds_in(self, text: str, *, secrets: bool) -> Iterator[str]:
        """Yield the kinds of what a text holds, and of what was taken out of it."""
        yield from (span.kind for span in _find_kind(text, secrets, self._config))
        gone: list[str] = _TAKEN_OUT.findall(text)
        yield from (kind for kind in gone if (kind == _SECRET) is secrets)


def _order(kinds: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def _list(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{kind}: {count}" for kind, count in _order(kinds).items())


def _find(row: Row, config: FilterConfig, *, secrets: bool) -> Evidence:
    name = "text" if row.kind == "text" else "answer"
    places = (("question", row.question), (name, row.answer), ("rejected answer", row.rejected))
    for place, text in places:
        spans = _find_kind(text or "", secrets, config)
        if spans:
            span = spans[0]
            more = f"; {len(spans)} in all" if len(spans) > 1 else ""
            length = span.end - span.start
            return f"{span.kind} of {length} characters in the {place}, at {span.start}{more}"
    return None


def _find_kind(text: str, secrets: bool, config: FilterConfig) -> Sequence[Span]:
    return find_spans(text, secrets, not secrets, config.phone_region)


def _texts_of(row: Mapping[str, Any]) -> Iterator[str]:
    for message in row["messages"] or ():
        yield message["content"] or ""
    for name in ("text", "rejected"):
        yield row[name] or ""


def _said_without(
    row: Mapping[str, Any], taken: Mapping[bool, bool], region: str | None
) -> dict[str, Any]:
    """Return the columns of a row that people and students read, without what is taken out."""
    changed: dict[str, Any] = {
        name: _clean_value(row[name], taken, region)
        for name in ("text", "rejected", "evidence")
        if row.get(name)
    }
    if row["messages"]:
        changed["messages"] = [
            {**message, "content": _clean_value(message["content"], taken, region)}
            for message in row["messages"]
        ]
    return changed


def _clean_value(
    value: Any,
    taken: Mapping[bool, bool],
    region: str | None,
    known: Set[str] = frozenset(),
) -> Any:
    """Return a text, or the texts within JSON, without what is taken out."""
    if isinstance(value, str):
        return value if value in known else _clean(value, taken, region)
    if isinstance(value, Mapping):
        return {key: _clean_value(item, taken, region, known) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean_value(item, taken, region, known) for item in value]
    return value


def _clean(text: str, taken: Mapping[bool, bool], region: str | None) -> str:
    label = ""
    for _ in range(_MOST_PASSES):
        spans = find_spans(text, taken[True], taken[False], region)
        if not spans:
            return text
        text, label = _replace(text, spans), spans[0].label
    # What still shows something new is made to, and nothing of it can stay.
    return label


def _replace(text: str, spans: Sequence[Span]) -> str:
    parts, at = list[str](), 0
    for span in spans:
        parts += [text[at : span.start], span.label]
        at = span.end
    return "".join([*parts, text[at:]])

"""How far an interrupted filter came: what it had on disk stays, the rest is checked again."""

import json
from collections import Counter
from typing import Any

from domainforge.filters.filtering import Checked
from domainforge.run_folder import Output, write_atomic
from domainforge.table_writer import segment_path
from domainforge.tables import EXAMPLE_SCHEMA

COMMIT_ROWS = 50_000
_NAME = ".progress.json"


class FilterProgress:
    """Takes checked rows and puts them on disk, with a mark every so many rows.

    Attributes:
        rows: Examples that are done, an interrupted run's included.
        reasons: How many rows left for which reason.
    """

    def __init__(self, out: Output, commit_rows: int = COMMIT_ROWS) -> None:
        """Open the tables; goes on from the last mark where there is one."""
        self._path = out.folder / _NAME
        self._commit_rows = commit_rows
        mark = _read_mark(out)
        self.rows: int = mark.get("rows", 0)
        self._marked = self.rows
        self.reasons = Counter[str](mark.get("reasons", {}))
        self._kept = out.stream(EXAMPLE_SCHEMA, segments=mark.get("kept", 0))
        self._dropped = out.stream(EXAMPLE_SCHEMA, "dropped", segments=mark.get("dropped", 0))

    @property
    def kept_rows(self) -> int:
        """How many rows passed."""
        return self.rows - self.reasons.total()

    def add(self, checked: Checked) -> None:
        """Take the next batch."""
        for row in checked.kept:
            self._kept.add(row, _weight(row))
        for row in checked.dropped:
            self._dropped.add(row, _weight(row))
            self.reasons[row["reason"]] += 1
        self.rows += len(checked.kept) + len(checked.dropped)
        if self.rows - self._marked >= self._commit_rows:
            self._mark()

    def finish(self, out: Output) -> None:
        """Make both tables whole."""
        out.finish(self._kept)
        out.finish(self._dropped, "dropped")
        self._path.unlink(missing_ok=True)

    def _mark(self) -> None:
        mark = {
            "rows": self.rows,
            "reasons": self.reasons,
            "kept": self._kept.flush(),
            "dropped": self._dropped.flush(),
        }
        write_atomic(self._path, json.dumps(mark))
        self._marked = self.rows


def _read_mark(out: Output) -> dict[str, Any]:
    """Return the last mark; none where its segments are gone, being made into shards."""
    path = out.folder / _NAME
    if not path.exists():
        return {}
    mark: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for place, count in ((out.folder, mark["kept"]), (out.folder / "dropped", mark["dropped"])):
        if any(not segment_path(place, index).exists() for index in range(count)):
            return {}
    return mark


def _weight(row: dict[str, object]) -> int:
    """Return about how much memory a row's texts take."""
    messages = row["messages"]
    said = sum(len(m["content"] or "") for m in messages) if isinstance(messages, list) else 0
    return said + len(str(row["text"] or "")) + len(str(row["fields"] or ""))

"""What a run's stages left out, by stage and reason, each with a few examples and their evidence.

Examples are shown to people, so secrets are taken out of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.parquet as pq

from domainforge.funnel import plain_reason
from domainforge.privacy.spans import find_spans
from domainforge.reasons import explain_reason
from domainforge.records import answer_of, question_of
from domainforge.run_folder import RunFolder
from domainforge.show import Place, Row, list_places
from domainforge.table_writer import read_batches

_MOST_CHARS = 1_500
_FAULTS = ("failed", "faults")
_FAULT = "A fault took it; what it was stands in the evidence."
_SHOWN = ("kind", "messages", "text", "rejected", "prompt", "evidence", "detail")


@dataclass(frozen=True)
class DroppedExample:
    """One row that was left out, as people look at it.

    Attributes:
        id: For `domainforge trace`.
        question: The last one of a conversation; a text that has none.
        answer: To it.
        rejected: The worse answer of a preference.
        evidence: What shows the reason.
    """

    id: str
    uri: str
    prompt: str
    question: str
    answer: str
    rejected: str
    evidence: str


@dataclass(frozen=True)
class DroppedReason:
    """All that one stage left out for one reason.

    Attributes:
        count: How many rows.
        share: Of all that the stage left out.
        means: What the reason means; empty where nobody wrote it down.
        examples: A few, from different sources as far as there are.
    """

    stage: str
    reason: str
    count: int
    share: float
    means: str
    examples: Sequence[DroppedExample]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def read_dropped(run: RunFolder, per_reason: int) -> list[DroppedReason]:
    """Return every reason of every stage, in the order of the line and then of count.

    The choice of examples depends on the rows' ids alone, not on shards.
    """
    found: list[DroppedReason] = []
    by_stage: dict[str, list[Place]] = {}
    for place in list_places(run):
        if place.left_out:
            by_stage.setdefault(place.stage, []).append(place)
    for stage, places in by_stage.items():
        choice = _Choice(per_reason)
        for place in places:
            choice.read(place)
        rows = {row["id"]: row for place in places for row in _read_rows(place, choice.ids())}
        total = max(choice.counts.total(), 1)
        for reason, count in sorted(choice.counts.items(), key=lambda item: (-item[1], item[0])):
            examples = tuple(_example(rows[row_id]) for row_id in choice.ids_of(reason))
            found.append(
                DroppedReason(stage, reason, count, count / total, choice.means(reason), examples)
            )
    return found


class _Choice:
    """Picks ids by reason: the lowest, of as many sources as there are."""

    def __init__(self, per_reason: int) -> None:
        self.counts = Counter[str]()
        self._most = per_reason
        self._first: dict[str, dict[str, str]] = {}
        self._more: dict[str, list[str]] = {}
        self._faults = set[str]()

    def read(self, place: Place) -> None:
        """Look at a table, whose rows are ordered by id."""
        for batch in read_batches(place.folder, ["id", "uri", "reason"]):
            columns = (batch.column(name).to_pylist() for name in ("id", "uri", "reason"))
            for row_id, uri, reason in zip(*columns, strict=True):
                self._add(row_id, uri or "", plain_reason(reason))
                if place.folder.name in _FAULTS:
                    self._faults.add(plain_reason(reason))

    def means(self, reason: str) -> str:
        """Say what a reason means; of a fault, that it is one."""
        return explain_reason(reason) or (_FAULT if reason in self._faults else "")

    def ids_of(self, reason: str) -> list[str]:
        """Return the ids chosen for a reason."""
        first = sorted(self._first[reason].values())
        return (first + self._more[reason])[: self._most]

    def ids(self) -> set[str]:
        """Return all ids chosen."""
        return {row_id for reason in self.counts for row_id in self.ids_of(reason)}

    def _add(self, row_id: str, uri: str, reason: str) -> None:
        self.counts[reason] += 1
        first = self._first.setdefault(reason, {})
        more = self._more.setdefault(reason, [])
        if uri not in first and len(first) < self._most:
            first[uri] = row_id
        elif len(more) < self._most:
            more.append(row_id)


def _read_rows(place: Place, ids: set[str]) -> Iterator[Row]:
    if not ids:
        return
    for part in sorted(place.folder.glob("part-*.parquet")):
        names = set(pq.read_schema(part).names)
        columns = [name for name in ("id", "uri", *_SHOWN) if name in names]
        wanted = [("id", "in", sorted(ids))]
        table = pq.read_table(part, columns=columns, filters=wanted, partitioning=None)
        yield from table.to_pylist()


def _example(row: Mapping[str, Any]) -> DroppedExample:
    said = dict(row)
    return DroppedExample(
        id=str(row["id"]),
        uri=str(row.get("uri") or ""),
        prompt=str(row.get("prompt") or ""),
        question=shown_text(question_of(said)),
        answer=shown_text(answer_of(said)),
        rejected=shown_text(row.get("rejected")),
        evidence=shown_text(row.get("evidence") or row.get("detail")),
    )


def shown_text(text: Any) -> str:
    """Return a text without secrets, and not endlessly long."""
    whole = str(text or "")
    # Looked for before it is cut: half a key is not found, and is still half a key.
    part = whole[: 2 * _MOST_CHARS]
    for span in reversed(find_spans(part, secrets=True, personal=False, region=None)):
        part = part[: span.start] + span.label + part[span.end :]
    if len(part) <= _MOST_CHARS and len(whole) <= 2 * _MOST_CHARS:
        return part
    return f"{part[:_MOST_CHARS]} ... ({len(whole):,} characters in all)"

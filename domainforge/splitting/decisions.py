"""What becomes of each row, and why: exam and benchmarks first, then what is held out."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from domainforge.records import chunk_ids_of, said_in
from domainforge.splitting.config import SplitConfig
from domainforge.splitting.exam_overlap import Drop, Giveaways
from domainforge.splitting.keys import KeyTable, keys_of, text_values
from domainforge.splitting.near_test import Named, NamedTexts, match_near
from domainforge.splitting.passages_as_rows import passage_of
from domainforge.splitting.rows import SplitRows, is_document

Row = Mapping[str, Any]


class HeldOut:
    """What of the training side is like the test side: by cluster, by text, by passage."""

    def __init__(self, rows: SplitRows, folder: Path, config: SplitConfig, seed: int) -> None:
        self._rows = rows
        self._config = config
        self._seed = seed
        self._folder = folder
        self._said = NamedTexts(folder / "held-rows")
        self._passages = NamedTexts(folder / "held-passages")
        self._clusters: list[Any] = []
        self._members: list[Any] = []
        self._like: dict[str, tuple[str, float]] = {}
        self._like_passage: dict[str, tuple[str, float]] = {}

    def add(self, rows: Sequence[Row]) -> None:
        """Take note of the rows that are held out."""
        held = [row for row in rows if row["side"] == "test"]
        for row in held:
            self._said.add(Named(row["id"], said_in(dict(row))))
            if is_document(row):
                self._passages.add(Named(row["chunk_id"], passage_of(row)))
        clustered = [row for row in held if row["cluster"]]
        self._clusters.append(keys_of(row["cluster"] for row in clustered))
        self._members.append(text_values(row["id"] for row in clustered))

    def compare(self) -> None:
        """Find the rows and passages of the training side that are like what is held out."""
        self._table = KeyTable(self._clusters, self._members)
        self._clusters, self._members = [], []
        self._said.close()
        self._passages.close()
        if self._said.count:
            self._like = self._match(self._trained(), self._said)
        if self._passages.count:
            self._like_passage = self._match(self._trained_passages(), self._passages)

    def drop(self, row: Row) -> Drop | None:
        """Return why a row of the training side can't stay, if it can't."""
        if row["side"] != "train":
            return None
        held = self._table.value(row["cluster"]) if row["cluster"] else None
        if held is not None:
            return Drop("near_test", f"like row {held} of the test")
        if row["id"] in self._like:
            near, share = self._like[row["id"]]
            return Drop("near_test", f"like row {near} of the test, jaccard {share:.2f}")
        for chunk_id in chunk_ids_of(row):
            if chunk_id in self._like_passage:
                near, share = self._like_passage[chunk_id]
                evidence = f"its passage is like chunk {near}, of the test, jaccard {share:.2f}"
                return Drop("near_test", evidence)
        return None

    def _match(self, texts: Iterator[Named], held: NamedTexts) -> dict[str, tuple[str, float]]:
        least = self._config.near_test_jaccard
        matches = match_near(texts, held, least, self._seed, self._folder / "trained")
        return {near.name: (near.held, near.jaccard) for near in matches}

    def _trained(self) -> Iterator[Named]:
        for table in self._rows.written():
            for row in table.to_pylist():
                if row["side"] == "train":
                    yield Named(row["id"], said_in(row))

    def _trained_passages(self) -> Iterator[Named]:
        for table in self._rows.documents():
            for row in table.to_pylist():
                if row["side"] == "train":
                    yield Named(row["chunk_id"], passage_of(row))


def survey(rows: SplitRows, leaks: Giveaways, held: HeldOut) -> None:
    """Read everything once: how common words are, and what is held out."""
    for table in every(rows):
        found = table.to_pylist()
        leaks.count(found)
        held.add(found)
    held.compare()


def decide(
    rows: Sequence[Row], leaks: Giveaways, held: HeldOut, split: SplitRows
) -> list[Drop | None]:
    """Return for each row why it is dropped, or None."""
    given_away = leaks.find(rows)
    drops: list[Drop | None] = []
    for row in rows:
        failed = split.failed.get(row["id"])
        if failed is not None:
            drops.append(Drop(str(failed.reason), str(failed.evidence)))
        else:
            drops.append(given_away.get(row["id"]) or held.drop(row))
    return drops


def every(rows: SplitRows) -> Iterator[pa.Table]:
    """Yield all there is: what was written first, then the passages."""
    yield from rows.written()
    yield from rows.documents()

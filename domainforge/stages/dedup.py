"""Kept to unique: of rows that say the same the best stay, on each side."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.deduplicate.near import Clusters, cluster_texts
from domainforge.deduplicate.shingles import Shingling, text_jaccard
from domainforge.deduplicate.survivors import Facts, FactSheet, Survivors, choose_survivors
from domainforge.deduplicate.text_store import TextStore
from domainforge.records import said_in, stable_id
from domainforge.run_folder import Inputs, Output, storage_errors
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.tables import EXAMPLE_SCHEMA

_LOOKED_AT = (
    *("id", "messages", "text", "side", "scores"),
    *("teacher", "prompt", "chunk_id", "also", "unit"),
)


class DedupConfig(Settings):
    """Which rows count as the same."""

    near_jaccard: float | None = Field(
        0.7,
        gt=0,
        le=1,
        description="Rows as alike as this are near-duplicates (Jaccard similarity of their "
        "shingles); null finds exact copies only.",
    )
    shingle_chars: int = Field(
        5, ge=1, le=32, description="Characters in a shingle, by which short rows are compared."
    )
    shingle_words: int = Field(
        3, ge=1, le=32, description="Words in a shingle, by which long rows are compared."
    )
    long_text_words: int = Field(100, ge=1, description="From how many words on a row is long.")
    candidates: int = Field(
        1,
        ge=1,
        description="So many of the best rows of each cluster and side stay. More than one is for "
        "the judge, which keeps the best of them.",
    )

    @property
    def shingling(self) -> Shingling:
        """The fields that say what rows are compared by."""
        return Shingling(self.shingle_chars, self.shingle_words, self.long_text_words)


class Decision(NamedTuple):
    """What becomes of every row, by its number in the order of ids; arrays, and texts on disk."""

    facts: Facts
    texts: TextStore
    clusters: Clusters
    survivors: Survivors


class Deduplicated(NamedTuple):
    """The best rows of each cluster and side, and the others with reason and evidence."""

    unique: pa.Table
    dropped: pa.Table


def dedup_rows(table: pa.Table, config: DedupConfig, seed: int) -> Deduplicated:
    """Keep the best rows of every cluster on each side; both tables are ordered by id.

    No cluster is ever lost: each side that had a row of it keeps one at least.
    """
    batches = table.sort_by("id").to_batches()
    decision = decide(batches, config, seed)
    parts = [Deduplicated(EXAMPLE_SCHEMA.empty_table(), EXAMPLE_SCHEMA.empty_table())]
    parts += part_rows(batches, decision, config)
    return Deduplicated(*(pa.concat_tables(tables) for tables in zip(*parts, strict=True)))


def decide(
    batches: Iterable[pa.RecordBatch],
    config: DedupConfig,
    seed: int,
    scratch: Path | None = None,
    report: Callable[[int], None] | None = None,
) -> Decision:
    """Decide which rows stay.

    Args:
        batches: All rows, ordered by id.
        config: What counts as the same.
        seed: Chooses the hash functions.
        scratch: Folder for texts and keys; None to hold them in memory.
        report: Called with the number of rows read.
    """
    texts = TextStore(scratch / "texts.arrow" if scratch else None)
    sheet = FactSheet()
    read = 0
    for batch in batches:
        for row in batch.select(_LOOKED_AT).to_pylist():
            texts.add(said_in(row))
            sheet.add(row)
        read += batch.num_rows
        if report:
            report(read)
    texts.close()
    facts = sheet.whole()
    clusters = cluster_texts(
        texts, config.near_jaccard, seed, config.shingling, apart=facts.made_of, scratch=scratch
    )
    survivors = choose_survivors(clusters.labels, facts, config.candidates)
    return Decision(facts, texts, clusters, survivors)


def part_rows(
    batches: Iterable[pa.RecordBatch], decision: Decision, config: DedupConfig
) -> Iterator[Deduplicated]:
    """Yield the rows of each batch that stay and those that go, with cluster and evidence."""
    first = 0
    for batch in batches:
        table = pa.Table.from_batches([batch]).select(EXAMPLE_SCHEMA.names).cast(EXAMPLE_SCHEMA)
        rows = np.arange(first, first + table.num_rows)
        labels = decision.clusters.labels[rows]
        clusters = [stable_id("cluster", _id(decision, label)) for label in labels]
        table = _replace(table, "cluster", clusters)
        stays = decision.survivors.stays[rows]
        dropped = table.filter(pa.array(~stays))
        why = [_explain(int(row), decision, config) for row in rows[~stays]]
        dropped = _replace(dropped, "reason", [reason for reason, _ in why])
        dropped = _replace(dropped, "evidence", [evidence for _, evidence in why])
        yield Deduplicated(table.filter(pa.array(stays)), dropped)
        first += table.num_rows


def run(config: DedupConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Keep the best rows of each cluster on each side."""
    total = inputs.count("filter")

    def report(done: int) -> None:
        context.progress(done // 2, total)

    reasons: Counter[str] = Counter()
    with storage_errors(out.scratch):
        out.scratch.mkdir(parents=True, exist_ok=True)
        decision = decide(inputs.batches("filter"), config, context.seed, out.scratch, report)
        kept = out.stream(EXAMPLE_SCHEMA)
        left = out.stream(EXAMPLE_SCHEMA, "dropped")
        for unique, dropped in part_rows(inputs.batches("filter"), decision, config):
            kept.add_table(unique)
            left.add_table(dropped)
            reasons.update(dropped.column("reason").to_pylist())
            done = kept.rows + left.rows
            context.progress((total + done) // 2, total, unique=kept.rows)
    unique_rows = kept.rows
    out.finish(kept)
    out.finish(left, "dropped")
    account = Account("rows", total=total, done=unique_rows, dropped=reasons)
    clusters = int(np.unique(decision.clusters.labels).size)
    return StageResult(account, figures={"clusters": clusters})


def _id(decision: Decision, row: int) -> str:
    # Rows are ordered by id, so the row at a label has the lowest id of the cluster.
    return bytes(decision.facts.ids[row]).decode()


def _replace(table: pa.Table, column: str, values: list[str]) -> pa.Table:
    index = table.schema.get_field_index(column)
    return table.set_column(index, column, pa.array(values, pa.string()))


def _explain(row: int, decision: Decision, config: DedupConfig) -> tuple[str, str]:
    """Name the survivor, how alike it is, and where it is less so, the row that links them."""
    clusters, texts = decision.clusters, decision.texts
    best = int(decision.survivors.best[row])
    survivor = _id(decision, best)
    if clusters.first[row] == clusters.first[best]:
        return "exact_duplicate", f"{survivor}, jaccard 1.00"
    between, likeness = int(clusters.linked[row]), float(clusters.jaccard[row])
    share = likeness
    if between != best:
        share = text_jaccard(texts.read(row), texts.read(best), config.shingling)
    evidence = f"{survivor}, jaccard {share:.2f}"
    if config.near_jaccard is not None and share < config.near_jaccard:
        evidence += f"; linked through {_id(decision, between)}, jaccard {likeness:.2f}"
    return "near_duplicate", evidence


STAGE = Stage(
    name="dedup",
    config=DedupConfig,
    run=run,
    writes="unique",
    reads=("filter",),
    version=3,
)

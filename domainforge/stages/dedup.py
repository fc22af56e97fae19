"""Kept to unique: of rows that say the same the best one stays, on each side."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.deduplicate.best import rank_row
from domainforge.deduplicate.exact import exact_key
from domainforge.deduplicate.near import Link, find_clusters
from domainforge.deduplicate.shingles import Shingling, text_jaccard
from domainforge.records import NO_TEACHER, chunk_ids_of, said_in, stable_id
from domainforge.run_folder import Inputs, Output
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.tables import EXAMPLE_SCHEMA, ordered_table


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

    @property
    def shingling(self) -> Shingling:
        """The fields that say what rows are compared by."""
        return Shingling(self.shingle_chars, self.shingle_words, self.long_text_words)


class Deduplicated(NamedTuple):
    """One row of each cluster and side, and the others with reason and evidence."""

    unique: pa.Table
    dropped: pa.Table


def dedup_rows(table: pa.Table, config: DedupConfig, seed: int) -> Deduplicated:
    """Keep the best row of every cluster on each side; both tables are ordered by id.

    No cluster is ever lost: each side that had a row of it keeps exactly one.
    """
    rows = sorted(table.to_pylist(), key=lambda row: str(row["id"]))
    texts = [said_in(row) for row in rows]
    made_of = [_made_of(row) for row in rows]
    clusters = find_clusters(texts, config.near_jaccard, seed, config.shingling, made_of)
    groups: dict[tuple[int, str | None], list[int]] = defaultdict(list)
    for at, label in enumerate(clusters.labels):
        groups[label, rows[at]["side"]].append(at)
    nearest = _nearest_links(clusters.links)
    unique: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for (label, _), members in groups.items():
        # Rows are ordered by id, so the row at the label has the lowest id of the cluster.
        cluster = stable_id("cluster", rows[label]["id"])
        best = min(members, key=lambda at: rank_row(rows[at]))
        unique.append({**rows[best], "cluster": cluster})
        for at in members:
            if at != best:
                why = _explain(at, best, texts, rows, nearest, config)
                dropped.append({**rows[at], "cluster": cluster, **why})
    return Deduplicated(
        ordered_table(unique, EXAMPLE_SCHEMA), ordered_table(dropped, EXAMPLE_SCHEMA)
    )


def run(config: DedupConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Keep one row of each cluster on each side."""
    table = inputs.table("filter")
    unique, dropped = dedup_rows(table, config, context.seed)
    out.write(unique)
    out.write(dropped, "dropped")
    context.progress(table.num_rows, table.num_rows, unique=unique.num_rows)
    reasons = Counter(dropped.column("reason").to_pylist())
    account = Account("rows", total=table.num_rows, done=unique.num_rows, dropped=reasons)
    clusters = len(set(unique.column("cluster").to_pylist()))
    return StageResult(account, figures={"clusters": clusters})


def _made_of(row: Mapping[str, Any]) -> str | None:
    """Name the sentence that a row was made of without a teacher; None for any other row.

    Rows of one sentence have gaps in different places: they look alike and ask for different
    things.
    """
    if row["teacher"] != NO_TEACHER:
        return None
    return stable_id(row["prompt"], chunk_ids_of(row), row["unit"])


def _nearest_links(links: list[Link]) -> dict[int, Link]:
    nearest: dict[int, Link] = {}
    for link in links:
        for at in (link.left, link.right):
            if at not in nearest or link.jaccard > nearest[at].jaccard:
                nearest[at] = link
    return nearest


def _explain(
    at: int,
    best: int,
    texts: list[str],
    rows: list[dict[str, Any]],
    nearest: dict[int, Link],
    config: DedupConfig,
) -> dict[str, str]:
    """Name the survivor, how alike it is, and where it is less so, the row that links them."""
    survivor = rows[best]["id"]
    if exact_key(texts[at]) == exact_key(texts[best]):
        return {"reason": "exact_duplicate", "evidence": f"{survivor}, jaccard 1.00"}
    share = text_jaccard(texts[at], texts[best], config.shingling)
    evidence = f"{survivor}, jaccard {share:.2f}"
    link = nearest[at]
    if config.near_jaccard is not None and share < config.near_jaccard:
        between = rows[link.right if link.left == at else link.left]["id"]
        evidence += f"; linked through {between}, jaccard {link.jaccard:.2f}"
    return {"reason": "near_duplicate", "evidence": evidence}


STAGE = Stage(
    name="dedup",
    config=DedupConfig,
    run=run,
    writes="unique",
    reads=("filter",),
    version=2,
)

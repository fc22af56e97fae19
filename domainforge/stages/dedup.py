"""Kept to unique: of rows that say the same the best stay, on each side."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.deduplicate.deciding import Decision, Rules, decide, explain
from domainforge.deduplicate.earlier import Earlier, find_earlier
from domainforge.deduplicate.semantic import SemanticConfig, find_model, model_files
from domainforge.deduplicate.shingles import Shingling
from domainforge.files import file_hash
from domainforge.passages import PassageStore
from domainforge.records import stable_id
from domainforge.run_folder import Inputs, Output, storage_errors
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.tables import EXAMPLE_SCHEMA


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
    keep_other_answers: bool = Field(
        True,
        description="Rows whose short answers say different things (other numbers, or no word in "
        "common) are two facts, however alike the questions: neither goes for the other.",
    )
    candidates: int = Field(
        1,
        ge=1,
        description="So many of the best rows of each cluster and side stay. More than one is for "
        "the judge, which keeps the best of them.",
    )

    semantic: SemanticConfig | None = Field(
        None,
        description="Rows that say the same in other words; null leaves them alone, since a row "
        "may sound like another and mean something else.",
    )
    against: tuple[str, ...] = Field(
        (),
        description="Runs of this project, and files or folders of Parquet or JSON lines with "
        "`messages` or `text`: copies and near-duplicates of what they were trained on are "
        "dropped (`seen_before`).",
    )
    max_copied_share: float | None = Field(
        0.9,
        ge=0,
        le=1,
        description="Texts by the teacher of which more than this stands in their passages word "
        "by word (share of their runs of five words) only repeat these; null lets them.",
    )

    def rules(self, seed: int) -> Rules:
        """Return the fields as what rows are compared by."""
        return Rules(
            near_jaccard=self.near_jaccard,
            shingling=Shingling(self.shingle_chars, self.shingle_words, self.long_text_words),
            keep_other_answers=self.keep_other_answers,
            candidates=self.candidates,
            seed=seed,
            semantic=self.semantic,
            max_copied_share=self.max_copied_share,
        )


class Deduplicated(NamedTuple):
    """The best rows of each cluster and side, and the others with reason and evidence."""

    unique: pa.Table
    dropped: pa.Table


def dedup_rows(table: pa.Table, rules: Rules) -> Deduplicated:
    """Keep the best rows of every cluster on each side; both tables are ordered by id.

    No cluster is ever lost: each side that had a row of it keeps one at least, rows that only
    copy a passage or were seen before aside.
    """
    batches = table.sort_by("id").to_batches()
    decision = decide(batches, rules)
    parts = [Deduplicated(EXAMPLE_SCHEMA.empty_table(), EXAMPLE_SCHEMA.empty_table())]
    parts += part_rows(batches, decision, rules)
    return Deduplicated(*(pa.concat_tables(tables) for tables in zip(*parts, strict=True)))


def part_rows(
    batches: Iterable[pa.RecordBatch], decision: Decision, rules: Rules
) -> Iterator[Deduplicated]:
    """Yield the rows of each batch that stay and those that go, with cluster and evidence."""
    first = 0
    for batch in batches:
        table = pa.Table.from_batches([batch]).select(EXAMPLE_SCHEMA.names).cast(EXAMPLE_SCHEMA)
        rows = np.arange(first, first + table.num_rows)
        # Rows are ordered by id, so the row at a label has the lowest id of the cluster.
        clusters = [stable_id("cluster", decision.id_of(at)) for at in decision.labels[rows]]
        table = _replace(table, "cluster", clusters)
        stays = decision.survivors.stays[rows]
        dropped = table.filter(pa.array(~stays))
        why = [explain(int(row), decision, rules) for row in rows[~stays]]
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
        rules = make_rules(config, context, PassageStore.of(inputs.folder("chunk"), out.scratch))
        decision = decide(inputs.batches("filter"), rules, out.scratch, report)
        kept = out.stream(EXAMPLE_SCHEMA)
        left = out.stream(EXAMPLE_SCHEMA, "dropped")
        for unique, dropped in part_rows(inputs.batches("filter"), decision, rules):
            kept.add_table(unique)
            left.add_table(dropped)
            reasons.update(dropped.column("reason").to_pylist())
            done = kept.rows + left.rows
            context.progress((total + done) // 2, total, unique=kept.rows)
    unique_rows = kept.rows
    out.finish(kept)
    out.finish(left, "dropped")
    account = Account("rows", total=total, done=unique_rows, dropped=reasons)
    return StageResult(account, figures={"clusters": int(np.unique(decision.labels).size)})


def find_others(config: DedupConfig, context: Context) -> tuple[list[Earlier], Path | None]:
    """Return what was trained on before, and the folder of the embedding model; reads nothing.

    Raises:
        ConfigError: A run, a file or the model isn't there.
    """
    earlier = find_earlier(config.against, context.project / "runs", context.run_name, context.find)
    return earlier, find_model(config.semantic, context.find) if config.semantic else None


def make_rules(
    config: DedupConfig, context: Context, chunks: Mapping[str, Mapping[str, Any]]
) -> Rules:
    """Return what counts as the same in this run."""
    earlier, model = find_others(config, context)
    return replace(config.rules(context.seed), model=model, chunks=chunks, earlier=earlier)


def identity(config: DedupConfig, context: Context) -> dict[str, Any]:
    """Return hashes of what other runs and files hold, and of the embedding model."""
    earlier, model = find_others(config, context)
    found: dict[str, Any] = {}
    if earlier:
        found["against"] = [one.identity for one in earlier]
    if model:
        found["model"] = {path.name: file_hash(path) for path in model_files(model)}
    return found


def _replace(table: pa.Table, column: str, values: list[str]) -> pa.Table:
    index = table.schema.get_field_index(column)
    return table.set_column(index, column, pa.array(values, pa.string()))


STAGE = Stage(
    name="dedup",
    config=DedupConfig,
    run=run,
    writes="unique",
    reads=("chunk", "filter"),
    version=4,
    identity=identity,
)

"""What becomes of every row: seen before, a copy, like another, or kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domainforge.deduplicate.chains import cut_chains
from domainforge.deduplicate.copies import CopyFinder
from domainforge.deduplicate.earlier import Earlier, find_seen
from domainforge.deduplicate.near import Clusters, cluster_texts
from domainforge.deduplicate.semantic import (
    Likenesses,
    Sayings,
    SemanticConfig,
    find_likenesses,
    find_root,
    join,
)
from domainforge.deduplicate.shingles import Shingling, text_jaccard
from domainforge.deduplicate.survivors import (
    Facts,
    FactSheet,
    Survivors,
    choose_survivors,
)
from domainforge.deduplicate.text_store import TextStore
from domainforge.records import answer_of, said_in

_LOOKED_AT = (
    *("id", "kind", "messages", "text", "side", "scores"),
    *("teacher", "prompt", "chunk_id", "also", "unit"),
)
_KINDS = ("chat", "text", "preference")


@dataclass(frozen=True)
class Rules:
    """What counts as the same, and beside what the rows are looked at.

    Attributes:
        near_jaccard: None for exact copies only.
        shingling: What that is measured by.
        keep_other_answers: Whether rows whose short answers are other facts are no near-duplicates.
        candidates: How many rows of a cluster and side stay.
        seed: Chooses hash functions, axes and buckets.
        semantic: None to leave rows in other words alone.
        model: Folder of its embedding model, where it has one.
        max_copied_share: None to let texts copy their passages.
        chunks: The passages, by id.
        earlier: What was trained on before.
    """

    near_jaccard: float | None
    shingling: Shingling
    candidates: int
    seed: int
    keep_other_answers: bool = True
    semantic: SemanticConfig | None = None
    model: Path | None = None
    max_copied_share: float | None = None
    chunks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    earlier: Sequence[Earlier] = ()


class Why(NamedTuple):
    """A reason to leave a row out, and what shows it."""

    reason: str
    evidence: str


class Semantics(NamedTuple):
    """Rows that were compared by what they say: their numbers, and what was found."""

    rows: npt.NDArray[np.int64]
    likenesses: Likenesses


class Decision(NamedTuple):
    """What becomes of every row, by its number in the order of ids; arrays, and texts on disk.

    Attributes:
        labels: [row] The lowest row of its cluster, all links counted.
        clusters: By copies and near-duplicates alone, chains cut.
        gone: Rows that leave for what they are, not for another row here.
    """

    facts: Facts
    texts: TextStore
    labels: npt.NDArray[np.int32]
    clusters: Clusters
    semantics: Semantics | None
    survivors: Survivors
    gone: Mapping[int, Why]

    def id_of(self, row: int) -> str:
        """Return the id of a row."""
        return bytes(self.facts.ids[row]).decode()


class _Gathered(NamedTuple):
    """What one look at all rows gave."""

    facts: Facts
    texts: TextStore
    kinds: npt.NDArray[np.int8]
    answers: npt.NDArray[np.int32]
    gone: dict[int, Why]


def decide(
    batches: Iterable[pa.RecordBatch],
    rules: Rules,
    scratch: Path | None = None,
    report: Callable[[int], None] | None = None,
) -> Decision:
    """Decide which rows stay.

    Args:
        batches: All rows, ordered by id.
        rules: What counts as the same.
        scratch: Folder for texts, keys and vectors; None to hold them in memory.
        report: Called with the number of rows read.

    Raises:
        DataError: An earlier file can't be read.
    """
    facts, texts, kinds, answers, gone = _gather(batches, rules, scratch, report)
    if rules.earlier:
        made_of = facts.made_of != 0
        shared = (rules.near_jaccard, rules.seed, rules.shingling)
        seen = find_seen(texts, rules.earlier, *shared, made_of, scratch)
        gone |= {row: Why("seen_before", str(why)) for row, why in seen.items() if row not in gone}
    clusters = cluster_texts(
        texts,
        rules.near_jaccard,
        rules.seed,
        rules.shingling,
        apart=facts.made_of,
        scratch=scratch,
    )
    leaving = np.array(sorted(gone), dtype=np.int64)
    facts.ranks[leaving] = np.inf  # so that no row goes for one that goes itself
    if rules.near_jaccard is not None:
        known = (facts.ranks, facts.made_of, texts.read)
        measure = (rules.near_jaccard, rules.shingling)

        def answer(row: int) -> str:
            length = int(answers[row])
            return texts.read(row)[-length:] if length else ""

        parted = cut_chains(
            clusters, *known, *measure, answer if rules.keep_other_answers else None
        )
        clusters = replace(clusters, labels=parted)
    labels, semantics = clusters.labels, None
    if rules.semantic is not None:
        near = choose_survivors(labels, facts, 1)
        near.stays[leaving] = False
        sayings = _choose_sayings(near, labels, facts, texts, kinds, answers)
        likenesses = find_likenesses(sayings, rules.semantic, rules.seed, rules.model, scratch)
        semantics = Semantics(sayings.rows, likenesses)
        labels = _join_clusters(labels, semantics)
    survivors = choose_survivors(labels, facts, rules.candidates)
    survivors.stays[leaving] = False
    return Decision(facts, texts, labels, clusters, semantics, survivors, gone)


def explain(row: int, decision: Decision, rules: Rules) -> Why:
    """Name the survivor, how alike it is, and where it is less so, the row that links them."""
    if row in decision.gone:
        return decision.gone[row]
    clusters, texts = decision.clusters, decision.texts
    best = int(decision.survivors.best[row])
    survivor = decision.id_of(best)
    if clusters.first[row] == clusters.first[best]:
        return Why("exact_duplicate", f"{survivor}, jaccard 1.00")
    if decision.semantics is not None and clusters.labels[row] != clusters.labels[best]:
        place = int(np.searchsorted(decision.semantics.rows, row))
        rows = decision.semantics.rows
        if place < len(rows) and rows[place] == row:
            return Why("semantic_duplicate", _compare(row, place, best, decision))
    between, likeness = int(clusters.linked[row]), float(clusters.jaccard[row])
    share = likeness
    if between != best:
        share = text_jaccard(texts.read(row), texts.read(best), rules.shingling)
    evidence = f"{survivor}, jaccard {share:.2f}"
    if rules.near_jaccard is not None and share < rules.near_jaccard:
        evidence += f"; linked through {decision.id_of(between)}, jaccard {likeness:.2f}"
    return Why("near_duplicate", evidence)


def _gather(
    batches: Iterable[pa.RecordBatch],
    rules: Rules,
    scratch: Path | None,
    report: Callable[[int], None] | None,
) -> _Gathered:
    texts = TextStore(scratch / "texts.arrow" if scratch else None)
    sheet = FactSheet()
    finder = None
    if rules.max_copied_share is not None and rules.chunks:
        finder = CopyFinder(rules.chunks, rules.max_copied_share)
    kinds, answers = bytearray(), [np.empty(0, np.int32)]
    gone: dict[int, Why] = {}
    for batch in batches:
        lengths = []
        for row in batch.select(_LOOKED_AT).to_pylist():
            said = said_in(row)
            copied = finder.find(row) if finder else None
            if copied:
                gone[len(kinds)] = Why("copies_document", str(copied))
            texts.add(said)
            sheet.add(row)
            kinds.append(_KINDS.index(row["kind"]))
            lengths.append(len(answer_of(row).rstrip()))
        answers.append(np.array(lengths, np.int32))
        if report:
            report(len(kinds))
    texts.close()
    of_kind = np.frombuffer(bytes(kinds), np.int8)
    return _Gathered(sheet.whole(), texts, of_kind, np.concatenate(answers), gone)


def _choose_sayings(
    near: Survivors,
    labels: npt.NDArray[np.int32],
    facts: Facts,
    texts: TextStore,
    kinds: npt.NDArray[np.int8],
    answers: npt.NDArray[np.int32],
) -> Sayings:
    """Choose the best row of each cluster and side; not where a cluster has several kinds.

    Rows with gaps are left out: they sound alike and ask for different things.
    """
    lowest, highest = kinds.copy(), kinds.copy()
    np.minimum.at(lowest, labels, kinds)
    np.maximum.at(highest, labels, kinds)
    alike = lowest[labels] == highest[labels]
    rows = np.flatnonzero(near.stays & alike & (facts.made_of == 0)).astype(np.int64)
    return Sayings(texts.read, rows, kinds[rows], answers[rows])


def _join_clusters(labels: npt.NDArray[np.int32], found: Semantics) -> npt.NDArray[np.int32]:
    joined = labels.copy()
    groups = found.likenesses.labels
    for place in np.flatnonzero(groups != np.arange(len(groups))):
        other = int(groups[place])
        join(joined, int(labels[found.rows[place]]), int(labels[found.rows[other]]))
    for label in np.flatnonzero(joined == labels):
        joined[label] = find_root(joined, int(label))
    return joined[joined]


def _compare(row: int, place: int, best: int, decision: Decision) -> str:
    assert decision.semantics is not None
    rows, found = decision.semantics
    between, cosine = int(rows[found.linked[place]]), float(found.cosines[place])
    survivor = decision.id_of(best)
    if between == best or found.space is None:
        return f"{survivor}, cosine {cosine:.2f}"
    both = [decision.texts.read(at) for at in (row, best)]
    share = float(found.space.cosines(both, np.array([[0, 1]]))[0])
    if between == row:
        return f"{survivor}, cosine {share:.2f}; linked through others of their clusters"
    link = f"linked through {decision.id_of(between)}, cosine {cosine:.2f}"
    return f"{survivor}, cosine {share:.2f}; {link}"

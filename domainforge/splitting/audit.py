"""The audit: what must not be in the final tables, looked for in the files as written.

Nothing is taken over from the split but what it wrote. All is streamed; in memory are keys of what
is held out, and of every chunk its unit and its text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from domainforge.deduplicate.exact import exact_key
from domainforge.deduplicate.overlap import ALIKE, SEQUENCE, ExamItem
from domainforge.evaluation.exam import ExamQuestion
from domainforge.records import REPLAY, chunk_ids_of, said_in
from domainforge.run_folder import Inputs, Output
from domainforge.splitting.config import SplitConfig
from domainforge.splitting.exam_overlap import Giveaways
from domainforge.splitting.keys import Keys, KeyTable, key_of, keys_of, text_values
from domainforge.splitting.near_test import Named, NamedTexts, match_near
from domainforge.splitting.passages_as_rows import passage_of
from domainforge.splitting.rows import is_document
from domainforge.table_writer import read_batches

Row = dict[str, Any]

AUDIT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("check", pa.string()),
        ("method", pa.string()),
        ("compared", pa.int64()),
        ("found", pa.int64()),
    ]
)
_SIDES = {"train": "train", "validation": "train", "test": "test"}
_MOST_FINDINGS = 20
_OWN = ("id", "kind", "side", "prompt", "prompt_hash", "cluster")
_SAID = ("messages", "text", "rejected")
_ABOUT = ("document_id", "chunk_id", "also", "start", "end")
_COLUMNS = (*_OWN, *_SAID, *_ABOUT)


@dataclass
class Check:
    """One thing that was looked for: how, among how many, and how often it was found."""

    name: str
    method: str
    compared: int = 0
    found: int = 0


@dataclass
class Audit:
    """What the audit looked for.

    Attributes:
        findings: One sentence for each of the first faults; none is a clean bill.
    """

    checks: dict[str, Check] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    @property
    def found(self) -> int:
        """How many faults there are."""
        return sum(check.found for check in self.checks.values())

    def add(self, name: str, method: str) -> None:
        """Begin a check."""
        self.checks[name] = Check(name, method)

    @property
    def is_full(self) -> bool:
        """Whether faults are only counted from now on."""
        return len(self.findings) >= _MOST_FINDINGS

    def fault(self, name: str, finding: str) -> None:
        """Note a fault."""
        self.checks[name].found += 1
        if not self.is_full:
            self.findings.append(finding)

    def rows(self) -> list[dict[str, Any]]:
        """Return the checks as rows of the table `audit`."""
        return [
            {"id": f"{at:02d}", "check": c.name, "method": c.method}
            | {"compared": c.compared, "found": c.found}
            for at, c in enumerate(self.checks.values(), 1)
        ]

    def figures(self) -> dict[str, Any]:
        """Return how much was looked at and found, for run.json."""
        return {
            "audit_checks": len(self.checks),
            "audit_compared": sum(check.compared for check in self.checks.values()),
            "audit_found": self.found,
        }


def audit_splits(
    out: Output,
    inputs: Inputs,
    exam: Sequence[ExamQuestion],
    benchmarks: Sequence[ExamItem],
    config: SplitConfig,
    seed: int,
) -> Audit:
    """Look in the final tables for what must not be there.

    Args:
        out: Has the tables train, validation, test and dropped.
        inputs: Chunks and their units.
        exam: Questions that no row may give away.
        benchmarks: Items that no row may hold.
        config: What counts as a match.
        seed: Chooses the hash functions of the search for near-duplicates.
    """
    audit, folder = Audit(), out.folder
    _audit_places(audit, folder)
    _audit_sharing(audit, folder, Chunks(inputs))
    _audit_near(audit, folder, config, seed, out.scratch)
    _audit_exam(audit, folder, inputs, exam, benchmarks, config)
    return audit


class Chunks:
    """The unit and the text of every chunk, as keys."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._units = _read_keys(inputs, "assign", "unit", key_of)
        self._texts = _read_keys(inputs, "chunk", "text", lambda text: key_of(exact_key(text)))

    def units(self, row: Row) -> dict[str, int]:
        """Return the units that a row is about, by the chunk (or else the document)."""
        about = chunk_ids_of(row)
        found = _look_up(self._units, about)
        parts = [row, *(row["also"] or ())]
        documents = {part["chunk_id"]: part["document_id"] for part in parts}
        return {
            f"document {documents[at]}" if at not in found else at: found.get(
                at, key_of(documents[at])
            )
            for at in about
        }

    def texts(self, row: Row) -> dict[str, int]:
        """Return the texts of the passages that a row is about, by chunk."""
        return _look_up(self._texts, chunk_ids_of(row))

    def unit_name(self, chunk_id: str) -> str:
        """Return the name of the unit that a chunk is in."""
        for batch in self._inputs.batches("assign", columns=["id", "unit"]):
            for at, unit in zip(*batch.to_pydict().values(), strict=True):
                if at == chunk_id:
                    return str(unit)
        return chunk_id.removeprefix("document ")


def _read_keys(inputs: Inputs, stage: str, column: str, key: Any) -> KeyTable:
    keys, values = [], []
    for batch in inputs.batches(stage, columns=["id", column]):
        found = batch.to_pydict()
        keys.append(keys_of(found["id"]))
        values.append(np.array([key(value) for value in found[column]], dtype=np.uint64))
    return KeyTable(keys, values)


def _look_up(table: KeyTable, names: Sequence[str]) -> dict[str, int]:
    places = table.find(keys_of(names))
    pairs = zip(names, places, strict=True)
    return {name: int(table.values[place]) for name, place in pairs if place >= 0}


def _audit_places(audit: Audit, folder: Path) -> None:
    audit.add("sides", "the side of every row is that of its table")
    audit.add("general rows", "general rows are in train only")
    for place, side in _SIDES.items():
        for row in _rows(folder, place):
            audit.checks["sides"].compared += 1
            if row["side"] != side:
                audit.fault("sides", f"row {row['id']} of side {row['side']} is in {place}")
            if place != "train":
                audit.checks["general rows"].compared += 1
                if row["prompt"] == REPLAY:
                    audit.fault("general rows", f"general row {row['id']} is in {place}")


def _audit_sharing(audit: Audit, folder: Path, chunks: Chunks) -> None:
    """Look for what train and validation share with test, and with each other."""
    across = "train and validation against test"
    audit.add("rows", "ids, each table against the others")
    audit.add("documents", f"document, or section held out as one, of each passage; {across}")
    audit.add("chunks", f"ids of the passages that rows are about; {across}")
    audit.add("passages", f"normalised texts of those passages; {across}")
    audit.add("clusters", "clusters of near-duplicates, each table against the others")
    audit.add("texts", f"what a row says, normalised; {across}")
    held = _Held(chunks, tuple(audit.checks)[-6:])
    held.read(_rows(folder, "test"))
    inner = _Held(chunks, ("rows", "clusters"))
    inner.read(_rows(folder, "validation"))
    for place in ("train", "validation"):
        for row in _rows(folder, place):
            held.compare(row, audit, "the training side", "test")
            if place == "train":
                inner.compare(row, audit, "train", "validation")


class _Held:
    """Keys of what rows of one table are and are about, each with the id of a row."""

    def __init__(self, chunks: Chunks, names: Sequence[str]) -> None:
        self._chunks = chunks
        self._names = names

    def read(self, rows: Iterator[Row]) -> None:
        keys: dict[str, list[Keys]] = {name: [] for name in self._names}
        ids: dict[str, list[Any]] = {name: [] for name in self._names}
        for batch in _batched(rows):
            for name in self._names:
                own = [
                    (value, row["id"]) for row in batch for value in self._of(name, row).values()
                ]
                keys[name].append(np.array([value for value, _ in own], dtype=np.uint64))
                ids[name].append(text_values(row_id for _, row_id in own))
        self._tables = {name: KeyTable(keys[name], ids[name]) for name in self._names}

    def compare(self, row: Row, audit: Audit, here: str, there: str) -> None:
        for name, table in self._tables.items():
            values = self._of(name, row)
            places = table.find(np.array(list(values.values()), dtype=np.uint64))
            audit.checks[name].compared += len(values)
            for value, place in zip(values, places, strict=True):
                if place >= 0:
                    other = bytes(table.values[place]).decode()
                    # To name a unit takes a look through all of them.
                    is_shown = name == "documents" and not audit.is_full
                    shown = self._chunks.unit_name(value) if is_shown else value
                    what = "unit" if name == "documents" else name.removesuffix("s")
                    where = f"in {here} (row {row['id']}) and in {there} (row {other})"
                    audit.fault(name, f"{what} {shown} is {where}")

    def _of(self, name: str, row: Row) -> dict[str, int]:
        """Return what of a row must not be in the other table: its name and its key."""
        if name == "documents":
            return self._chunks.units(row)
        if name == "passages":
            return self._chunks.texts(row)
        if name == "texts":
            return {f"of row {row['id']}": key_of(exact_key(said_in(row)))}
        if name == "chunks":
            return {chunk_id: key_of(chunk_id) for chunk_id in chunk_ids_of(row)}
        value = row["id"] if name == "rows" else row["cluster"]
        return {value: key_of(value)} if value else {}


def _audit_near(audit: Audit, folder: Path, config: SplitConfig, seed: int, scratch: Path) -> None:
    """Look for near-duplicates of held-out rows and passages on the training side."""
    least = config.near_test_jaccard
    how = f"MinHash finds candidates, Jaccard >= {least:.2f} decides; train and validation"
    for name, read in (("near rows", _said), ("near passages", _passages)):
        audit.add(name, f"{how} against test")
        check = audit.checks[name]

        def trained(read: Any = read, check: Check = check) -> Iterator[Named]:
            for place in ("train", "validation"):
                for one in read(folder, place):
                    check.compared += 1
                    yield one

        held = NamedTexts(scratch / f"test {name}")
        for text in read(folder, "test"):
            held.add(text)
        held.close()
        for near in match_near(trained(), held, least, seed, scratch / f"trained {name}"):
            what = "row" if name == "near rows" else "passage"
            finding = f"{what} {near.name} of the training side is like {near.held} of the test"
            audit.fault(name, f"{finding}, jaccard {near.jaccard:.2f}")


def _said(folder: Path, place: str) -> Iterator[Named]:
    return (Named(row["id"], said_in(row)) for row in _rows(folder, place))


def _passages(folder: Path, place: str) -> Iterator[Named]:
    rows = (row for row in _rows(folder, place) if is_document(row))
    return (Named(row["chunk_id"], passage_of(row)) for row in rows)


def _audit_exam(
    audit: Audit,
    folder: Path,
    inputs: Inputs,
    exam: Sequence[ExamQuestion],
    benchmarks: Sequence[ExamItem],
    config: SplitConfig,
) -> None:
    """Look for rows that give a question away; how common words are is counted anew."""
    against = f"every row that a teacher wrote against {len(exam)} questions"
    names = {"exam_overlap": "exam", "benchmark_overlap": "benchmarks"}
    alike = f"Jaccard of words >= {config.exam_jaccard:.2f}, or cosine of TF-IDF >= "
    alike += f"{config.exam_cosine:.2f} ({config.exam_answer_cosine:.2f} with the same answer)"
    runs = f"{config.exam_ngram_words} words in a row, or a whole short question"
    audit.add("exam, words in a row", f"{runs}; {against}")
    audit.add("exam, asked alike", f"{alike}; {against}")
    if benchmarks:
        items = f"every row against {len(benchmarks)} items"
        audit.add("benchmarks, words in a row", f"{runs}; documents word by word; {items}")
        audit.add("benchmarks, asked alike", f"{alike}; {items}")
    columns = inputs.batches("chunk", columns=["title"])
    titles = {title for batch in columns for title in batch.column("title").to_pylist()}
    leaks = Giveaways(exam, config, titles, benchmarks)
    for place in (*_SIDES, "dropped"):
        leaks.count(_rows(folder, place))
    rules = {SEQUENCE: "words in a row", ALIKE: "asked alike"}
    for place in _SIDES:
        for batch in _batched(_rows(folder, place)):
            written = sum(bool(row["prompt_hash"]) for row in batch)
            for name, check in audit.checks.items():
                if name.startswith(("exam, ", "benchmarks, ")):
                    whole = name == "benchmarks, words in a row"
                    check.compared += len(batch) if whole else written
            for row_id, drop in leaks.find(batch).items():
                name = f"{names[drop.reason]}, {rules[drop.rule]}"
                audit.fault(name, f"row {row_id} in {place} matches {drop.evidence}")


def _rows(folder: Path, place: str) -> Iterator[Row]:
    for batch in read_batches(folder / place, _COLUMNS):
        yield from batch.to_pylist()


def _batched(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == 512:
            yield batch
            batch = []
    if batch:
        yield batch

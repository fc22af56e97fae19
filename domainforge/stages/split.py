"""Unique rows and chunks to train, validation and test; applies the sides, then audits the files.

What would flatter the student is dropped here with its reason: rows that give an exam question
away, and training rows that are like something held out.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from domainforge.context import Context
from domainforge.errors import DataError
from domainforge.evaluation.exam import ExamQuestion, exam_hash
from domainforge.records import REPLAY, Example, chunk_ids_of
from domainforge.run_folder import Inputs, Output
from domainforge.splitting.audit import audit_splits
from domainforge.splitting.config import SplitConfig
from domainforge.splitting.exam_overlap import Drop, exam_index, find_exam_overlap
from domainforge.splitting.near_test import find_near_test
from domainforge.splitting.replay import identify_replay, load_replay, source_of
from domainforge.stage import Account, Stage, StageResult
from domainforge.tables import EXAMPLE_SCHEMA, example_table, ordered_table

Row = dict[str, Any]

_FEWEST_FOR_VALIDATION = 10
_SHOWN = 8
_DOCUMENT = "document"


class Splits(NamedTuple):
    """The three tables that training and evaluation read, and what was left out of them."""

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    dropped: pa.Table


def split_rows(
    examples: pa.Table,
    chunks: pa.Table,
    sides: pa.Table,
    exam: Sequence[ExamQuestion],
    config: SplitConfig,
    seed: int,
    replay: Sequence[Example] = (),
) -> Splits:
    """Divide the examples, and one text row per chunk, into train, validation and test.

    A row is on the side of its chunk. Texts are never validation: what they say must be learned.
    General rows (`replay`) are only trained on; those with a reason are dropped for it.

    Raises:
        DataError: A chunk has no side, or a row is about a chunk that isn't there.
    """
    passages = {chunk["id"]: chunk for chunk in chunks.to_pylist()}
    side_of = dict(zip(_strings(sides, "id"), _strings(sides, "side"), strict=True))
    rows = [
        {**row, "side": _side(row, side_of), "reason": None, "evidence": None}
        for row in [*examples.to_pylist(), *_text_rows(passages.values()).to_pylist()]
    ]
    rows += example_table(replay).to_pylist()
    drops = {row.id: Drop(row.reason, str(row.evidence)) for row in replay if row.reason}
    for found in (
        find_exam_overlap(rows, exam_index(exam, config, set(_strings(chunks, "title")))),
        find_near_test(rows, passages, config, seed),
    ):
        drops = found | drops
    left = [row for row in rows if row["id"] not in drops]
    held = _choose_validation(left, config.validation_share, seed)
    trained = [row for row in left if row["side"] == "train"]
    return Splits(
        train=_table(row for row in trained if row["id"] not in held),
        validation=_table(row for row in trained if row["id"] in held),
        test=_table(row for row in left if row["side"] == "test"),
        dropped=_table({**row, **vars(drops[row["id"]])} for row in rows if row["id"] in drops),
    )


def run(config: SplitConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Write the three tables, read them back and audit them.

    Raises:
        DataError: Nothing is left to train on, or the audit finds a leak.
    """
    examples, chunks = inputs.table("judge"), inputs.table("chunk")
    sides = inputs.table("assign")
    replay = load_replay(config.replay, context.project, context.seed) if context.replays else []
    passages = sum(not messages for messages in _messages(chunks))
    total = examples.num_rows + passages + len(replay)
    splits = split_rows(examples, chunks, sides, context.exam, config, context.seed, replay)
    reasons = Counter(splits.dropped.column("reason").to_pylist())
    if _count(splits.train, REPLAY) == splits.train.num_rows:
        raise DataError(_explain_empty(splits, reasons, total))
    if replay and not _count(splits.train, REPLAY):
        raise DataError(
            f"split.replay: none of {len(replay)} general rows is left ({_list_reasons(reasons)}); "
            "name another file or dataset, or set train.mixture.replay to 0"
        )
    for name, table in splits._asdict().items():
        out.write(table, name)
    findings = audit_splits(
        out.read("train"),
        out.read("validation"),
        out.read("test"),
        context.exam,
        units=dict(zip(_strings(sides, "id"), _strings(sides, "unit"), strict=True)),
        passages=dict(zip(_strings(chunks, "id"), _strings(chunks, "text"), strict=True)),
        titles=set(_strings(chunks, "title")),
        config=config,
    )
    if findings:
        more = [f"and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
        raise DataError("\n".join(["the audit of the splits failed:", *findings[:_SHOWN], *more]))
    context.progress(total, total)
    account = Account("rows", total=total, done=total - splits.dropped.num_rows, dropped=reasons)
    return StageResult(account, _notes(splits, reasons, len(context.exam)), _figures(splits))


def identify(config: SplitConfig, context: Context) -> dict[str, Any]:
    """Return the exam's hash, since another exam drops other rows, and what replay depends on."""
    exam = exam_hash(context.exam_path) if context.exam_path else None
    replay = identify_replay(config.replay, context.project) if context.replays else None
    return {"exam": exam, "replay": replay}


def chunk_text(chunk: Mapping[str, Any]) -> str:
    """Return a chunk as Markdown under its title and headings.

    A heading that the chunk's own text begins with is not said twice.
    """
    said = {line.strip("# ") for line in chunk["text"].split("\n") if line.startswith("#")}
    above: list[str] = []
    for level, heading in enumerate([chunk["title"], *(chunk["headings"] or ())], 1):
        line = f"{'#' * min(level, 6)} {heading}"
        if heading and heading not in said and not (level == 2 and heading == chunk["title"]):
            above.append(line)
    return "\n".join(above) + ("\n\n" if above else "") + str(chunk["text"])


def _text_rows(chunks: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Make one text row of every chunk, so that training reads nothing but the splits.

    A chat is no text to learn by heart: it is an example already.
    """
    return example_table(
        Example(
            kind="text",
            document_id=chunk["document_id"],
            uri=chunk["uri"],
            chunk_id=chunk["id"],
            start=chunk["start"],
            end=chunk["end"],
            prompt=_DOCUMENT,
            prompt_hash="",
            teacher="",
            text=chunk_text(chunk),
        )
        for chunk in chunks
        if not chunk.get("messages")
    )


def _side(row: Row, side_of: Mapping[str, str]) -> str:
    sides = set()
    for chunk_id in chunk_ids_of(row):
        side = side_of.get(chunk_id)
        if side is None:
            raise DataError(
                f"row {row['id']}: chunk {chunk_id} has no side; run again with --from assign"
            )
        sides.add(side)
    if len(sides) > 1:
        raise DataError(
            f"row {row['id']} is about passages of both sides; run again with --from generate"
        )
    return sides.pop()


def _choose_validation(rows: Sequence[Row], share: float, seed: int) -> set[str]:
    """Choose whole clusters of the training side's chats, in an order that the seed shuffles."""
    clusters: dict[str, list[str]] = defaultdict(list)
    staying = set()
    for row in rows:
        if row["side"] == "train" and row["prompt"] != REPLAY:
            cluster = row["cluster"] or row["id"]
            if row["kind"] == "chat":
                clusters[cluster].append(row["id"])
            else:
                staying.add(cluster)  # what is no chat is trained on, and takes its like along
    total = sum(map(len, clusters.values()))
    wanted = round(share * total)
    if share and total >= _FEWEST_FOR_VALIDATION:
        wanted = max(wanted, 1)
    chosen: set[str] = set()
    for cluster in sorted(clusters.keys() - staying, key=lambda name: _shuffled(seed, name)):
        if len(chosen) >= wanted:
            break
        chosen.update(clusters[cluster])
    return chosen


def _shuffled(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _table(rows: Iterable[Row]) -> pa.Table:
    return ordered_table(list(rows), EXAMPLE_SCHEMA)


def _strings(table: pa.Table, name: str) -> list[str]:
    values: list[str] = table.column(name).to_pylist()
    return values


def _messages(chunks: pa.Table) -> list[Any]:
    named = "messages" in chunks.column_names
    return chunks.column("messages").to_pylist() if named else [None] * chunks.num_rows


def _count(table: pa.Table, what: str) -> int:
    """Count the rows of a kind that are about the documents, or the general ones (`replay`)."""
    pairs = zip(_strings(table, "kind"), _strings(table, "prompt"), strict=True)
    return sum((REPLAY if prompt == REPLAY else kind) == what for kind, prompt in pairs)


def _figures(splits: Splits) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, table in splits._asdict().items():
        if name != "dropped":
            figures |= {f"{name}_{kind}s": _count(table, kind) for kind in ("chat", "text")}
            preferences = _count(table, "preference")
            if preferences:
                figures[f"{name}_preferences"] = preferences
    replay = next((r for r in splits.train.to_pylist() if r["prompt"] == REPLAY), None)
    if replay is not None:
        figures |= {"replay_rows": _count(splits.train, REPLAY), "replay_from": source_of(replay)}
    return figures


def _notes(splits: Splits, reasons: Mapping[str, int], exam_questions: int) -> tuple[str, ...]:
    train = splits.train
    parts = [
        f"{_count(train, kind)} {word}"
        for kind, word in (
            ("chat", "chats"),
            ("text", "texts"),
            ("preference", "preferences"),
        )
        if kind in ("chat", "text") or _count(train, kind)
    ]
    general = _count(train, REPLAY)
    beside = f" beside {general} general ones (their share: train.mixture.replay)"
    notes = [
        f"{train.num_rows - general} rows to train on ({', '.join(parts)})"
        f"{beside if general else ''}, {splits.validation.num_rows} for validation, "
        f"{splits.test.num_rows} for test"
    ]
    if reasons.get("exam_overlap"):
        notes.append(
            f"dropped because they match one of the {exam_questions} exam questions: "
            f"{reasons['exam_overlap']}"
        )
    if reasons.get("near_test"):
        notes.append(
            f"dropped from training because they are like what is held out: {reasons['near_test']}"
        )
    if not splits.validation.num_rows:
        notes.append("no rows for validation: the checkpoint can't be chosen by validation loss")
    return tuple(notes)


def _explain_empty(splits: Splits, reasons: Mapping[str, int], total: int) -> str:
    held = f"{splits.test.num_rows} held out for test"
    why = ", ".join(filter(None, [_list_reasons(reasons), held]))
    return (
        f"none of {total} rows is left to train on ({why}); "
        "lower assign.test_share, or add documents"
    )


def _list_reasons(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} dropped as {reason}" for reason, count in sorted(reasons.items()))


STAGE = Stage(
    name="split",
    config=SplitConfig,
    run=run,
    writes="splits",
    reads=("chunk", "assign", "judge"),
    version=2,
    identity=identify,
)

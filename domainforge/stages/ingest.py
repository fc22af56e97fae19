"""Sources to documents; one bad file never stops the rest, and each is named with its reason."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from domainforge.context import Context
from domainforge.errors import ConfigError, SourceError
from domainforge.records import canonical_json, stable_id, text_hash
from domainforge.run_folder import Inputs, Output
from domainforge.sources.choice import OpenSource, open_sources
from domainforge.sources.collecting import Collection, SourceReader
from domainforge.sources.config import SourceConfig
from domainforge.sources.files import FileHashes, FilesSource
from domainforge.sources.forgotten import load_forgotten
from domainforge.sources.journal import FILE_NAME, Journal, known_hashes
from domainforge.sources.report import (
    LIST_NAME,
    describe_barren,
    describe_kinds,
    write_list,
)
from domainforge.sources.workers import Limits, WorkerPool
from domainforge.stage import Account, Settings, Stage, StageResult
from domainforge.table_writer import read_batches
from domainforge.tables import DOCUMENT_SCHEMA

LEFT_OUT_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "uri", "reason", "detail")])
_NAMED = 5
_SCRATCH = ".parsers"
_VERSION = 2


class IngestConfig(Settings):
    """How sources are read; what is read stands under `sources`."""

    max_file_mb: int = Field(
        500,
        ge=1,
        description="Larger files are reported as too_large instead of read, in MB; kinds that "
        "are read in parts (jsonl, csv, archives, dumps) may have any size.",
    )
    max_file_seconds: float = Field(
        120, gt=0, description="Longest time for one file, or for one part of a large one."
    )
    max_file_memory_mb: int = Field(
        2048, ge=256, description="Most memory that reading one file may take."
    )

    @property
    def max_file_bytes(self) -> int:
        """The same in bytes."""
        return self.max_file_mb * 1_000_000


def run(config: IngestConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Read all sources into documents.

    The account counts documents where an item could be read (each row of a .jsonl file may be one)
    and items where not: `total` is what was found, `done` the documents, `dropped` what was left
    out on purpose, `failed` what couldn't be read.

    Raises:
        SourceError: A source that doesn't exist, or nothing readable in any of them.
    """
    previous = out.previous / FILE_NAME if out.previous else None
    hashes = FileHashes(known_hashes(previous) if previous else {}, config.max_file_bytes)
    sources = _keyed(_open(context, hashes), config, context.seed)
    limits = Limits(config.max_file_bytes, config.max_file_seconds, config.max_file_memory_mb << 20)
    with closing(_begin(out, previous)) as journal:
        writer = out.stream(DOCUMENT_SCHEMA, segments=journal.segments)
        forgotten = load_forgotten(context.project)
        collection = Collection(
            journal, writer, forgotten, context.seed, _count(sources), context.progress
        )
        with WorkerPool(limits, scratch=out.folder / _SCRATCH) as pool:

            def make_reader(key: str, opened: OpenSource, position: Any) -> SourceReader:
                folder = context.sources_folder / key
                if not isinstance(opened.source, FilesSource):
                    folder.mkdir(parents=True, exist_ok=True)

                def room() -> int | None:
                    return collection.room(key, opened)

                return SourceReader(
                    key, folder, position, context.seed, context.say, room, journal, pool
                )

            collection.collect(sources, make_reader)
        segments = journal.segments
        for table in _carried(journal, out.previous):
            writer.add_table(table)
        journal.put_hashes(hashes.seen)
        try:
            result = _conclude(journal, out, context, sources, collection.mixture_ended_by)
        except SourceError:
            # Else the next run would go on with this one, and ask nobody again.
            _remove(journal, out)
            raise
        out.finish(writer, mend=lambda table: _with_names(table, journal))
        journal.commit(segments)
    return result


def _begin(out: Output, previous: Path | None) -> Journal:
    """Open the journal, and a new one where what it tells of is not there."""
    path = out.folder / FILE_NAME
    journal = Journal(path, previous)
    if all(out.has_segment(index) for index in range(journal.segments)):
        return journal
    _remove(journal, out)
    return Journal(path, previous)


def _remove(journal: Journal, out: Output) -> None:
    journal.close()
    (out.folder / FILE_NAME).unlink()


def identify(config: IngestConfig, context: Context) -> dict[str, Any]:
    """Return what tells whether a source has changed, so that it is read again."""
    previous = context.project / "runs" / context.run_name / "documents" / FILE_NAME
    opened = _open(context, FileHashes(known_hashes(previous), config.max_file_bytes))
    states = [{"source": _fields(o), "state": dict(o.source.identity())} for o in opened]
    return {"sources": states, "forgotten": load_forgotten(context.project).digest()}


def _open(context: Context, hashes: FileHashes) -> list[OpenSource]:
    if not context.sources and not context.extra_sources:
        raise ConfigError("sources: give at least one, such as `- files: FOLDER`")
    made = [OpenSource(SourceConfig.model_construct(), source) for source in context.extra_sources]
    return [*open_sources(context.sources, context.project, hashes), *made]


def _count(sources: Sequence[tuple[str, OpenSource]]) -> int:
    """Return how many items there are, or 0 where a source can't tell beforehand."""
    folders = [o.source for _, o in sources if isinstance(o.source, FilesSource)]
    return sum(folder.count for folder in folders) if len(folders) == len(sources) else 0


def _fields(opened: OpenSource) -> dict[str, Any]:
    return opened.config.model_dump(mode="json")


def _keyed(
    opened: Sequence[OpenSource], config: IngestConfig, seed: int
) -> list[tuple[str, OpenSource]]:
    """Name each source by all that shapes its documents; twice the same is numbered."""
    keyed: dict[str, OpenSource] = {}
    for one in opened:
        name = getattr(one.source, "name", "")
        recipe = [_VERSION, config.model_dump(mode="json"), _fields(one), name, seed]
        key, number = text_hash(canonical_json(recipe))[:16], 0
        while f"{key}-{number}" in keyed:
            number += 1
        keyed[f"{key}-{number}"] = one
    return list(keyed.items())


def _carried(journal: Journal, previous: Path | None) -> Iterator[pa.Table]:
    """Yield the documents of unchanged items from the last whole output."""
    if previous is None:
        return
    sql = "SELECT id FROM documents WHERE carried = 1 AND id BETWEEN ? AND ?"
    for batch in read_batches(previous):
        if not batch.num_rows:
            continue
        first, last = batch["id"][0].as_py(), batch["id"][-1].as_py()
        ids = [row[0] for row in journal.rows(sql, first, last)]
        if ids:
            table = pa.Table.from_batches([batch])
            yield table.filter(pc.is_in(table["id"], pa.array(ids)))


def _with_names(table: pa.Table, journal: Journal) -> pa.Table:
    """Write all names of each document, its own first."""
    if not table.num_rows:
        return table
    sql = (
        "SELECT d.id, n.uri FROM names n JOIN documents d ON d.sha = n.sha "
        "WHERE d.id BETWEEN ? AND ? ORDER BY n.uri"
    )
    others: dict[str, list[str]] = {}
    for document, uri in journal.rows(sql, table["id"][0].as_py(), table["id"][-1].as_py()):
        others.setdefault(document, []).append(uri)
    pairs = zip(table["id"].to_pylist(), table["uri"].to_pylist(), strict=True)
    names = [list(dict.fromkeys([uri, *others.get(id_, ())])) for id_, uri in pairs]
    place = table.schema.get_field_index("uris")
    return table.set_column(
        place, table.schema.field(place), pa.array(names, pa.list_(pa.string()))
    )


def _conclude(
    journal: Journal,
    out: Output,
    context: Context,
    sources: Sequence[tuple[str, OpenSource]],
    mixture_ended_by: str | None,
) -> StageResult:
    kinds = write_list(journal, out.folder / LIST_NAME)
    for name, condition in (("dropped", "fault = 0"), ("faults", "fault = 1")):
        writer = out.stream(LEFT_OUT_SCHEMA, name)
        for row in _left_out(journal, condition):
            writer.add(row, len(row["detail"]))
        out.finish(writer, name)
    ((documents, characters),) = journal.rows(
        "SELECT count(*), coalesce(sum(characters), 0) FROM documents"
    )
    ((items, carried),) = journal.rows(
        "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM documents WHERE carried = 1)"
    )
    dropped = _reasons(journal, "fault = 0")
    for reason, number in journal.rows("SELECT reason, sum(number) FROM counts GROUP BY reason"):
        dropped[reason] = dropped.get(reason, 0) + number
    ((copies,),) = journal.rows("SELECT count(*) FROM names")
    if copies:
        dropped["duplicate"] = dropped.get("duplicate", 0) + copies
    failed = _reasons(journal, "fault = 1")
    notes = [*_notes(journal, "fault = 1", "not read"), *_notes(journal, "fault = 0", "left out")]
    labels = {key: _label(opened) for key, opened in sources}
    elsewhere = {key: getattr(opened.source, "elsewhere", 0) for key, opened in sources}
    if documents or not notes:
        notes += describe_barren(journal, labels, elsewhere)
    if mixture_ended_by is not None:
        notes.append(
            f"the mixture ended where {labels[mixture_ended_by]} had no more, after "
            f"{journal.size_of_source(mixture_ended_by)[0]:,} documents of it"
        )
    if not documents:
        head = f"sources: nothing to read in {', '.join(labels.values())}"
        raise SourceError("\n".join([head, *(f"  {line}" for line in notes)]))
    partly = [
        row[0]
        for row in journal.rows("SELECT uri FROM documents WHERE blank_pages > 0 ORDER BY uri")
    ]
    if partly:
        notes.append(f"{len(partly)} read in part (pages without text): {_names(partly)}")
    if items > 1:
        notes.append(f"by kind:\n{describe_kinds(kinds)}\nevery item: {_list_name(context)}")
    account = Account(
        unit="documents and files",
        total=documents + sum(dropped.values()) + sum(failed.values()),
        done=documents,
        dropped=dropped,
        failed=failed,
    )
    figures = {
        "documents": documents,
        "characters": characters,
        "items": items,
        "documents_unchanged": carried,
    }
    return StageResult(account, tuple(notes), figures)


def _list_name(context: Context) -> str:
    return f"runs/{context.run_name}/{STAGE.writes}/{LIST_NAME}"


def _label(opened: OpenSource) -> str:
    """Return what a source is called in messages: its path or name, where it has one."""
    if isinstance(opened.source, FilesSource):
        return str(opened.config.files)
    if not opened.config.model_fields_set:
        return f"{type(opened.source).__name__} {getattr(opened.source, 'name', '')}".rstrip()
    place = getattr(opened.config, opened.config.place)
    names = ("path", "name", "dump", "files", "file", "url_env")
    own = next(filter(None, (getattr(place, name, None) for name in names)), None)
    return f"{opened.config.place} {own}" if own else opened.config.place


def _left_out(journal: Journal, condition: str) -> Iterator[dict[str, str]]:
    sql = f"SELECT uri, reason, detail FROM left_out WHERE {condition}"
    for uri, reason, detail in journal.rows(sql):
        yield _row(uri, reason, detail)
    if condition == "fault = 0":
        copies = "SELECT n.uri, d.uri FROM names n JOIN documents d ON d.sha = n.sha ORDER BY n.uri"
        for uri, original in journal.rows(copies):
            yield _row(uri, "duplicate", f"same text as {original}")


def _row(uri: str, reason: str, detail: str) -> dict[str, str]:
    row_id = stable_id("left_out", uri, reason, detail)
    return {"id": row_id, "uri": uri, "reason": reason, "detail": detail}


def _reasons(journal: Journal, condition: str) -> dict[str, int]:
    sql = f"SELECT reason, count(*) FROM left_out WHERE {condition} GROUP BY reason"
    return dict(journal.rows(sql))


def _notes(journal: Journal, condition: str, verb: str) -> Iterator[str]:
    """Write one line per reason, with the first names and the first detail."""
    for reason, number in sorted(_reasons(journal, condition).items()):
        sql = (
            f"SELECT uri, detail FROM left_out WHERE {condition} AND reason = ? "
            f"ORDER BY rowid LIMIT {_NAMED}"
        )
        first = list(journal.rows(sql, reason))
        names = _names([uri for uri, _ in first], number)
        yield f"{number} {verb} ({reason}: {first[0][1]}): {names}"


def _names(uris: Sequence[str], total: int | None = None) -> str:
    more = (total or len(uris)) - min(len(uris), _NAMED)
    return ", ".join(uris[:_NAMED]) + (f" and {more} more" if more > 0 else "")


STAGE = Stage(
    name="ingest",
    config=IngestConfig,
    run=run,
    writes="documents",
    version=_VERSION,
    identity=identify,
    resumable=True,
)

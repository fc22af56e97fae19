"""Sources to documents; one bad file never stops the rest, and each is named with its reason."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pydantic import Field

from domainforge.context import Context
from domainforge.errors import SourceError
from domainforge.files import file_hash
from domainforge.records import Document, document_table, ordered_table, stable_id, text_hash
from domainforge.run_folder import Inputs, Output
from domainforge.sources.files import find_files, load_file
from domainforge.sources.kinds.known import BY_ENDING
from domainforge.sources.loaded import LeftOut
from domainforge.stage import Account, Settings, Stage, StageResult

LEFT_OUT_SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "uri", "reason", "detail")])
_NAMED = 5


class IngestConfig(Settings):
    """How sources are read; what is read stands under `sources`."""

    max_file_mb: int = Field(
        500, ge=1, description="Larger files are reported as too_large instead of read, in MB."
    )


def run(config: IngestConfig, inputs: Inputs, out: Output, context: Context) -> StageResult:
    """Read all sources into documents.

    The account counts documents where a file could be read (each row of a .jsonl file may be one)
    and files where not: `total` is what was found, `done` the documents, `dropped` files and rows
    that were left out on purpose, `failed` those that couldn't be read.

    Raises:
        SourceError: A source that doesn't exist, or nothing readable in any of them.
    """
    found = find_files(context.sources, context.project)
    documents: list[Document] = []
    dropped = list(found.dropped)
    faults: list[LeftOut] = []
    for done, file in enumerate(found.files, 1):
        loaded = load_file(file, config.max_file_mb * 1_000_000)
        documents += loaded.documents
        dropped += loaded.dropped
        faults += loaded.faults
        context.progress(done, len(found.files), documents=len(documents), faults=len(faults))
    unique, duplicates = _merge_duplicates(documents)
    dropped += duplicates
    if not unique:
        raise SourceError(_nothing_read([str(s.files) for s in context.sources], dropped, faults))
    out.write(document_table(unique))
    out.write(_table(dropped), "dropped")
    out.write(_table(faults), "faults")
    account = Account(
        unit="documents and files",
        total=len(unique) + len(dropped) + len(faults),
        done=len(unique),
        dropped=Counter(item.reason for item in dropped),
        failed=Counter(item.reason for item in faults),
    )
    figures = {
        "documents": len(unique),
        "characters": sum(len(document.text) for document in unique),
        "files": len(found.files),
    }
    partly = [d.uri for d in unique if d.metadata.keys() & {"pages_without_text"}]
    notes = [*_notes(faults, "not read"), *_notes(dropped, "left out")]
    if partly:
        notes.append(f"{len(partly)} read in part (pages without text): {_names(partly)}")
    return StageResult(account, tuple(notes), figures)


def identify(config: IngestConfig, context: Context) -> dict[str, Any]:
    """Return the hash of every file, so that an edited one is read again."""
    found = find_files(context.sources, context.project)
    hashes: dict[str, str] = {}
    for file in found.files:
        try:
            hashes[file.uri] = file_hash(file.path)
        except OSError as error:
            hashes[file.uri] = f"unreadable: {error.strerror}"
    fields = [source.model_dump(mode="json", exclude={"files"}) for source in context.sources]
    return {"files": hashes, "sources": fields}


def _merge_duplicates(documents: Iterable[Document]) -> tuple[list[Document], list[LeftOut]]:
    """Keep the first of identical texts; the other names go into its metadata as `also`."""
    names: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        names[text_hash(document.text)].append(document)
    unique: list[Document] = []
    dropped: list[LeftOut] = []
    for first, *others in names.values():
        also = [document.uri for document in others]
        metadata = {**first.metadata, "also": also} if also else first.metadata
        unique.append(replace(first, metadata=metadata))
        dropped += [LeftOut(uri, "duplicate", f"same text as {first.uri}") for uri in also]
    return unique, dropped


def _table(items: Iterable[LeftOut]) -> pa.Table:
    rows = [
        {
            "id": stable_id("left_out", item.uri, item.reason, item.detail),
            "uri": item.uri,
            "reason": item.reason,
            "detail": item.detail,
        }
        for item in items
    ]
    return ordered_table(rows, LEFT_OUT_SCHEMA)


def _notes(items: Iterable[LeftOut], verb: str) -> list[str]:
    """Write one line per reason, with the first names and the first detail."""
    by_reason: dict[str, list[LeftOut]] = defaultdict(list)
    for item in items:
        by_reason[item.reason].append(item)
    return [
        f"{len(group)} {verb} ({reason}: {group[0].detail}): {_names([i.uri for i in group])}"
        for reason, group in sorted(by_reason.items())
    ]


def _names(uris: Sequence[str]) -> str:
    more = f" and {len(uris) - _NAMED} more" if len(uris) > _NAMED else ""
    return ", ".join(uris[:_NAMED]) + more


def _nothing_read(
    sources: Sequence[str], dropped: Sequence[LeftOut], faults: Sequence[LeftOut]
) -> str:
    lines = [*_notes(faults, "not read"), *_notes(dropped, "left out")] or ["no files there"]
    head = f"sources: nothing to read in {', '.join(sources)}; kinds: {' '.join(BY_ENDING)}"
    return "\n".join([head, *(f"  {line}" for line in lines)])


STAGE = Stage(
    name="ingest",
    config=IngestConfig,
    run=run,
    writes="documents",
    identity=identify,
)

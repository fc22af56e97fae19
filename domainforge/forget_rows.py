"""A run's tables, notes and journals written anew without a forgotten document."""

import csv
import io
import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from domainforge.errors import StorageError
from domainforge.forget_traces import LEFT_OUT, Traces, is_weights
from domainforge.run_folder import (
    MANIFEST,
    Manifest,
    Output,
    RunFolder,
    folder_hash,
    read_manifest,
    storage_errors,
    write_atomic,
)
from domainforge.table_writer import update_hash
from domainforge.tables import content_hash

MARK = "forgotten.json"
PAGE = "report.html"
_BY_DOCUMENT = ("chunk", "assign")
_OF_EXAMPLES = ("generate", "filter", "dedup", "judge", "split")
_BY_ROW = ("ingest", *_OF_EXAMPLES)
_BATCH_ROWS = 512


def stage_folders(run: Path) -> Iterator[tuple[Path, Manifest]]:
    """Yield the whole stage folders of a run."""
    for folder in sorted(run.iterdir()):
        manifest = read_manifest(folder) if folder.is_dir() else None
        if manifest is not None:
            yield folder, manifest


def tables_of(run: Path) -> Iterator[Path]:
    """Yield every Parquet file of a run, datasets that were exported too."""
    for path in sorted(run.rglob("*.parquet")):
        # A kill may have left a part of a file that was to take this one's place.
        if not path.name.startswith("."):
            yield path


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, a bounded part in memory."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            yield from batch.to_pylist()


def new_account(folder: Path, manifest: Manifest, traces: Traces) -> dict[str, Any]:
    """Return a stage's account with the document's units moved to `dropped: forgotten`."""
    account = json.loads(json.dumps(dict(manifest.account)))
    done, by_reason = 0, Counter[str]()
    documents: set[str] = set()
    for name in manifest.tables:
        for path in sorted((folder / name).glob("part-*.parquet")):
            # Plans and coverage tell of examples, and have none.
            if manifest.stage in _OF_EXAMPLES and "reason" not in pq.read_schema(path).names:
                continue
            for row in read_rows(path):
                if not traces.owns(row):
                    continue
                if manifest.stage == "generate" and row["item"]:
                    continue  # of what one request came to, the first row counts for it
                documents.add(str(row.get("document_id")))
                if row.get("reason"):
                    by_reason[str(row["reason"])] += 1
                else:
                    done += 1
    if manifest.stage in _BY_DOCUMENT:
        done, by_reason = len(documents), Counter()
    elif manifest.stage not in _BY_ROW:
        return dict(account)
    moved = _take(account, "done", done)
    for reason, count in by_reason.items():
        kind = reason.removeprefix("failed_")
        place, name = ("dropped", reason) if reason in account["dropped"] else ("failed", kind)
        moved += _take(account[place], name, count)
    if moved:
        account["dropped"][LEFT_OUT] = account["dropped"].get(LEFT_OUT, 0) + moved
    return dict(account)


def clean_run(run: RunFolder, traces: Traces, accounts: Mapping[str, Any]) -> None:
    """Take the document out of a run that this process holds; can be done again after a kill.

    Args:
        run: The run.
        traces: Of the document.
        accounts: `before` and `after` of each stage folder, as they were when this was planned;
            empty for a run that doesn't hold the document.
    """
    with storage_errors(run.path):
        # Made of other inputs than there will be, so nothing could go on from it.
        pattern = ".*.unfinished" if accounts else ".documents.unfinished"
        for stray in run.path.glob(pattern):
            shutil.rmtree(stray)
        for stray in run.path.rglob(".*.forgetting"):
            stray.unlink()
        # Derived, and in a page's spelling, which no search for a sentence sees through.
        for page in (*run.path.glob(PAGE), *run.path.glob(f".{PAGE}.*")):
            page.unlink()
        for path in tables_of(run.path):
            _clean_table(path, traces)
        for path in sorted(run.path.rglob("*")):
            if path.is_file() and not path.is_symlink():
                _clean_file(path, traces, is_model=is_weights(path.relative_to(run.path)))
        if (run.path / "student" / MARK).exists():
            _tell_on_card(run.path / "export" / "model" / "README.md")
    record = run.read_record()
    for folder, manifest in list(stage_folders(run.path)):
        told = accounts.get(folder.name)
        if told is None:
            continue
        # Another account means that the stage has run since, without the document.
        same = told["before"] == manifest.account
        account = told["after"] if same else manifest.account
        written = _write_manifest(folder, manifest, account)
        if manifest.stage in record.get("stages", {}):
            record["stages"][manifest.stage] = written
    if record:
        tainted = (run.path / "student" / MARK).exists()
        if tainted:
            student = read_manifest(run.path / "student")
            record["tainted"] = [student.content_hash if student else "unfinished"]
        run.write_record({name: value for name, value in record.items() if name != "format"})


def mark_student(run: RunFolder, shas: set[str], at: str) -> None:
    """Say in a student's folder that it was trained on what is forgotten."""
    path = run.path / "student" / MARK
    value = {"trained_on": sorted(shas), "at": at}
    if path.exists():
        value["trained_on"] = sorted({*json.loads(path.read_text())["trained_on"], *shas})
    write_atomic(path, json.dumps(value) + "\n")


def _tell_on_card(path: Path) -> None:
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    line = (
        "This model was trained on a document that is forgotten since, and is not to be passed on: "
        "run the pipeline again for one that was not."
    )
    if line not in text:
        write_atomic(path, f"{text.rstrip()}\n\n## Forgotten\n\n{line}\n")


def _write_manifest(folder: Path, manifest: Manifest, account: Any) -> dict[str, Any]:
    output = Output(folder)
    for name in manifest.tables:
        output.tables[name] = _table_facts(folder / name if name else folder)
    notes = list(manifest.notes)
    note = "what came of a forgotten document was taken out; figures are of before"
    if (folder / MARK).exists():
        note = "trained on a document that is forgotten since; run again to train without it"
    if note not in notes:
        notes.append(note)
    whole = {**vars(manifest), "tables": output.tables, "account": dict(account), "notes": notes}
    whole["content_hash"] = folder_hash(output)
    write_atomic(folder / MANIFEST, json.dumps(whole, indent=2) + "\n")
    return whole


def _table_facts(place: Path) -> dict[str, Any]:
    import hashlib

    parts = sorted(place.glob("part-*.parquet"))
    rows = sum(pq.read_metadata(part).num_rows for part in parts)
    if len(parts) == 1:
        table = pq.read_table(parts[0], partitioning=None)
        return {"rows": rows, "content_hash": content_hash(table)}
    digest = hashlib.sha256()
    for part in parts:
        update_hash(digest, pq.read_table(part, partitioning=None))
    return {"rows": rows, "content_hash": digest.hexdigest()}


def _clean_table(path: Path, traces: Traces) -> None:
    """Write a Parquet file anew, where anything in it has to go."""
    temporary = path.with_name(f".{path.name}.forgetting")
    changed = False
    with pq.ParquetFile(path) as file, temporary.open("wb") as handle:
        schema = file.schema_arrow
        with pq.ParquetWriter(handle, schema, compression="zstd") as writer:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                rows = batch.to_pylist()
                left = [traces.clean(row) for row in rows if not traces.owns(row)]
                changed = changed or left != rows
                writer.write_table(pa.Table.from_pylist(left, schema=schema))
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path) if changed else temporary.unlink()


def _clean_file(path: Path, traces: Traces, *, is_model: bool) -> None:
    if path.suffix == ".sqlite":
        clean_sqlite(path, traces)
        return
    if path.suffix == ".parquet" or path.name == ".lock" or is_model:
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    if not traces.named_in(text):
        return
    cleaned = _clean_text(path, text, traces)
    if cleaned != text:
        write_atomic(path, cleaned)


def _clean_text(path: Path, text: str, traces: Traces) -> str:
    if path.suffix == ".json":
        try:
            value = json.loads(text)
        except ValueError:
            return ""
        found = traces.clean_json(value)
        return text if found == value else json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if path.suffix == ".jsonl":
        lines = text.split("\n")
        return "\n".join(_clean_line(line, traces) for line in lines)
    if path.suffix == ".csv":
        rows = csv.reader(io.StringIO(text, newline=""))
        left = [row for row in rows if not any(traces.named_in(cell) for cell in row)]
        out = io.StringIO(newline="")
        csv.writer(out).writerows(left)
        return out.getvalue()
    told = [line for line in text.split("\n") if not traces.told_in(line)]
    return "\n".join(traces.without_names(line) for line in told)


def _clean_line(line: str, traces: Traces) -> str:
    if not traces.named_in(line):
        return line
    try:
        value = traces.clean_json(json.loads(line))
    except ValueError:
        return ""  # cut off by a kill, and nobody's
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def clean_sqlite(path: Path, traces: Traces) -> None:
    """Remove every row that names the document from a source's journal, and its bytes.

    A journal is only a memory of what was read: what is missing in it is read again.
    """

    def tells(value: object) -> int:
        if not isinstance(value, str):
            return 0
        named = value in traces.uris or value in traces.items or traces.named_in(value)
        return int(named or traces.leads_to(value))

    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("PRAGMA secure_delete = ON")
            file.create_function("tells", 1, tells)
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            tables = [name for (name,) in file.execute(query).fetchall()]
            for table in tables:
                quoted = '"' + table.replace('"', '""') + '"'
                columns = [row[1] for row in file.execute(f"PRAGMA table_info({quoted})")]
                tests = " OR ".join('tells("' + c.replace('"', '""') + '")' for c in columns)
                if "items" in tables and {"source", "item"} <= set(columns):
                    # An item that isn't there whole must be read again, not be taken over.
                    told = f"SELECT source, item FROM {quoted} WHERE {tests}"
                    file.execute(f"DELETE FROM items WHERE (source, uri) IN ({told})")
                file.execute(f"DELETE FROM {quoted} WHERE {tests}")
            file.execute("VACUUM")
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"{path}: can't be cleaned ({error}); it is only a memory of what was read: "
            "remove it and give the same command again"
        ) from error


def _take(counts: dict[str, Any], name: str, wanted: int) -> int:
    taken = min(int(counts.get(name, 0)), wanted)
    if taken:
        counts[name] -= taken
        if not counts[name] and name != "done":
            del counts[name]
    return taken

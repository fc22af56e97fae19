"""One run on disk: manifests, events, stage outputs, all written so that a kill leaves no half."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from domainforge.errors import DataError, StorageError
from domainforge.records import canonical_json, text_hash
from domainforge.table_writer import SHARD_ROWS, TableWriter, count_rows, read_batches, segment_path
from domainforge.tables import content_hash

FORMAT = 1
MANIFEST = "manifest.json"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Manifest:
    """What a whole stage folder says about itself."""

    stage: str
    fingerprint: str
    content_hash: str
    tables: Mapping[str, Mapping[str, Any]]
    account: Mapping[str, Any]
    notes: Sequence[str]
    figures: Mapping[str, Any]
    seconds: float
    recipe: str = ""


class Output:
    """Where one stage writes; becomes the stage's folder when the stage is whole.

    Attributes:
        previous: The stage's last whole output, whatever it was made from; None without one.
        same_recipe: Whether that was made by the same config and identity, from other inputs.
    """

    def __init__(
        self, folder: Path, previous: Path | None = None, *, same_recipe: bool = False
    ) -> None:
        self.folder = folder
        self.previous = previous
        self.same_recipe = same_recipe
        self.tables: dict[str, dict[str, Any]] = {}

    @property
    def scratch(self) -> Path:
        """A folder for what the stage lays aside while it works; gone when the stage is whole."""
        return self.folder / ".scratch"

    def stream(self, schema: pa.Schema, name: str = "", *, segments: int = 0) -> TableWriter:
        """Open a table of any size; `finish` must be given what this returns.

        Args:
            schema: Has a text column `id`, by which the rows will be ordered.
            name: As for `write`.
            segments: How many segments of an interrupted run to go on from.
        """
        return TableWriter(self.folder / name if name else self.folder, schema, segments=segments)

    def has_segment(self, index: int) -> bool:
        """Tell whether an interrupted `stream` of the main table left a segment."""
        return segment_path(self.folder, index).exists()

    def finish(
        self,
        writer: TableWriter,
        name: str = "",
        mend: Callable[[pa.Table], pa.Table] | None = None,
    ) -> None:
        """Make a streamed table whole; `mend` as for `TableWriter.finish`."""
        with storage_errors(writer.place):
            self.tables[name] = writer.finish(mend)

    def write(self, table: pa.Table, name: str = "") -> None:
        """Write a table as Parquet shards (zstd) under that name; "" is the stage's main table."""
        place = self.folder / name if name else self.folder
        with storage_errors(place):
            if place.exists():
                for old in place.glob("part-*.parquet"):
                    old.unlink()
            place.mkdir(parents=True, exist_ok=True)
            for index, start in enumerate(range(0, max(table.num_rows, 1), SHARD_ROWS)):
                path = place / f"part-{index:05d}.parquet"
                with path.open("wb") as handle:
                    rows = table.slice(start, SHARD_ROWS)
                    pq.write_table(rows, handle, compression="zstd")
                    handle.flush()
                    os.fsync(handle.fileno())
        self.tables[name] = {"rows": table.num_rows, "content_hash": content_hash(table)}

    def read(self, name: str = "") -> pa.Table:
        """Read back what `write` put on disk."""
        return read_table(self.folder, name)


class Inputs:
    """What a stage may read: the folders of the stages that its `reads` names."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders

    def folder(self, stage: str) -> Path:
        """Return the folder that a stage wrote."""
        return self._folders[stage]

    def table(self, stage: str, name: str = "") -> pa.Table:
        """Read one table that a stage wrote."""
        return read_table(self._folders[stage], name)

    def batches(
        self, stage: str, name: str = "", columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield one table that a stage wrote, ordered by id, a bounded part at a time."""
        folder = self._folders[stage]
        yield from read_batches(folder / name if name else folder, columns)

    def count(self, stage: str, name: str = "") -> int:
        """Return how many rows that table has, without reading it."""
        folder = self._folders[stage]
        return count_rows(folder / name if name else folder)

    def manifest(self, stage: str) -> Manifest:
        """Return what the stage's folder says about itself."""
        found = read_manifest(self._folders[stage])
        if found is None:
            raise StorageError(f"{self._folders[stage]} has no {MANIFEST}; run the stage again")
        return found


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def record_path(self) -> Path:
        """Where run.json lies."""
        return self.path / "run.json"

    def stage_folder(self, writes: str) -> Path:
        """Return the folder of a whole stage."""
        return self.path / writes

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises:
            StorageError: Another process is working on this run, or it can't be written.
        """
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = (self.path / ".lock").open("w")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(
                    f"{self.path}: another process is working on this run; wait for it, "
                    "or give this run another name with --set name=NAME"
                ) from None
            yield

    def read_record(self) -> dict[str, Any]:
        """Read run.json; an empty record when the run is new.

        Raises:
            StorageError: The folder was written by another version, or isn't a run.
        """
        if not self.record_path.exists():
            return {}
        try:
            record = json.loads(self.record_path.read_text(encoding="utf-8"))
            version = record["format"]
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"{self.record_path} is not a run that DomainForge wrote; "
                "move the folder away or choose another name with --set name=NAME"
            ) from None
        if version != FORMAT:
            raise StorageError(
                f"{self.path} has run format {version}, this version writes format {FORMAT}; "
                "its rows stay readable as Parquet. Choose another name with --set name=NAME "
                "(replies in the ledger are used again, nothing is bought twice)"
            )
        return dict(record)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json in one step."""
        body = json.dumps({"format": FORMAT, **record}, indent=2, ensure_ascii=False)
        write_atomic(self.record_path, body + "\n")

    def append_event(self, event: Mapping[str, Any]) -> None:
        """Add a line to events.jsonl."""
        with storage_errors(self.path), (self.path / "events.jsonl").open("a") as handle:
            handle.write(canonical_json({"at": round(time.time(), 3), **event}) + "\n")

    def begin(self, writes: str, fingerprint: str, *, resumable: bool, recipe: str = "") -> Output:
        """Open an unfinished folder for a stage.

        A resumable stage gets back what an interrupted run with the same fingerprint left.
        """
        folder = self.path / f".{writes}.unfinished"
        marker = folder / ".fingerprint"
        with storage_errors(folder):
            same = resumable and marker.exists() and marker.read_text() == fingerprint
            if not same:
                # The mark goes first and comes last: a kill in between must not leave a half
                # removed folder that looks like one to go on with.
                marker.unlink(missing_ok=True)
                if folder.exists():
                    shutil.rmtree(folder)
                folder.mkdir(parents=True)
                write_atomic(marker, fingerprint)
        whole = read_manifest(self.stage_folder(writes))
        if whole is None:
            return Output(folder)
        same = bool(recipe) and whole.recipe == recipe
        return Output(folder, self.stage_folder(writes), same_recipe=same)

    def finish(self, writes: str, output: Output, manifest: Mapping[str, Any]) -> Manifest:
        """Turn an unfinished folder into the stage's folder; the old one goes only then."""
        with storage_errors(output.folder):
            if output.scratch.exists():
                shutil.rmtree(output.scratch)
            whole = {
                **manifest,
                "content_hash": folder_hash(output),
                "tables": output.tables,
            }
            write_atomic(output.folder / MANIFEST, json.dumps(whole, indent=2) + "\n")
            sync_directory(output.folder)
            self._put_in_place(writes)
        return Manifest(**whole)

    def recover(self, writes: str) -> None:
        """Finish what a kill interrupted after a stage was whole, or put its old folder back."""
        folder, old = self.stage_folder(writes), self.path / f".{writes}.old"
        with storage_errors(folder):
            if read_manifest(self.path / f".{writes}.unfinished") is not None:
                self._put_in_place(writes)
            elif old.exists() and folder.exists():
                (folder / ".fingerprint").unlink(missing_ok=True)
                shutil.rmtree(old)
            elif old.exists():
                old.rename(folder)

    def _put_in_place(self, writes: str) -> None:
        """Swap a whole unfinished folder in; at every moment one of the three names is whole."""
        folder, old = self.stage_folder(writes), self.path / f".{writes}.old"
        if old.exists():
            shutil.rmtree(old)
        if folder.exists():
            folder.rename(old)
        (self.path / f".{writes}.unfinished").rename(folder)
        sync_directory(self.path)
        (folder / ".fingerprint").unlink(missing_ok=True)
        if old.exists():
            shutil.rmtree(old)


def folder_hash(output: Output) -> str:
    """Hash a stage's content: the rows of its tables, and every other file it wrote."""
    from domainforge.files import file_hash

    tables = {name: table["content_hash"] for name, table in output.tables.items()}
    files = {
        str(path.relative_to(output.folder)): file_hash(path)
        for path in sorted(output.folder.rglob("*"))
        if path.is_file()
        and "checkpoints" not in path.relative_to(output.folder).parts
        and path.name != MANIFEST
        and not path.name.startswith(".")
        and not (tables and path.name.startswith("part-"))
    }
    return text_hash(canonical_json({"tables": tables, "files": files}))


def read_table(folder: Path, name: str = "") -> pa.Table:
    """Read the Parquet shards of one table.

    Raises:
        DataError: The table isn't there.
    """
    place = folder / name if name else folder
    parts = sorted(place.glob("part-*.parquet"))
    if not parts:
        raise DataError(f"no rows at {place}; run the stage that writes them")
    return pa.concat_tables([pq.read_table(part, partitioning=None) for part in parts])


def read_manifest(folder: Path) -> Manifest | None:
    """Return what a stage folder says about itself, or None where it isn't whole."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_atomic(path: Path, text: str) -> None:
    """Replace a file so that a reader or a crash sees the old text or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8") as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError that says where.

    Raises:
        StorageError: No space, no permission, or a quota.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageError(
                f"{path}: the disk is full ({error.strerror}); free some space and give the same "
                "command again, what is finished stays"
            ) from error
        if isinstance(error, PermissionError):
            raise StorageError(f"{path}: no permission to write here") from error
        raise
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise StorageError(f"{path}: the disk is full; free some space and go on") from error
        raise


def sync_directory(path: Path) -> None:
    """Put the names in a folder on disk: a new file's bytes are, its name may not be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""`labels.jsonl` in the project folder: what people said of rows, only ever added to."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domainforge.errors import DataError
from domainforge.labels import Label, Labels, Undo, dump, now
from domainforge.run_folder import storage_errors, sync_directory, write_atomic

LABELS = "labels.jsonl"
_LOCK = ".labels.lock"
_LINE: TypeAdapter[Label | Undo] = TypeAdapter(Label | Undo)


class LabelFile:
    """The labels of a project on disk.

    A line is on disk when the call that writes it returns. Several processes may write at once.
    """

    def __init__(self, project: Path) -> None:
        self.path = project / LABELS

    def read(self) -> Labels:
        """Read all labels; a last line that a kill cut off was never given, and isn't there.

        Raises:
            DataError: A line is no label.
            StorageError: The file can't be read.
        """
        return Labels(self.lines())

    def lines(self) -> Iterator[Label | Undo]:
        """Yield every line, those taken back too; raises as `read` does."""
        with storage_errors(self.path):
            body = self.path.read_bytes() if self.path.exists() else b""
        for number, line in enumerate(_whole_lines(body), start=1):
            if line.strip():
                yield _parse(line, f"{self.path}:{number}")

    def add(self, *labels: Label) -> None:
        """Write labels at the end of the file, all of them or none.

        Raises:
            StorageError: The disk refuses; the file is as it was.
        """
        self._append("".join(dump(label) + "\n" for label in labels))

    def undo(self, label: Label) -> None:
        """Take a label back by another line; raises as `add` does."""
        self._append(dump(Undo(undo=label.label, at=now())) + "\n")

    def rewrite(self, change: Callable[[Label | Undo], Label | Undo | None]) -> None:
        """Change every line, or leave it out (a document is forgotten); raises as `read` does.

        What a kill left of a last line goes as well: nobody can tell what it was about.
        """
        with self._locked(), storage_errors(self.path):
            if self.path.exists():
                with self.path.open("rb+", buffering=0) as handle:
                    _mend(handle.fileno())
            before = list(self.lines())
            after = [line for line in map(change, before) if line is not None]
            if after != before:
                write_atomic(self.path, "".join(dump(line) + "\n" for line in after))

    def _append(self, text: str) -> None:
        with self._locked(), storage_errors(self.path):
            is_new = not self.path.exists()
            with self.path.open("ab+", buffering=0) as handle:
                size = _mend(handle.fileno())
                try:
                    _write_all(handle.fileno(), text.encode())
                    os.fsync(handle.fileno())
                except OSError:
                    os.ftruncate(handle.fileno(), size)
                    raise
            if is_new:
                sync_directory(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A file of its own: the labels may be replaced while somebody waits.
        with storage_errors(self.path), (self.path.parent / _LOCK).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _parse(line: bytes, where: str) -> Label | Undo:
    try:
        return _LINE.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{where}: is no label ({place or 'line'}: {first['msg']}); mend or remove the line"
        ) from error


def _whole_lines(body: bytes) -> list[bytes]:
    """Return the lines of a file; the last one without its end only where it is whole all the same.

    Somebody's editor may have left its end out.
    """
    *lines, last = body.split(b"\n")
    return [*lines, last] if _is_whole(last) else lines


def _is_whole(line: bytes) -> bool:
    try:
        _LINE.validate_json(line)
    except ValidationError:
        return False
    return True


def _mend(file: int) -> int:
    """Cut off what a kill left of a last line; returns the size of the file."""
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return size
    body = os.pread(file, size, 0)
    start = body.rfind(b"\n") + 1
    if _is_whole(body[start:]):
        _write_all(file, b"\n")
        return size + 1
    os.ftruncate(file, start)
    return start


def _write_all(file: int, body: bytes) -> None:
    while body:
        body = body[os.write(file, body) :]

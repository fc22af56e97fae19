"""The file that a server's output goes to, and its last words."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

from domainforge.errors import StorageError

_LAST_LINES = 5
_TAIL_BYTES = 64 * 1024
_LONGEST_LINE_CHARS = 400
# Of a Python traceback, which may stand behind a prefix of the logger, only its end says anything.
_FRAME = re.compile(r'(?:^|\s)File "[^"]*", line \d+(?:, in \S.*)?$')
_AROUND_FRAMES = re.compile(
    r"(?:Traceback \(most recent call last\):"
    r"|During handling of the above exception, another exception occurred:"
    r"|The above exception was the direct cause of the following exception:"
    r"|(?:^|\s)[~^]+)$"
)


class ServerLog:
    """An open log file; servers write to it through `fileno`.

    Attributes:
        path: Where it lies.
    """

    def __init__(self, kind: str, project: Path | None) -> None:
        """Start a new log in the project's `logs` folder, or a temporary one without a project.

        The log before it is kept as `.1`. A log that another process still writes to is left
        alone, and ours gets a number.

        Raises:
            StorageError: The folder can't be written.
        """
        self.is_temporary = project is None
        try:
            if project is None:
                handle, name = tempfile.mkstemp(
                    prefix=f"domainforge-teacher-{kind}-", suffix=".log"
                )
                os.close(handle)
                self.path, self._file = Path(name), _lock(Path(name))
            else:
                self.path, self._file = _open_in(project / "logs", f"teacher-{kind}")
        except OSError as error:
            where = "a temporary folder" if project is None else str(project / "logs")
            raise StorageError(
                f"{where}: the log of the teacher's server can't be written "
                f"({error.strerror}); make room there, or the folder writable"
            ) from error
        self._start = 0

    def fileno(self) -> int:
        """Return the descriptor to hand to a server."""
        return self._file.fileno()

    def mark(self, text: str) -> None:
        """Write a line of our own; last words are looked for behind the last one."""
        self._file.write(f"[domainforge] {text}\n".encode())
        self._start = os.fstat(self._file.fileno()).st_size

    def last_words(self, lines: int = _LAST_LINES) -> str:
        """Return the last lines since the last mark, as one, without the frames of tracebacks."""
        end = os.fstat(self._file.fileno()).st_size
        start = max(self._start, end - _TAIL_BYTES)
        text = os.pread(self._file.fileno(), end - start, start).decode(errors="replace")
        said = [line.strip()[:_LONGEST_LINE_CHARS] for line in _leave_out_frames(text.splitlines())]
        return " / ".join(said[-lines:]) or "it said nothing"

    def close(self, *, keep: bool) -> None:
        """Close the file; a temporary one is removed unless it is to be kept."""
        self._file.close()
        if self.is_temporary and not keep:
            self.path.unlink(missing_ok=True)


def _leave_out_frames(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines that say something; the line of source under a frame is a frame's too."""
    margin: slice | None = None
    for line in lines:
        if not line.strip() or _AROUND_FRAMES.search(line.rstrip()):
            continue
        if _FRAME.search(line.rstrip()):
            at = line.rindex('File "')
            # Source is indented deeper than its frame, behind the same prefix.
            margin = slice(len(line[:at].rstrip()), at + 1)
        elif margin is not None and not line[margin].strip():
            margin = None
        else:
            margin = None
            yield line


def _open_in(folder: Path, stem: str) -> tuple[Path, FileIO]:
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (f"{stem}.log" if number == 1 else f"{stem}-{number}.log")
        if not path.exists() or not _is_in_use(path):
            break
        number += 1
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))
    return path, _lock(path)


def _is_in_use(path: Path) -> bool:
    with path.open("ab", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(path: Path) -> FileIO:
    """Open a file for appending, and hold it as long as we or a server of ours lives."""
    file = FileIO(path, "ab+")
    # Where another process came in between, both write to it, which loses nothing.
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file

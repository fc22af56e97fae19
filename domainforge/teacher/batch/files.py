"""The files of the Batch API: one request a line going in, one response a line coming back."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from domainforge.errors import StorageError
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.fault import Fault, read_error, read_success, shorten
from domainforge.teacher.request import Answer

# Every provider wants these, whatever the path of its own base URL.
_CHAT_URL, _COMPLETION_URL = "/v1/chat/completions", "/v1/completions"
_TIMED_OUT = "request_timeout"
_NOT_EXECUTED = frozenset({"batch_expired", "batch_cancelled"})


class Measured(NamedTuple):
    """A request's key, where it goes, and how long its line is."""

    key: str
    url: str
    size_bytes: int


@dataclass(frozen=True)
class Row:
    """One line that came back: a completion or a fault."""

    key: str
    answer: Answer | None = None
    fault: Fault | None = None


def request_url(body: dict[str, Any]) -> str:
    """Return where a request body goes; all requests of a batch go to the same place."""
    return _COMPLETION_URL if "prompt" in body else _CHAT_URL


def request_line(key: str, body: dict[str, Any]) -> bytes:
    """Return the line for a request body; the key in the ledger is its `custom_id`."""
    entry = {"custom_id": key, "method": "POST", "url": request_url(body), "body": body}
    return json.dumps(entry, ensure_ascii=False).encode() + b"\n"


def cut(lines: Sequence[Measured], max_requests: int, max_bytes: int) -> Iterator[list[Measured]]:
    """Cut requests into files: in their order, of one address each, none beyond the limits."""
    part: list[Measured] = []
    size_bytes = 0
    for line in sorted(lines, key=lambda line: line.url):
        full = len(part) == max_requests or size_bytes + line.size_bytes > max_bytes
        if part and (full or part[0].url != line.url):
            yield part
            part, size_bytes = [], 0
        part.append(line)
        size_bytes += line.size_bytes
    if part:
        yield part


def open_file(folder: Path) -> IO[bytes]:
    """Open a file without a name, which is gone when it is closed.

    Raises:
        StorageError: The folder can't be written.
    """
    with disk_explained(folder):
        return tempfile.TemporaryFile(dir=folder)


def write_lines(folder: Path, lines: Iterable[bytes]) -> IO[bytes]:
    """Write lines into a file without a name.

    Raises:
        StorageError: The disk is full or can't be written.
    """
    file = open_file(folder)
    try:
        with disk_explained(folder):
            file.writelines(lines)
            file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def read_rows(file: IO[bytes], endpoint: Endpoint) -> Iterator[Row]:
    """Read an output or error file; lines that can't be read are left out, so their rows miss."""
    for line in file:
        row = _read_row(line, endpoint) if line.strip() else None
        if row is not None:
            yield row


@contextmanager
def disk_explained(path: Path) -> Iterator[None]:
    """Turn a failing disk into an error that says what to do.

    Raises:
        StorageError: The disk is full or can't be written.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: a batch's file can't be written there ({error.strerror or error}); free some "
            "space and run the same command again"
        ) from error


def _read_row(line: bytes, endpoint: Endpoint) -> Row | None:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    key = parsed.get("custom_id") if isinstance(parsed, dict) else None
    if not isinstance(key, str):
        return None
    response = parsed.get("response")
    if not isinstance(response, dict):
        return Row(key, fault=_row_fault(parsed.get("error"), endpoint))
    status, body = response.get("status_code"), response.get("body")
    raw = body.encode(errors="replace") if isinstance(body, str) else json.dumps(body).encode()
    if not isinstance(status, int):
        detail = endpoint.scrub(raw.decode(errors="replace"))
        said = f"no status: {shorten(detail.encode())}"
        return Row(key, fault=Fault("batch_row", said, may_be_billed=True))
    if not 200 <= status < 300:
        return Row(key, fault=read_error(status, raw, {}, endpoint))
    try:
        return Row(key, answer=read_success(raw, {}, endpoint))
    except Fault as fault:
        return Row(key, fault=fault)


def _row_fault(error: Any, endpoint: Endpoint) -> Fault:
    """Read the error of a request that has no response, because it was not executed or failed."""
    named = error if isinstance(error, dict) else {}
    code, message = named.get("code"), named.get("message")
    text = " ".join(str(part) for part in (code, message) if part) or "no response and no error"
    detail = shorten(endpoint.scrub(text).encode(errors="replace"))
    if code in _NOT_EXECUTED:
        return Fault(str(code), detail)
    if code == _TIMED_OUT:
        return Fault("timeout", detail, may_be_billed=True)
    # An unknown code may pass: what failed is not billed, and the retries are counted.
    return Fault("batch_row", detail, passing=not str(code).startswith("invalid"))

"""A real HTTP server with the files and batches endpoints; a `TeacherServer` answers the rows.

Batches are carried out when they are created and end after a number of looks. In a test:
`with TeacherServer() as teacher, BatchServer(teacher) as server: ... server.base_url`.
"""

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP as HTTP_POLICY
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.teacher_faults import ERRORS
from tests.support.teacher_server import TeacherServer

Deeds = Callable[[str, int], str | None]


@dataclass(frozen=True)
class Fate:
    """What becomes of one batch.

    Attributes:
        refuse: Code of the error that its file is refused with.
        refuse_lines: Lines (from 1) that the refusal names; none for the file as a whole.
        stop_after: Carry out only so many rows, then end as `stop_as`.
        drop: Rows (from 0) that are carried out and then left out of the files.
        damage: Rows whose line in the output file is cut in half.
        shuffle: Give the rows back in another order.
        looks: How many looks find it unfinished.
    """

    refuse: str | None = None
    refuse_lines: tuple[int, ...] = ()
    stop_after: int | None = None
    stop_as: str = "expired"
    drop: frozenset[int] = frozenset()
    damage: frozenset[int] = frozenset()
    shuffle: bool = False
    looks: int = 1


@dataclass
class Held:
    """One batch as the server holds it."""

    id: str
    input_file_id: str
    url: str
    metadata: dict[str, str] | None
    fate: Fate
    total: int
    looks: int = 0
    done: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    created: float = field(default_factory=time.time)

    @property
    def status(self) -> str:
        """How it stands."""
        if self.fate.refuse is not None:
            return "failed" if self.looks else "validating"
        if self.looks > self.fate.looks:
            return "completed" if self.fate.stop_after is None else self.fate.stop_as
        stages = ("validating", "in_progress", "finalizing")
        return stages[min(2, 3 * self.looks // (self.fate.looks + 1))]


class BatchServer:
    """A provider on a free loopback port, for the length of a `with`.

    Args of the constructor:
        teacher: Carries out the rows, with its own faults; those with another status than 200
            land in the error file.
        fates: What becomes of the batches, by number; further ones go well.
        deeds: Called with the name of a call (`upload`, `create`, `look`, `list`, `content`) and
            its number; returns what goes wrong: a key of `ERRORS`, `404`, `html`, `drop` (cut the
            connection and do nothing), `lose` (do it and cut the connection), `hold_before` and
            `hold_after` (wait for `release`, then cut the connection without or after doing it).
        with_metadata: Whether batches keep theirs.
        page: Most batches in one page of the list.

    Attributes:
        executed: How often each custom_id was carried out.
        calls: How often each call came.
        held: Set when a call is being held.
        release: Lets held calls go on.
        settled: Set when a held call has ended.
    """

    def __init__(
        self,
        teacher: TeacherServer,
        fates: dict[int, Fate] | None = None,
        deeds: Deeds = lambda call, number: None,
        *,
        with_metadata: bool = True,
        page: int = 100,
        retry_after: str | None = None,
    ) -> None:
        """Bind the port; requests are answered from `__enter__` on."""
        self.teacher = teacher
        self.fates = fates or {}
        self.deeds = deeds
        self.with_metadata = with_metadata
        self.page = page
        self.retry_after = retry_after
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Held] = {}
        self.executed: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.keys_seen: set[str] = set()
        self.held, self.release, self.settled = (threading.Event() for _ in range(3))
        self.lock = threading.RLock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.batch_server = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """Address up to the version."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and let go of what is held."""
        self.release.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def plan(self, call: str) -> str | None:
        """Count a call and decide what goes wrong with it."""
        with self.lock:
            number = self.calls[call]
            self.calls[call] += 1
            return self.deeds(call, number)

    def add_file(self, content: bytes) -> str:
        """Keep a file and return its id."""
        with self.lock:
            name = f"file-{len(self.files)}"
            self.files[name] = content
        return name

    def create(self, asked: dict[str, Any]) -> Held:
        """Make a batch and carry it out."""
        lines = self.files[asked["input_file_id"]].splitlines()
        with self.lock:
            number = len(self.batches)
            fate = self.fates.get(number, Fate())
            metadata = asked.get("metadata") if self.with_metadata else None
            batch = Held(
                f"batch_{number}",
                asked["input_file_id"],
                asked["endpoint"],
                metadata,
                fate,
                len(lines),
            )
            self.batches[batch.id] = batch
            if fate.refuse is None:
                self._carry_out(batch, [json.loads(line) for line in lines])
            else:
                error = {"code": fate.refuse, "message": f"refused ({self.key_echo})"}
                numbers: tuple[int | None, ...] = fate.refuse_lines or (None,)
                batch.errors = [{**error, "line": line, "param": None} for line in numbers]
        return batch

    @property
    def key_echo(self) -> str:
        """The keys that came, which no error may pass on."""
        return " ".join(sorted(self.keys_seen))

    def _carry_out(self, batch: Held, rows: list[dict[str, Any]]) -> None:
        fate = batch.fate
        output: list[bytes] = []
        errors: list[bytes] = []
        for number, row in enumerate(rows):
            key = row["custom_id"]
            assert row["url"] == batch.url
            assert row["method"] == "POST"
            if fate.stop_after is not None and number >= fate.stop_after:
                batch.failed += 1
                error = {"code": f"batch_{fate.stop_as}", "message": "not executed in time"}
                errors.append(_line(key, None, error))
                continue
            self.executed[key] += 1
            status, body = self.ask(row["url"], row["body"])
            batch.done, batch.failed = batch.done + (status == 200), batch.failed + (status != 200)
            if number in fate.drop:
                continue
            line = _line(key, {"status_code": status, "request_id": key[:8], "body": body}, None)
            line = line[: len(line) // 2] if number in fate.damage else line
            (output if status == 200 else errors).append(line)
        if fate.shuffle:
            Random(len(rows)).shuffle(output)
        batch.output_file_id = self.add_file(b"\n".join(output) + b"\n") if output else None
        batch.error_file_id = self.add_file(b"\n".join(errors) + b"\n") if errors else None

    def ask(self, url: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Have one request answered."""
        port = urlsplit(self.teacher.base_url).port
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("POST", url, json.dumps(body))
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, raw.decode()


def _line(key: str, response: dict[str, Any] | None, error: dict[str, Any] | None) -> bytes:
    entry = {"id": f"batch_req_{key[:8]}", "custom_id": key, "response": response, "error": error}
    return json.dumps(entry).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    batch_server: BatchServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        provider, parts = self.server.batch_server, urlsplit(self.path)
        match parts.path.split("/")[2:]:
            case ["batches"]:
                cursor = parse_qs(parts.query).get("after", [""])[0]
                self._serve("list", lambda: _page(provider, cursor))
            case ["batches", name]:
                self._serve("look", lambda: _look(provider, name))
            case ["files", name, "content"]:
                self._serve("content", lambda: provider.files.get(name))
            case _:
                self._answer(404, {"error": {"message": "Not Found"}})

    def do_POST(self) -> None:
        provider = self.server.batch_server
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = self._read_chunks()
        match urlsplit(self.path).path.split("/")[2:]:
            case ["files"]:
                self._serve("upload", lambda: _upload(provider, self.headers, raw))
            case ["batches"]:
                self._serve("create", lambda: _shown(provider.create(json.loads(raw))))
            case ["chat", "completions"] | ["completions"]:
                self._answer(*provider.ask(self.path, json.loads(raw)))
            case _:
                self._answer(404, {"error": {"message": "Not Found"}})

    def _serve(self, call: str, act: Callable[[], Any]) -> None:
        provider = self.server.batch_server
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        provider.keys_seen.add(key)
        deed = provider.plan(call)
        if deed in ERRORS or deed in ("html", "404"):
            return self._fail(str(deed), key)
        result = act() if deed in (None, "lose", "hold_after") else None
        if deed in ("hold_before", "hold_after"):
            provider.held.set()
            provider.release.wait(30)
        if deed is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            provider.settled.set()
            return None
        if result is None:
            return self._answer(404, {"error": {"message": f"No such thing: {self.path}"}})
        return self._answer(200, result)

    def _fail(self, kind: str, key: str) -> None:
        if kind == "html":
            return self._answer(200, b"<html>upstream</html>")
        if kind == "404":
            return self._answer(404, {"detail": "Not Found"})
        status, code, message = ERRORS[kind]
        self._answer(status, {"error": {"message": f"{message} (key {key})", "code": code}})

    def _answer(self, status: int, content: Any) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Content-Type", "application/json")
        if status == 429 and self.server.batch_server.retry_after:
            self.send_header("Retry-After", self.server.batch_server.retry_after)
        self.end_headers()
        self.wfile.write(raw)

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def _upload(provider: BatchServer, headers: Any, raw: bytes) -> dict[str, Any]:
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP_POLICY).parsebytes(head + raw)
    fields = {part.get_param("name", header="content-disposition"): part for part in message.walk()}
    assert fields["purpose"].get_payload(decode=True) == b"batch"
    content = fields["file"].get_payload(decode=True)
    assert isinstance(content, bytes)
    name = provider.add_file(content)
    return {"id": name, "object": "file", "purpose": "batch", "bytes": len(content)}


def _look(provider: BatchServer, name: str) -> dict[str, Any] | None:
    with provider.lock:
        batch = provider.batches.get(name)
        if batch is not None:
            batch.looks += 1
        return None if batch is None else _shown(batch)


def _page(provider: BatchServer, cursor: str) -> dict[str, Any]:
    """Newest first, as providers do."""
    with provider.lock:
        names = list(reversed(provider.batches))
        start = names.index(cursor) + 1 if cursor else 0
        shown = names[start : start + provider.page]
        data = [_shown(provider.batches[name]) for name in shown]
    more = start + len(shown) < len(names)
    return {"object": "list", "data": data, "has_more": more}


def _shown(batch: Held) -> dict[str, Any]:
    status = batch.status
    ended = status in ("completed", "expired", "cancelled")
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.url,
        "errors": {"object": "list", "data": batch.errors} if status == "failed" else None,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": status,
        "output_file_id": batch.output_file_id if ended else None,
        "error_file_id": batch.error_file_id if ended else None,
        "created_at": int(batch.created),
        "request_counts": {
            "total": batch.total,
            "completed": batch.done if ended else 0,
            "failed": batch.failed if ended else 0,
        },
        "metadata": batch.metadata,
    }

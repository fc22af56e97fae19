"""A real HTTP server that speaks the teacher's protocol and can fail on cue.

In a test: `with TeacherServer(faults=["429", None]) as server: ... server.base_url`.
In its own process: `python -m tests.support.teacher_server --port 0 --log FILE`.
"""

import argparse
import hashlib
import json
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support.teacher_answers import Speaker
from tests.support.teacher_faults import Answer, Plan, choose_fault, fault_answer, refusal_of


class Seen(NamedTuple):
    """One request that arrived, and the fault it met."""

    number: int
    path: str
    sha256: str
    body: dict[str, Any]
    headers: dict[str, str]
    fault: str | None


class TeacherServer:
    """An endpoint on a free loopback port, for the length of a `with`.

    Args of the constructor:
        faults: A list by request number, a function of number and body, or shares by kind.
        delay_seconds: How long each reply takes.
        hang_seconds: How long a `timeout` keeps the client waiting.
        retry_after: Value of that header for `429_retry_after`.
        models: What the endpoint lists; another model gets a 404.
        json_schema: Whether `response_format` is understood; if not, it gets a 400.
        refuses: Parameters that get a 400, in OpenAI's words, each with what to use instead.
        extra: Answers for faults of the test's own.
        log: A file that gets a line per request: SHA-256 of the body, path, number, fault.
    """

    def __init__(
        self,
        faults: Plan = None,
        *,
        delay_seconds: float = 0.0,
        hang_seconds: float = 30.0,
        retry_after: str = "0.05",
        models: tuple[str, ...] = ("local-teacher",),
        json_schema: bool = True,
        refuses: Mapping[str, str] | None = None,
        extra: Mapping[str, Answer] | None = None,
        seed: int = 0,
        port: int = 0,
        log: Path | None = None,
    ) -> None:
        """Bind the port; requests are answered from `__enter__` on."""
        self.faults = faults
        self.delay_seconds = delay_seconds
        self.hang_seconds = hang_seconds
        self.retry_after = retry_after
        self.models = models
        self.json_schema = json_schema
        self.refuses = refuses or {}
        self.extra = extra or {}
        self.seed = seed
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self.stopping = threading.Event()
        self._at_once = 0
        self._log = log
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", port), _Handler)
        self._http.teacher = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """Address up to the version."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def repeats(self) -> int:
        """How many requests had a body that had come before."""
        return len(self.seen) - len({entry.sha256 for entry in self.seen})

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, if that has not happened yet."""
        self.stop()

    def stop(self) -> None:
        """Stop, cutting the connections that are open."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self._http.shutdown()
        self._http.cut_connections()
        self._http.server_close()
        self._thread.join()

    def serve_in_foreground(self) -> None:
        """Answer until the process ends."""
        self._http.serve_forever()

    def note(self, path: str, raw: bytes, headers: dict[str, str]) -> Seen:
        """Number and record a request, and decide on its fault."""
        digest, body = hashlib.sha256(raw).hexdigest(), json.loads(raw)
        with self._lock:
            number = len(self.seen)
            fault = choose_fault(self.faults, number, body, self.seed)
            seen = Seen(number, path, digest, body, headers, fault)
            self.seen.append(seen)
            if self._log is not None:
                with self._log.open("a") as file:
                    file.write(f"{digest} {path} {number} {fault}\n")
        return seen

    def enter(self, change: int) -> None:
        """Count a request in (1) or out (-1)."""
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    teacher: TeacherServer

    def __init__(self, address: tuple[str, int], handler: type["_Handler"]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""

    def cut_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        teacher = self.server.teacher
        if self.path != "/v1/models":
            return self._send(Answer(404, b'{"detail": "Not Found"}'))
        data = [{"id": name, "object": "model"} for name in teacher.models]
        return self._send(Answer(body=json.dumps({"object": "list", "data": data}).encode()))

    def do_POST(self) -> None:
        teacher = self.server.teacher
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = teacher.note(self.path, raw, headers)
        teacher.enter(1)
        try:
            teacher.stopping.wait(teacher.delay_seconds)
            self._send(self._answer(seen))
        finally:
            teacher.enter(-1)

    def _answer(self, seen: Seen) -> Answer:
        teacher = self.server.teacher
        key = seen.headers.get("authorization", "").removeprefix("Bearer ")
        fault, body = seen.fault, seen.body
        if fault is None and body.get("model") not in teacher.models:
            fault = "404_model"
        if fault is None and not teacher.json_schema and "response_format" in body:
            fault = "400_response_format"
        if seen.path not in ("/v1/chat/completions", "/v1/completions"):
            return Answer(404, b'{"detail": "Not Found"}')
        refused = next((name for name in teacher.refuses if name in body), None)
        if fault is None and refused is not None:
            return refusal_of(refused, teacher.refuses[refused])
        completion = _complete(body, seen.number)
        if fault is None:
            return Answer(body=json.dumps(completion).encode())
        if fault in teacher.extra:
            return teacher.extra[fault]
        return fault_answer(fault, completion, key, teacher.retry_after)

    def _send(self, answer: Answer) -> None:
        if answer.deed == "hang":
            self.server.teacher.stopping.wait(self.server.teacher.hang_seconds)
        if answer.deed in ("hang", "drop"):
            self.close_connection = True
            return
        body = answer.body
        framing = {"Content-Length": str(len(body))}
        if answer.deed == "cut_chunks":
            framing = {"Transfer-Encoding": "chunked"}
            half = body[: len(body) // 2]
            body = b"%x\r\n%s\r\n" % (len(half), half)
        elif answer.deed == "cut_unframed":
            framing = {"Connection": "close"}
            body = body[: len(body) // 2]
        elif answer.deed == "truncate":
            body = body[: len(body) // 2]
        headers = {"Content-Type": answer.content_type, **framing, **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        self.close_connection |= answer.deed != "send"
        self.wfile.write("\r\n".join(lines).encode() + body)


def _complete(body: dict[str, Any], number: int) -> dict[str, Any]:
    speaker = Speaker(body)
    is_chat = "messages" in body
    text = speaker.chat() if is_chat else speaker.completion()
    for stop in body.get("stop") or ():
        text = text.split(stop, 1)[0]
    words = text.split(" ")
    finish = "stop"
    most = body["max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"]
    if len(words) > most:
        text, finish = " ".join(words[:most]), "length"
    said = {"message": {"role": "assistant", "content": text}} if is_chat else {"text": text}
    asked = sum(len(str(m["content"]).split()) for m in body.get("messages", ()))
    prompt_tokens = asked or len(str(body.get("prompt", "")).split())
    completion_tokens = len(text.split())
    return {
        "id": f"reply-{number}",
        "object": "chat.completion" if is_chat else "text_completion",
        "model": body.get("model"),
        "choices": [{"index": 0, "finish_reason": finish, **said}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def main() -> None:
    """Serve in a process of its own; the first line printed is the base URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--delay-seconds", type=float, default=0.0)
    parser.add_argument("--faults", type=json.loads, help="JSON: a list, or shares by kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    server = TeacherServer(
        options.faults,
        delay_seconds=options.delay_seconds,
        seed=options.seed,
        port=options.port,
        log=options.log,
    )
    print(server.base_url, flush=True)
    server.serve_in_foreground()


if __name__ == "__main__":
    main()

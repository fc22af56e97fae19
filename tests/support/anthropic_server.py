"""A small endpoint that speaks Anthropic's protocol, for teachers that LangChain asks."""

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Said = tuple[int, dict[str, Any] | str]


def message(text: str = "Osk.", stop_reason: str | None = "end_turn", **changes: Any) -> Said:
    """Return a whole reply."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-for-tests",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 20, "output_tokens": 7, "cache_read_input_tokens": 5},
    }
    return 200, body | changes


def error(status: int, kind: str, text: str) -> Said:
    """Return an error as Anthropic words it."""
    return status, {"type": "error", "error": {"type": kind, "message": text}}


class AnthropicServer:
    """Says what it is given, one after the other, the last one for good.

    Attributes:
        seen: Bodies and headers of the requests that came.
    """

    def __init__(self, replies: Sequence[Said] = ()) -> None:
        """Bind a free port."""
        self.replies = list(replies) or [message()]
        self.seen: list[tuple[dict[str, Any], dict[str, str]]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.said_by = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """Address without a version: the package adds it."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        server: AnthropicServer = self.server.said_by  # type: ignore[attr-defined]
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.seen.append((json.loads(raw), headers))
        status, body = server.replies[min(len(server.seen), len(server.replies)) - 1]
        is_json = isinstance(body, dict)
        content = (json.dumps(body) if is_json else str(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if is_json else "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

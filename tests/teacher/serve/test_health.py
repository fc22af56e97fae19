import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from domainforge.teacher.serve.health import is_ready

LIST = json.dumps({"data": [{"id": "m"}]})


@pytest.mark.parametrize(
    ("health", "models", "listed", "ready"),
    [
        (200, 200, LIST, True),
        (404, 200, LIST, True),  # not every server has one
        (503, 200, LIST, False),  # llama.cpp while it loads
        (200, 503, LIST, False),
        (200, 200, json.dumps({"data": [{"id": "another"}]}), False),
        (200, 200, json.dumps({"data": None}), False),
        (200, 200, "<html>", False),
    ],
)
def test_ready_is_healthy_with_our_model(
    health: int, models: int, listed: str, ready: bool
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(health if self.path == "/health" else models)
            self.send_header("Content-Length", str(len(listed)))
            self.end_headers()
            self.wfile.write(listed.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found = is_ready(server.server_port, "m")
        server.shutdown()
        thread.join()
    assert found is ready
    assert not is_ready(server.server_port, "m")

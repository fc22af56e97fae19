"""Looking at processes, and a small server that misbehaves on cue.

As a script: python -m tests.teacher.serve.processes PORT MODEL DEED
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from domainforge.teacher.serve.supervisor import Launch

ROOT = Path(__file__).parents[3]


def runs(pid: int) -> bool:
    """Tell whether a process is there and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for something to hold, and tell whether it did."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Wait up to ten seconds for a process to end."""
    return wait_until(lambda: not runs(pid))


def children(pid: int) -> list[int]:
    """Return the children of a process's main thread and of its others."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(number) for path in lists for number in path.read_text().split()]


def own_server() -> int:
    """Return the server that this process started, which is its keeper's only child."""
    (keeper,) = children(os.getpid())
    (server,) = children(keeper)
    return server


def small_launch(deed: str = "", **settings: object) -> Launch:
    """Return how to start the small server."""

    def command(port: int) -> list[str]:
        return [sys.executable, str(Path(__file__)), str(port), "m", deed]

    defaults: dict[str, object] = {
        "kind": "small",
        "title": "the small server",
        "model": "m",
        "command": command,
        "advice": "mend it",
        "environment": {"PYTHONPATH": str(ROOT)},
        "stop_seconds": 0.3,
    }
    return Launch(**{**defaults, **settings})  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """Lists one model, and is healthy."""

    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": sys.argv[2]}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    port, deed = int(sys.argv[1]), sys.argv[3]
    print(f"this is a small server with deed {deed!r}", flush=True)
    if deed == "fail":
        print("no such weights", file=sys.stderr)
        sys.exit(3)
    if deed == "hang":
        time.sleep(60)
    if deed == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # A child that has left the group and the session, and won't end either.
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()

"""A Hugging Face Hub for tests: the calls that download a model or a data set, on loopback."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

_API = re.compile(r"^/api/(model|dataset)s/([^/]+/[^/]+)(?:/(.*))?$")
_RESOLVE = re.compile(r"^/(?:(dataset)s/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Repository:
    """Files of one repository.

    Attributes:
        gate: None for all, `private` (unknown without the token), `gated` (known, but closed) or
            `unplugged` (the line is cut).
        commits: How often it was changed; the commit's name depends on it.
    """

    files: dict[str, bytes]
    gate: str | None = None
    commits: int = 1

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{self.commits}".encode()).hexdigest()


@dataclass
class Hub:
    """A hub that runs; `requests` has the path of everything that was asked."""

    url: str = ""
    token: str = "hf_of_the_tests"
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(
        self, kind: str, name: str, files: Mapping[str, bytes], gate: str | None = None
    ) -> Repository:
        """Add a repository; `kind` is `model` or `dataset`."""
        repository = Repository(dict(files), gate)
        self.repositories[kind, name] = repository
        return repository

    def environment(self, home: str) -> dict[str, str]:
        """Return what a process needs to use this hub; read when huggingface_hub is imported."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": home,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
        }

    def downloads(self) -> list[str]:
        """Return the files that were asked for."""
        return [path for path in self.requests if "/resolve/" in path]


@contextmanager
def hub_server() -> Iterator[Hub]:
    """Run a hub until the context ends."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        address = urlparse(self.path)
        path = unquote(address.path)
        self.hub.requests.append(path)
        found = _API.match(path)
        if found:
            repository = self._open(found[1], found[2], closed=False)
            if repository is not None:
                self._answer_api(found[2], repository, found[3] or "", address.query, body)
            return
        found = _RESOLVE.match(path)
        if found:
            repository = self._open(found[1] or "model", found[2], closed=True)
            if repository is not None:
                self._answer_file(repository, found[4])
            return
        self._json(404, {"error": f"no route {path}"})

    def _open(self, kind: str, name: str, closed: bool) -> Repository | None:
        """Return a repository that the caller may see, or answer why not."""
        repository = self.hub.repositories.get((kind, name))
        allowed = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if repository is not None and repository.gate == "unplugged":
            self.close_connection = True
            return None
        if repository is None or (repository.gate == "private" and not allowed):
            self._json(404 if allowed else 401, {"error": "Repository not found"}, "RepoNotFound")
            return None
        if repository.gate == "gated" and closed and not allowed:
            error = f"Access to dataset {name} is restricted. You must be authenticated."
            self._json(401, {"error": error}, "GatedRepo")
            return None
        return repository

    def _answer_api(
        self, name: str, repository: Repository, rest: str, query: str, body: bytes
    ) -> None:
        files = repository.files
        if rest.startswith("tree/"):
            folder = "/".join(rest.split("/")[2:])
            return self._answer_tree(files, f"{folder}/" if folder else "", "recursive=" in query)
        if rest.startswith("paths-info/"):
            wanted = [path for path in json.loads(body)["paths"] if path in files]
            return self._json(200, [_entry(path, files[path]) for path in wanted])
        revision = rest.removeprefix("revision/")
        if revision not in ("", "main", repository.sha):
            error = {"error": f"Invalid rev id: {revision}"}
            return self._json(404, error, "RevisionNotFound")
        info = {"_id": "0", "id": name, "author": name.partition("/")[0], "sha": repository.sha}
        info |= {"private": False, "gated": repository.gate == "gated", "disabled": False}
        info |= {"downloads": 0, "likes": 0, "tags": []}
        info |= {"siblings": [{"rfilename": path} for path in sorted(files)]}
        return self._json(200, info)

    def _answer_tree(self, files: Mapping[str, bytes], folder: str, recursive: bool) -> None:
        inside = {path: data for path, data in files.items() if path.startswith(folder)}
        if folder and not inside:
            return self._json(404, {"error": "Entry not found"}, "EntryNotFound")
        entries = [
            _entry(path, data)
            for path, data in sorted(inside.items())
            if recursive or "/" not in path[len(folder) :]
        ]
        below = {path[len(folder) :].split("/")[0] for path in inside if "/" in path[len(folder) :]}
        entries += [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder + name}
            for name in sorted(below)
        ]
        return self._json(200, entries)

    def _answer_file(self, repository: Repository, path: str) -> None:
        data = repository.files.get(path)
        if data is None:
            return self._json(404, {"error": "Entry not found"}, "EntryNotFound", repository.sha)
        wanted = _RANGE.match(self.headers.get("Range", "")) if self.command == "GET" else None
        part, status = data, 200
        if wanted:
            end = int(wanted[2]) + 1 if wanted[2] else len(data)
            part, status = data[int(wanted[1]) : end], 206
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", repository.sha)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            start = int(wanted[1])
            last = start + len(part) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part)
        return None

    def _json(self, status: int, value: object, code: str = "", commit: str = "") -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", "not for this test")
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(path: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "size": len(data), "path": path}

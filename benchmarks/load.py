"""The load server and the bare client of the teacher's benchmarks, compiled where they are used.

A C compiler (`cc`, gcc or clang, on Linux) is a must: a server in Python would be the limit.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_LONGEST_BARE_RUN_SECONDS = 600


@dataclass(frozen=True)
class Tools:
    """The two programs, compiled."""

    server: Path
    client: Path


@dataclass(frozen=True)
class LoadServer:
    """A load server that runs.

    Attributes:
        process_id: Of the server, so that its CPU time can be told from ours.
    """

    port: int
    process_id: int

    @property
    def base_url(self) -> str:
        """Address up to the version."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, int]:
        """Return the server's counts; `write_stats` in its source says what they are."""
        return dict(self._get("stats"))

    def rows(self) -> list[int]:
        """Return how often each row was asked."""
        return list(self._get("rows"))

    def requests(self) -> list[tuple[int, str, float]]:
        """Return row, kind and delay in ms of each request, in order; needs `record=1`."""
        return [(row, kind, delay) for row, kind, delay in self._get("requests")]

    def _get(self, page: str) -> Any:
        # Not urlopen: a proxy from the environment must not come between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/{page}", timeout=60) as answer:
            return json.load(answer)


@contextmanager
def compiled_tools() -> Iterator[Tools]:
    """Compile server and client into a folder that is gone afterwards.

    Raises:
        SystemExit: There is no C compiler.
        subprocess.CalledProcessError: They don't compile; the compiler's words are on stderr.
    """
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("the teacher's benchmarks need a C compiler (cc); install gcc")
    with tempfile.TemporaryDirectory(prefix="load-tools-") as folder:
        tools = Tools(Path(folder, "load_server"), Path(folder, "load_client"))
        for program in (tools.server, tools.client):
            source = HERE / f"{program.name}.c"
            flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra"]
            subprocess.run([compiler, *flags, "-o", str(program), str(source)], check=True)
        yield tools


@contextmanager
def load_server(tools: Tools, **options: float | str) -> Iterator[LoadServer]:
    """Run a load server on a free port; options are those of its source, with underscores."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    # It ends when its input closes, so that none is left behind when we are killed.
    with subprocess.Popen(
        [str(tools.server), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield LoadServer(int(process.stdout.readline()), process.pid)


def bare_rate(tools: Tools, server: LoadServer, count: int, concurrency: int) -> float:
    """Return the requests per second that a bare socket loop reaches."""
    words = [str(tools.client), str(server.port), str(count), str(concurrency)]
    done = subprocess.run(
        words, check=True, stdout=subprocess.PIPE, timeout=_LONGEST_BARE_RUN_SECONDS
    )
    return float(json.loads(done.stdout)["per_second"])


@dataclass(frozen=True)
class Driver:
    """A client to measure: a script of `peers/`, and the Python that has what it imports.

    Attributes:
        name: As tables show it.
        options: What the script takes after the address, the count and the concurrency.
    """

    name: str
    script: str
    python: Path = Path(sys.executable)
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Driven:
    """What one run of a driver did; the rates are of rows with a reply."""

    wall_seconds: float
    cpu_seconds: float
    answered: int
    lost: int
    doubled: int

    @property
    def per_second(self) -> float:
        """Rows with a reply per second."""
        return self.answered / self.wall_seconds

    @property
    def cpu_ms_per_request(self) -> float:
        """CPU time of the client for each row."""
        return 1000 * self.cpu_seconds / (self.answered + self.lost)


def drive(driver: Driver, server: LoadServer, count: int, concurrency: int, *more: str) -> Driven:
    """Run a driver in its own process against a server.

    Raises:
        SystemExit: It failed; its words come along.
    """
    place = [server.base_url, str(count), str(concurrency)]
    words = [str(driver.python), str(HERE / "peers" / driver.script), *place]
    # No proxy may come between, and nobody is told of the run.
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "TELEMETRY_ENABLED": "0"}
    done = subprocess.run(
        [*words, *driver.options, *more], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{driver.name} failed:\n{done.stderr[-4000:]}")
    return Driven(**json.loads(done.stdout.splitlines()[-1]))

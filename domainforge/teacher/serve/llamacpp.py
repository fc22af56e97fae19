"""A GGUF file in llama.cpp's own server, which xllamacpp brings along."""

import importlib.util
import json
import os
import re
import sys
from pathlib import Path

from domainforge.errors import TeacherError
from domainforge.teacher.serve.supervisor import Launch

READY_SECONDS = 120.0
CONTEXT_TOKENS = 2048
"""Room for prompt and reply together, for each request in flight."""

_MOST_THREADS = 8
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


def llamacpp_launch(
    weights: Path,
    *,
    kind: str = "llamacpp",
    title: str | None = None,
    advice: str | None = None,
    threads: int | None = None,
    slots: int = 4,
    context_tokens: int = CONTEXT_TOKENS,
    ready_seconds: float = READY_SECONDS,
    restarts: int = 3,
) -> Launch:
    """Say how to serve a GGUF file.

    Args:
        weights: The file; the first one where the model is in several.
        kind: Names the log.
        title: Names the server in messages.
        advice: What to do when it doesn't start.
        threads: CPU threads; None takes every core, up to eight.
        slots: Requests answered side by side.
        context_tokens: Tokens of prompt and reply together, for each slot.
        ready_seconds: Longest wait until it answers.
        restarts: How often it is started again after it died.
    """
    settings = {
        "model": str(weights),
        "name": weights.stem,
        "threads": threads or min(_MOST_THREADS, _usable_cores()),
        "slots": slots,
        "ctx_per_slot": context_tokens,
    }
    script = Path(__file__).with_name("llamacpp_server.py")

    def command(port: int) -> list[str]:
        # -P keeps this folder off the child's module path.
        return [sys.executable, "-P", str(script), json.dumps({**settings, "port": port})]

    return Launch(
        kind=kind,
        title=title or f"llama.cpp's server for {weights.name}",
        model=weights.stem,
        command=command,
        advice=advice or f"check that {weights} is a whole GGUF file and fits into memory",
        environment={
            # Waiting threads that spin would starve whatever else runs here (tenfold, measured).
            "OMP_WAIT_POLICY": "passive",
            "GOMP_SPINCOUNT": "0",
            "OMP_NUM_THREADS": str(settings["threads"]),
        },
        ready_seconds=ready_seconds,
        stop_seconds=2.0,
        restarts=restarts,
    )


def find_gguf(name: str, project: Path) -> Path:
    """Return the file that `teacher.gguf` names; relative paths belong to the project folder.

    Raises:
        TeacherError: There is no such file, or llama.cpp's server is not installed.
    """
    path = (project / Path(name).expanduser()).absolute()
    if not path.is_file():
        near = ", ".join(sorted(other.name for other in path.parent.glob("*.gguf"))[:5])
        listed = f"; that folder has: {near}" if near else ""
        raise TeacherError(f"teacher.gguf: there is no file {path}{listed}; correct the path")
    if importlib.util.find_spec("xllamacpp") is None:
        raise TeacherError(
            "`serve: llamacpp` needs xllamacpp; install it with `pip install xllamacpp`"
        )
    return path


def gguf_parts(first: Path) -> tuple[Path, ...]:
    """Return every file of a model: one, or those numbered `-00001-of-0000N.gguf`.

    Raises:
        TeacherError: A part is missing, or the file named is not the first.
    """
    match = _PART.search(first.name)
    if match is None:
        return (first,)
    stem, count = first.name[: match.start()], int(match[2])
    parts = [
        first.with_name(f"{stem}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)
    ]
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise TeacherError(f"{first.parent}: lacks {', '.join(missing)}; fetch every part")
    if first != parts[0]:
        raise TeacherError(f"teacher.gguf: name the first of the {count} parts, {parts[0].name}")
    return tuple(parts)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

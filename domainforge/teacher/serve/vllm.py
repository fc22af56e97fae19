"""A model on the user's own GPU, served by `vllm serve`."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from domainforge.errors import TeacherError
from domainforge.teacher.serve.supervisor import Launch

READY_SECONDS = 600.0

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class VllmModel(NamedTuple):
    """What vLLM is to serve: a folder, or a Hub id at a commit.

    Attributes:
        name: The name under which it is listed; no path of this machine.
        folder: The local folder; None for a Hub id.
        commit: The commit of a Hub id.
    """

    name: str
    folder: Path | None = None
    commit: str | None = None


def vllm_launch(
    model: VllmModel,
    serve_args: tuple[str, ...] = (),
    *,
    ready_seconds: float = READY_SECONDS,
    restarts: int = 3,
) -> Launch:
    """Say how to serve a model with vLLM.

    Args:
        model: The model, as `find_vllm_model` returns it.
        serve_args: Further arguments of `vllm serve`.
        ready_seconds: Longest wait until it answers; large models take minutes to load.
        restarts: How often it is started again after it died.

    Raises:
        TeacherError: vLLM is not installed.
    """
    program = _find_program()
    revision = ["--revision", model.commit] if model.commit else []

    def command(port: int) -> list[str]:
        return [
            *(program, "serve", str(model.folder or model.name)),
            *("--host", "127.0.0.1", "--port", str(port), "--served-model-name", model.name),
            # A line for each request would make the log grow by 100 MB in a million of them.
            *(*revision, "--disable-uvicorn-access-log", *serve_args),
        ]

    return Launch(
        kind="vllm",
        title=f"vLLM with {model.name}",
        model=model.name,
        command=command,
        advice="see what vLLM says in its log; too little GPU memory is helped by "
        "`serve_args: [--max-model-len, '4096']` or a smaller model",
        # A key in the environment would lock us out; nothing is reported to anyone unasked.
        environment={"VLLM_API_KEY": None, "VLLM_NO_USAGE_STATS": "1"},
        ready_seconds=ready_seconds,
        stop_seconds=10.0,
        restarts=restarts,
    )


def find_vllm_model(name: str, revision: str | None, project: Path) -> VllmModel:
    """Return what `teacher.model` names: a folder, else a Hub id at the commit it stands for now.

    A branch that this machine's cache of the Hub knows is resolved there, so that nothing is
    asked of the network; else the Hub is asked.

    Raises:
        TeacherError: No such folder, no such model, or the Hub can't be reached; or it would have
            to be asked for a vLLM that is not installed.
    """
    folder = (project / Path(name).expanduser()).absolute()
    if folder.is_dir():
        if not list(folder.glob("*.safetensors")):
            raise TeacherError(
                f"teacher.model: {folder} has no *.safetensors; other weight formats can run code"
            )
        if revision is not None:
            raise TeacherError(
                f"teacher.revision is for models of the Hub, and {folder} is a folder; leave it out"
            )
        return VllmModel(folder.name, folder)
    if not _HUB_ID.fullmatch(name) or name.startswith("."):
        raise TeacherError(
            f"teacher.model: {name!r} is neither a folder nor a Hub id such as "
            "HuggingFaceTB/SmolLM2-1.7B-Instruct"
        )
    return VllmModel(name, commit=_resolve_commit(name, revision or "main"))


def _find_program() -> str:
    program = shutil.which("vllm")
    if program is None:
        raise TeacherError(
            "`serve: vllm` needs vLLM, and no `vllm` is on the PATH; install it on a machine with "
            "a GPU (`pip install vllm`), or give `base_url` of a server that runs elsewhere"
        )
    return program


def _resolve_commit(name: str, revision: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    import httpx2
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    cached = try_to_load_from_cache(name, "config.json", revision=revision)
    if isinstance(cached, str):
        return Path(cached).parent.name
    _find_program()  # nothing is asked of anyone for a model that can't be served here
    try:
        commit = HfApi().model_info(name, revision=revision).sha
    except (HfHubHTTPError, HFValidationError, OSError, httpx2.HTTPError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TeacherError(
            f"teacher.model: {name!r} at {revision!r} is not in this machine's cache and can't be "
            f"had from the Hub ({reason}); check the name and the network, log in with "
            "`hf auth login` where it is gated, give the whole commit in `revision`, or name a "
            "local folder"
        ) from error
    if commit is None:
        raise TeacherError(f"teacher.model: the Hub tells no commit for {name!r} at {revision!r}")
    return commit

"""Finding the base model: the embedded one (dequantised once), a folder, or a Hub id."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domainforge.errors import TrainingError
from domainforge.files import cache_folder, file_hash
from domainforge.training.runtime import prepare_runtime

if TYPE_CHECKING:
    from tokenizers import Tokenizer

EMBEDDED = "embedded"


def find_student(name: str, project: Path, say: Callable[[str], None]) -> Path:
    """Return the base model as a folder with safetensors and a tokenizer.

    Args:
        name: `embedded`, a folder (absolute or in the project), or a Hub id.
        project: Folder that relative paths belong to.
        say: Told when something slow begins.

    Raises:
        TrainingError: No such model, or the Hub can't be reached.
    """
    if name == EMBEDDED:
        return _dequantise_embedded(say)
    path = project / Path(name).expanduser()
    if (path / "config.json").exists():
        return path
    if path.is_dir() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise TrainingError(
            f"train.student: {name!r} is neither 'embedded', nor a folder with a config.json, "
            "nor a Hub id such as HuggingFaceTB/SmolLM2-135M-Instruct"
        )
    return _download(name, say)


def identify_student(folder: Path) -> str:
    """Return a hash of the weights and the tokenizer, or the Hub revision of a snapshot."""
    if folder.parent.name == "snapshots":
        return f"revision:{folder.name}"
    digest = hashlib.sha256()
    names = ("config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json")
    weights = sorted(folder.glob("*.safetensors"))
    for path in [folder / name for name in names] + weights:
        if path.exists():
            digest.update(f"{path.name} {file_hash(path)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def load_fast_tokenizer(folder: Path) -> "Tokenizer":
    """Load the model's tokenizer without importing transformers.

    Raises:
        TrainingError: The model has no `tokenizer.json`.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.exists():
        raise TrainingError(
            f"{folder}: has no tokenizer.json; choose a student with a fast tokenizer"
        )
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer for training: always with a pad token.

    Raises:
        TrainingError: The tokenizer has no end token.
    """
    prepare_runtime()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token is None:
        raise TrainingError(f"{folder}: the tokenizer has no end token; choose another student")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(folder: Path, *, device: str | None = None) -> Any:
    """Load a causal language model in float32, on the GPU where there is one.

    Raises:
        TrainingError: The folder doesn't hold one, or its weights aren't safetensors.
    """
    prepare_runtime()
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    if not list(folder.glob("*.safetensors")):
        raise TrainingError(f"{folder}: has no *.safetensors; other weight formats can run code")
    where = device or choose_device()
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainingError(
            f"{folder}: can't be loaded as a causal language model: {error}"
        ) from error
    return model.to(where)


def choose_device() -> str:
    """Return `cuda` where a GPU is, else `cpu`."""
    prepare_runtime()
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _dequantise_embedded(say: Callable[[str], None]) -> Path:
    from domainforge.teacher.serve.embedded import embedded_model_path

    source = embedded_model_path()
    target = cache_folder() / f"{source.stem}-{file_hash(source)[:16]}"
    if (target / "config.json").exists():
        return target
    say("Dequantising the embedded student once (about 20 seconds) ...")
    prepare_runtime()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dequantising-") as work:
        options = {"gguf_file": source.name}
        model = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **options)
        # transformers 5 keeps the mark of quantisation after dequantising, and then refuses to
        # save or train what is plain float32 by now.
        model.hf_quantizer = None
        model.is_quantized = False
        for owner, name in ((model.config, "quantization_config"), (model, "quantization_method")):
            if hasattr(owner, name):
                delattr(owner, name)
        folder = Path(work) / "model"
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(source.parent, **options).save_pretrained(folder)
        (folder / "origin.json").write_text(json.dumps({"file": source.name}) + "\n")
        for path in folder.iterdir():
            path.chmod(0o644)
        _move_into_place(folder, target)
    return target


def _move_into_place(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError:
        # Another process was faster; its folder is as good.
        if not (target / "config.json").exists():
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)


def _download(name: str, say: Callable[[str], None]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    say(f"Fetching {name} from the Hub (only what is not in the cache) ...")
    wanted = ["*.json", "*.safetensors", "*.jinja", "tokenizer.model", "*.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"train.student: {name!r} can't be had from the Hub ({reason}); check the name and the "
            "network, log in with `hf auth login` where it is gated, or name a local folder"
        ) from error

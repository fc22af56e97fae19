"""The local models that checks may use: where they are, and which ones exactly."""

from pathlib import Path

from domainforge.files import file_hash
from domainforge.filters.classifier import check_folder
from domainforge.filters.rows import FilterConfig

MODEL_FIELDS = ("toxicity_model", "nli_model")
"""The settings that name one."""

_NAMES = ("config.json", "tokenizer.json", "tokenizer_config.json")


def locate_models(config: FilterConfig, project: Path) -> FilterConfig:
    """Return the settings with relative folders of models resolved against the project."""
    named = {name: getattr(config, name) for name in MODEL_FIELDS if getattr(config, name)}
    found = {name: str(project / Path(folder).expanduser()) for name, folder in named.items()}
    return config.model_copy(update=found) if found else config


def without_models(config: FilterConfig) -> FilterConfig:
    """Return the settings without the models: for later rounds, which look at coverage alone."""
    return config.model_copy(update=dict.fromkeys(MODEL_FIELDS))


def check_models(config: FilterConfig) -> None:
    """Look whether the models are there; no weights are read.

    Args:
        config: With folders that can be found from here.

    Raises:
        ConfigError: There is no model where one is named.
    """
    for name in MODEL_FIELDS:
        if getattr(config, name):
            check_folder(Path(getattr(config, name)), f"filter.{name}")


def identify_models(config: FilterConfig) -> dict[str, str]:
    """Return a hash of each model's files; nothing where none is named.

    Args:
        config: With folders that can be found from here.

    Raises:
        ConfigError: There is no model where one is named.
    """
    found = {}
    for name in MODEL_FIELDS:
        if getattr(config, name):
            folder = Path(getattr(config, name))
            check_folder(folder, f"filter.{name}")
            files = [folder / file for file in _NAMES if (folder / file).exists()]
            files += sorted(folder.glob("*.safetensors"))
            found[name] = " ".join(file_hash(file)[:16] for file in files)
    return found

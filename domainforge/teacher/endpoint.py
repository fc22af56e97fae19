"""Where a teacher is reached, with the key that must not leave this object."""

import ipaddress
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from domainforge.errors import ConfigError
from domainforge.teacher.config import TeacherConfig

SHORTEST_SECRET = 8
"""Shorter keys are placeholders, and taking them out would spoil replies."""


@dataclass(frozen=True)
class Endpoint:
    """An address, a model, and a key.

    Attributes:
        api_key: The key, or None for a server that wants none; never printed.
        llamacpp: Whether it is llama.cpp's server, which takes a schema for plain completions too.
        find_death: Says why a server that we started is gone for good; None while it lives or is
            being started again.
        is_restarting: Whether a server that we started has died and is being started again, so
            that a fault of it says nothing against the request.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    api_key_env: str | None = None
    llamacpp: bool = False
    find_death: Callable[[], str | None] | None = None
    is_restarting: Callable[[], bool] | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, so that no proxy lies between."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def is_clean(self, text: str) -> bool:
        """Whether a JSON text can't hold the key or half a character, not even escaped."""
        return "\\u" not in text and not (self.api_key and self.api_key in text)

    def scrub(self, text: str) -> str:
        """Take the key out of a text that an endpoint sent.

        Placeholders such as `EMPTY` are no secrets, and replacing them would spoil replies; hence
        the shortest length.
        """
        if self.api_key and len(self.api_key) >= SHORTEST_SECRET:
            return text.replace(self.api_key, "[key removed]")
        return text


def read_api_key(config: TeacherConfig) -> str | None:
    """Read the key from the environment variable that the config names.

    Raises:
        ConfigError: The variable is not set, or empty.
    """
    name = config.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ConfigError(
            f"teacher.api_key_env: the environment variable {name} is not set or empty; "
            f"set it with `export {name}=...`"
        )
    return key


def describe_missing_keys(config: TeacherConfig, name: str = "teacher") -> list[str]:
    """Say of each variable that should hold a key and doesn't what will come of it.

    No error: what the ledger answers needs no key.

    Args:
        config: Who answers.
        name: What the pipeline file calls that teacher.
    """
    first = (name, config.api_key_env)
    others = [(f"{name}.endpoints.{n}", e.api_key_env) for n, e in enumerate(config.endpoints)]
    missing = {
        variable: place
        for place, variable in reversed([first, *others])
        if variable and not os.environ.get(variable, "").strip()
    }
    return [
        f"the environment variable {variable} ({place}.api_key_env) is not set: the run will stop "
        "at the first request that the ledger can't answer"
        for variable, place in reversed(missing.items())
    ]

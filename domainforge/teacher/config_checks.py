"""Single values of a teacher's config, and endpoints that are there twice."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

Reach = tuple[str | None, str | None, str | None]
"""An address, a model's name, and the variable that holds the key."""


def check_base_url(value: str | None) -> str | None:
    """Return an address without a slash at its end.

    Raises:
        ValueError: It is no whole address, or it carries a secret.
    """
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a whole address, for example http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query:
        raise ValueError(
            "the address must carry no user, password or query: a pipeline file holds no "
            "secrets; name the key's variable in `api_key_env`"
        )
    return value.rstrip("/")


def check_variable_name(value: str | None) -> str | None:
    """Return the name of an environment variable.

    Raises:
        ValueError: It is none; most likely a key was pasted.
    """
    # Upper case only: a pasted key nearly always fails this, a variable's name hardly ever.
    if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
        raise ValueError(
            "write the NAME of an environment variable (capitals, digits, underscores), "
            "never the key itself"
        )
    return value


def read_yes_or_no(value: object) -> object:
    """Return what stood in the file where YAML 1.1 read a bare `yes` or `no` as true or false."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def find_doubles(first: Reach, others: Sequence[Reach]) -> list[str]:
    """Return what is wrong with entries of `endpoints` that add nothing, for people to read.

    Args:
        first: The teacher's own endpoint.
        others: Entries; an address or a model that one leaves out is the first's.
    """
    seen: dict[Reach, str] = {first: "the teacher's own endpoint"}
    faults = []
    advice = "give it another `base_url` or `api_key_env`, or take it out"
    for number, (base_url, model, key) in enumerate(others):
        name = f"`endpoints.{number}`"
        if (base_url, model, key) == (None, None, None):
            faults.append(f"{name} is empty; {advice}")
            continue
        reach = (base_url or first[0], model or first[1], key)
        if reach in seen:
            faults.append(f"{name} has address, model and key of {seen[reach]}; {advice}")
        seen.setdefault(reach, name)
    return faults

"""What a pipeline file may say about a teacher that LangChain asks."""

import difflib
import re

# How LangChain lists the providers that it knows; a list of our own would be out of date.
_KNOWN = re.compile(r"^Supported (?:model )?providers(?: are)?: *([\w, ]+)", re.M | re.I)
_MODEL = re.compile(r"[a-z][a-z0-9_]*:.+")


def check_langchain(kind: str, model: str | None, form: str) -> list[str]:
    """Return what can't go with `transport: langchain`, for people to read."""
    faults = []
    if kind != "langchain":
        faults.append("`transport: langchain` is for providers, not for servers that we start")
    elif model and not _MODEL.fullmatch(model):
        faults.append(
            f"`transport: langchain` needs the provider before the model: anthropic:{model}, for "
            "example, or openai:, google_genai:, mistralai:"
        )
    if form == "completion":
        faults.append("`transport: langchain` asks chat models only: leave `form` out")
    return faults


def find_unknown_provider(model: str, said: str) -> str | None:
    """Say which part of a model's name LangChain doesn't know; None where it is something else.

    Args:
        model: The provider, a colon, and its model.
        said: LangChain's error.
    """
    listed = _KNOWN.search(said)
    provider = model.partition(":")[0]
    if listed is None or provider in (known := re.findall(r"\w+", listed[1])):
        return None
    near = difflib.get_close_matches(provider, known, n=1)
    hint = f"; did you mean '{near[0]}:'?" if near else ""
    return (
        f"teacher.model: LangChain knows no provider {provider!r} (the part before the colon of "
        f"{model!r}){hint}; it knows {', '.join(known)}"
    )

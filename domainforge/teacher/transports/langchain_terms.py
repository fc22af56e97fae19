"""What a pipeline file may say about a teacher that LangChain asks."""

import re

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

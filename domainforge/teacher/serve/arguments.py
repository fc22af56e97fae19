"""Which arguments of `vllm serve` a pipeline file may give, and which change the replies."""

import difflib
import re
from collections.abc import Sequence

_OURS = frozenset(
    {
        "--host",
        "--port",
        "--uds",
        "--root-path",
        "--model",
        "--revision",
        "--served-model-name",
        "--api-key",
        "--ssl-keyfile",
        "--ssl-certfile",
        "--ssl-ca-certs",
        "--ssl-cert-reqs",
        "--headless",
    }
)
# A pipeline file is data; these would load code that it names, or run what a model writes.
_CODE = frozenset(
    {
        "--trust-remote-code",
        "--config",
        "--log-config-file",
        "--middleware",
        "--worker-cls",
        "--worker-extension-cls",
        "--scheduler-cls",
        "--logits-processors",
        "--logits-processor-pattern",
        "--io-processor-plugin",
        "--tool-parser-plugin",
        "--reasoning-parser-plugin",
        "--tool-server",
        "--kv-transfer-config",
    }
)
_SHAPING = frozenset(
    {
        "--quantization",
        "-q",
        "--dtype",
        "--kv-cache-dtype",
        "--load-format",
        "--tokenizer",
        "--tokenizer-mode",
        "--tokenizer-revision",
        "--chat-template",
        "--chat-template-content-format",
        "--default-chat-template-kwargs",
        "--generation-config",
        "--override-generation-config",
        "--reasoning-parser",
        "--hf-overrides",
        "--hf-config-path",
        "--rope-scaling",
        "--rope-theta",
        "--lora-modules",
        "--enable-lora",
    }
)


def check_server_name(value: object) -> object:
    """Return a value of `serve` that is none, `vllm` or `llamacpp`.

    Raises:
        ValueError: It is another; the message has the nearest one.
    """
    known = ["vllm", "llamacpp"]
    if value is None or value in known:
        return value
    word = re.sub(r"[\W_]|server$", "", str(value).lower())
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise ValueError(f"write `vllm` or `llamacpp`{hint}")


def check_arguments(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return further arguments of `vllm serve`, all of which a pipeline file may give.

    Raises:
        ValueError: One is ours to set, or would run code.
    """
    if arguments and not arguments[0].startswith("-"):
        raise ValueError("`serve_args` must begin with an option, for example --max-model-len")
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        name = _name(argument)
        # vLLM takes beginnings of a name for the whole.
        if any(other.startswith(name) for other in _OURS):
            raise ValueError(f"`serve_args` can't hold {name}: DomainForge sets that itself")
        if any(other.startswith(name) for other in _CODE):
            raise ValueError(
                f"`serve_args` can't hold {name}: a pipeline file may not name code to run"
            )
    return arguments


def shaping_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that change what the model computes, each with its values, sorted."""
    options: list[list[str]] = []
    for argument in arguments:
        if argument.startswith("-") and not _is_number(argument):
            name, equals, value = argument.partition("=")
            options.append([_name(name), value] if equals else [_name(name)])
        elif options:
            options[-1].append(argument)
    return sorted(" ".join(option) for option in options if option[0] in _SHAPING)


def _name(argument: str) -> str:
    """Return an option's name as vLLM reads it: underscores are dashes, `.key` is inside it."""
    return argument.partition("=")[0].partition(".")[0].replace("_", "-")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

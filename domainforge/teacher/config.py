"""What a pipeline file says about its teacher: who answers, and how hard it may be asked."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from domainforge.stage import Settings, transport_field
from domainforge.teacher.config_checks import (
    check_base_url,
    check_variable_name,
    find_doubles,
    read_yes_or_no,
)
from domainforge.teacher.privacy import PrivacyConfig
from domainforge.teacher.serve.arguments import check_arguments, check_server_name
from domainforge.teacher.transports.langchain_terms import check_langchain

EMBEDDED_SLOTS = 4
"""Requests that llama.cpp's server answers side by side; more gains nothing on a CPU."""

Kind = Literal["embedded", "endpoint", "langchain", "llamacpp", "vllm"]
_KINDS: dict[Kind, str] = {
    "embedded": "the embedded teacher",
    "endpoint": "an endpoint",
    "langchain": "`transport: langchain`",
    "llamacpp": "`serve: llamacpp`",
    "vllm": "`serve: vllm`",
}
_RUNNING: tuple[Kind, ...] = ("endpoint", "langchain")
# Keys that only some teachers take.
_TAKEN_BY: dict[str, tuple[Kind, ...]] = {
    "base_url": _RUNNING,
    "model": (*_RUNNING, "vllm"),
    "api_key_env": _RUNNING,
    "same_as": _RUNNING,
    "endpoints": _RUNNING,
    "requests_per_minute": _RUNNING,
    "tokens_per_minute": _RUNNING,
    "serve": ("llamacpp", "vllm"),
    "gguf": ("llamacpp",),
    "context_tokens": ("llamacpp",),
    "threads": ("embedded", "llamacpp"),
    "revision": ("vllm",),
    "serve_args": ("vllm",),
    "ready_seconds": ("embedded", "llamacpp", "vllm"),
}
_NEEDED: dict[Kind, tuple[str, ...]] = {
    "embedded": (),
    "endpoint": ("base_url", "model"),
    "langchain": ("model",),
    "llamacpp": ("gguf",),
    "vllm": ("model",),
}

Address = Annotated[str | None, AfterValidator(check_base_url)]
VariableName = Annotated[str | None, AfterValidator(check_variable_name)]


class PriceConfig(Settings):
    """What the endpoint charges, in dollars for a million tokens."""

    input_usd_per_million: float = transport_field(
        ..., "Dollars for a million tokens of prompt.", ge=0, allow_inf_nan=False
    )
    output_usd_per_million: float = transport_field(
        ..., "Dollars for a million tokens of reply.", ge=0, allow_inf_nan=False
    )
    cached_input_usd_per_million: float | None = transport_field(
        None,
        "Dollars for a million tokens of prompt that the endpoint had cached; left out, they cost "
        "as much as others.",
        ge=0,
        allow_inf_nan=False,
    )
    batch_share: float | None = transport_field(
        None, "Part of these prices that the batch API charges, for example 0.5.", gt=0, le=1
    )


class BudgetConfig(Settings):
    """Where a run stops asking. A cap counts what earlier sessions of the same run have spent."""

    max_usd: float | None = transport_field(
        None,
        "Most dollars that the run may spend; no request leaves that could pass it.",
        gt=0,
        allow_inf_nan=False,
    )
    max_tokens: int | None = transport_field(
        None, "Most tokens that the run may be billed for, prompts and replies together.", ge=1
    )
    max_hours: float | None = transport_field(
        None, "Hours after which this session sends nothing more.", gt=0, allow_inf_nan=False
    )

    @property
    def has_cap(self) -> bool:
        """Whether it stops anything."""
        return any(cap is not None for cap in (self.max_usd, self.max_tokens, self.max_hours))


class EndpointConfig(Settings):
    """Another endpoint, or another key, that serves the same model."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: Address = transport_field(None, "Its address; left out, the teacher's own.")
    model: str | None = transport_field(
        None, "The model's name there; left out, the teacher's own."
    )
    api_key_env: VariableName = transport_field(
        None, "Name of the environment variable that holds its key."
    )


class TeacherConfig(Settings):
    """Who answers the prompts. The bare word `embedded` stands for `{embedded: true}`."""

    # A key pasted where its variable's name belongs must not come back in the error.
    model_config = ConfigDict(hide_input_in_errors=True)

    embedded: bool = Field(
        False,
        description="Use the small model that runs here, offline and on the CPU "
        "(installed by `domainforge setup embedded`).",
    )
    base_url: Address = Field(
        None,
        description="Address of an OpenAI-compatible endpoint, up to and including its version, "
        "for example http://127.0.0.1:8000/v1.",
    )
    model: str | None = Field(
        None, description="Name of the model at that endpoint, as the endpoint lists it."
    )
    api_key_env: VariableName = transport_field(
        None,
        "Name of the environment variable that holds the key (never the key itself); "
        "leave out for a local server that wants none.",
    )
    form: Literal["auto", "chat", "completion"] = Field(
        "auto",
        description="Which form of a prompt to use: `chat`, or `completion` for a model that only "
        "continues text; `auto` takes completion for the embedded model and chat otherwise.",
    )
    json_schema: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Whether the endpoint holds replies to a JSON schema; `auto` finds out once "
        "and remembers it in the ledger.",
    )
    same_as: str | None = Field(
        None,
        description="A name shared by endpoints that serve the same models: replies paid for at "
        "one of them count for all (replaces the address in the ledger's keys).",
        min_length=1,
    )
    endpoints: tuple[EndpointConfig, ...] = transport_field(
        (),
        "More endpoints or keys for the same model, used side by side with the first, each as "
        "much as it sustains; one that fails doesn't stop the rest.",
    )
    transport: Literal["direct", "openai", "langchain"] = transport_field(
        "direct",
        "How requests travel: `direct` is the fastest (aiohttp), `openai` goes through the openai "
        "package, `langchain` through init_chat_model.",
    )
    batch: bool = transport_field(
        False,
        "Ask through the endpoint's Batch API: about half the price where a provider has one, and "
        "replies within a day instead of at once.",
    )
    concurrency: int | None = transport_field(
        None,
        "Most requests in flight at once at each endpoint; left out, it is found by trying. The "
        f"embedded model takes at most {EMBEDDED_SLOTS}, and `serve: llamacpp` as many where it "
        "is left out.",
        ge=1,
    )
    requests_per_minute: float | None = transport_field(
        None, "Most requests a minute at each endpoint, where its headers don't say it.", gt=0
    )
    tokens_per_minute: float | None = transport_field(
        None, "Most tokens a minute at each endpoint, where its headers don't say it.", gt=0
    )
    timeout_seconds: float = transport_field(
        120, "Longest wait for one whole reply before it is asked again.", gt=0
    )
    max_retries: int = transport_field(
        8, "How often a request is repeated after a fault that may pass (429, 5xx, timeouts).", ge=0
    )
    stop_after_failures: int = transport_field(
        20, "Stop after so many requests in a row have failed, retries included.", ge=1
    )
    max_failed_share: float = transport_field(
        0.2,
        "Stop when a larger part of the requests has failed, once `stop_after_failures` have.",
        ge=0,
        le=1,
    )
    serve: Literal["vllm", "llamacpp"] | None = Field(
        None,
        description="Start the teacher's server here: `vllm` serves `model` on your GPU, "
        "`llamacpp` serves the file `gguf`.",
    )
    gguf: str | None = Field(
        None,
        description="File that `serve: llamacpp` serves, relative to the project folder; the "
        "first one where a model is in several.",
        min_length=1,
    )
    revision: str | None = Field(
        None,
        description="Commit, branch or tag of the Hub's model that `serve: vllm` serves; left "
        "out, main. Replies are kept for the commit it stands for.",
        min_length=1,
    )
    serve_args: tuple[str, ...] = Field(
        (),
        description="Further arguments of `vllm serve`, one word each: [--max-model-len, '8192']. "
        "Those that change the replies (--quantization) count as another teacher.",
    )
    threads: int | None = transport_field(
        None,
        "CPU threads of the embedded model and of llama.cpp's server; left out, every core up to "
        "eight.",
        ge=1,
    )
    context_tokens: int | None = transport_field(
        None,
        "Tokens of prompt and reply together that llama.cpp's server makes room for, for each "
        "request in flight; left out, 2048.",
        ge=256,
    )
    ready_seconds: float | None = transport_field(
        None,
        "Longest wait until a server that is started here answers; left out, 600 for vLLM and "
        "120 for others.",
        gt=0,
    )
    restarts: int = transport_field(
        3, "How often a server that was started here is started again after it died.", ge=0
    )
    price: PriceConfig | None = transport_field(
        None,
        "What the endpoint charges; needed where its price isn't known and `budget.max_usd` is "
        "set (`domainforge teacher check` shows what is known).",
    )
    budget: BudgetConfig = transport_field(BudgetConfig(), "Where to stop asking.")
    privacy: PrivacyConfig = Field(
        PrivacyConfig(),
        description="What is taken out of requests, or keeps them back, before they are sent.",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_word(cls, value: Any) -> Any:
        if value == "embedded":
            return {"embedded": True}
        if isinstance(value, str):
            raise ValueError(
                "write `embedded`, or a mapping with `base_url` (or `serve`) and `model`"
            )
        return value

    @field_validator("json_schema", mode="before")
    @classmethod
    def _accept_yaml_booleans(cls, value: Any) -> Any:
        return read_yes_or_no(value)

    @field_validator("serve", mode="before")
    @classmethod
    def _check_serve(cls, value: Any) -> Any:
        return check_server_name(value)

    @field_validator("serve_args")
    @classmethod
    def _check_serve_args(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_arguments(value)

    @model_validator(mode="after")
    def _check_combination(self) -> "TeacherConfig":
        kind = self.kind
        given = [name for name in _TAKEN_BY if getattr(self, name) not in (None, ())]
        if kind == "endpoint" and not given:
            raise ValueError(
                "no teacher: write `embedded`, or give `base_url` and `model`, or `serve` with "
                "what it serves"
            )
        misplaced = [name for name in given if kind not in _TAKEN_BY[name]]
        faults = [
            f"{_KINDS[kind]} takes no {name}: `{name}` is for "
            + " and ".join(_KINDS[other] for other in _TAKEN_BY[name])
            for name in misplaced
        ]
        missing = [name for name in _NEEDED[kind] if not getattr(self, name)]
        # Who writes `gguf` alone forgot `serve`, not the address of an endpoint.
        if missing and not (kind == "endpoint" and misplaced and not self.base_url):
            needed = " and ".join(f"`{name}`" for name in _NEEDED[kind])
            lacks = ", ".join(f"`{name}` is missing" for name in missing)
            faults.append(f"{_KINDS[kind]} needs {needed}; {lacks}")
        if self.batch and (kind != "endpoint" or self.endpoints):
            faults.append(
                "`batch` needs one endpoint with a Batch API (`base_url` and `model`); leave it "
                "out to ask at once"
            )
        addresses = {entry.base_url or self.base_url for entry in self.endpoints} | {self.base_url}
        if kind in _RUNNING and len(addresses) > 1 and not self.same_as:
            faults.append(
                "`endpoints` at other addresses need `same_as`: a name of your choice that says "
                "that they all serve the same model, since the ledger keeps replies under it"
            )
        others = [(e.base_url, e.model, e.api_key_env) for e in self.endpoints]
        faults += find_doubles((self.base_url, self.model, self.api_key_env), others)
        if self.transport == "langchain":
            faults += check_langchain(kind, self.model, self.form)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def kind(self) -> Kind:
        """Who answers: an endpoint that runs already, or which server of ours."""
        running: Kind = "langchain" if self.transport == "langchain" else "endpoint"
        return "embedded" if self.embedded else self.serve or running

    @property
    def address(self) -> str | None:
        """Where the endpoint is, or which provider LangChain asks; None for a server of ours."""
        named = f"langchain:{self.model}" if self.kind == "langchain" else None
        return self.base_url or named

    @property
    def is_llamacpp(self) -> bool:
        """Whether llama.cpp's server answers, started by us."""
        return self.kind in ("embedded", "llamacpp")

    @property
    def slots(self) -> int | None:
        """Most requests in flight at the same time at one endpoint; None where it is found."""
        if self.embedded:
            return min(self.concurrency or EMBEDDED_SLOTS, EMBEDDED_SLOTS)
        return (self.concurrency or EMBEDDED_SLOTS) if self.is_llamacpp else self.concurrency

    @property
    def resolved_form(self) -> Literal["chat", "completion"]:
        """The form of prompt to use, with `auto` decided."""
        if self.form == "auto":
            return "completion" if self.embedded else "chat"
        return self.form


def endpoint_identity(base_url: str, model: str, same_as: str | None = None) -> str:
    """Name who answers: the address (or its declared group) and the model.

    Default ports and the case of the host make no difference; keys and settings don't enter.
    """
    if same_as:
        return f"{same_as}|{model}"
    parts = urlsplit(base_url)
    if parts.scheme == "langchain":
        return base_url
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}|{model}"

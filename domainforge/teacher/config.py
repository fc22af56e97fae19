"""What a pipeline file says about its teacher: who answers, and how hard it may be asked."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from domainforge.stage import Settings, transport_field

EMBEDDED_SLOTS = 4
"""Requests that the embedded server answers side by side; more gains nothing on a CPU."""

_ENDPOINT_ONLY = ("base_url", "model", "api_key_env", "same_as")


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


class TeacherConfig(Settings):
    """Who answers the prompts. The bare word `embedded` stands for `{embedded: true}`."""

    # A key pasted where its variable's name belongs must not come back in the error.
    model_config = ConfigDict(hide_input_in_errors=True)

    embedded: bool = Field(
        False,
        description="Use the small model that runs here, offline and on the CPU "
        "(installed by `domainforge setup embedded`).",
    )
    base_url: str | None = Field(
        None,
        description="Address of an OpenAI-compatible endpoint, up to and including its version, "
        "for example http://127.0.0.1:8000/v1.",
    )
    model: str | None = Field(
        None, description="Name of the model at that endpoint, as the endpoint lists it."
    )
    api_key_env: str | None = transport_field(
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
    concurrency: int = transport_field(
        8,
        f"Requests in flight at the same time; the embedded model takes at most {EMBEDDED_SLOTS}.",
        ge=1,
    )
    timeout_seconds: float = transport_field(
        120, "Longest wait for one whole reply before it is asked again.", gt=0
    )
    max_retries: int = transport_field(
        5, "How often a request is repeated after a fault that may pass (429, 5xx, timeouts).", ge=0
    )
    stop_after_failures: int = transport_field(
        20, "Stop after so many requests in a row have failed, retries included.", ge=1
    )
    threads: int | None = transport_field(
        None, "CPU threads of the embedded model; left out, every core up to eight.", ge=1
    )
    price: PriceConfig | None = transport_field(
        None,
        "What the endpoint charges; needed where its price isn't known and `budget.max_usd` is "
        "set (`domainforge teacher check` shows what is known).",
    )
    budget: BudgetConfig = transport_field(BudgetConfig(), "Where to stop asking.")

    @model_validator(mode="before")
    @classmethod
    def _accept_bare_word(cls, value: Any) -> Any:
        if value == "embedded":
            return {"embedded": True}
        if isinstance(value, str):
            raise ValueError("write `embedded`, or a mapping with `base_url` and `model`")
        return value

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
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

    @field_validator("api_key_env")
    @classmethod
    def _check_variable_name(cls, value: str | None) -> str | None:
        # Upper case only: a pasted key nearly always fails this, a variable's name hardly ever.
        if value is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", value):
            raise ValueError(
                "write the NAME of an environment variable (capitals, digits, underscores), "
                "never the key itself"
            )
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> "TeacherConfig":
        if self.embedded:
            misplaced = [name for name in _ENDPOINT_ONLY if getattr(self, name) is not None]
            if misplaced:
                raise ValueError(
                    f"the embedded teacher takes no {', '.join(misplaced)}; leave out `embedded` "
                    "to use an endpoint"
                )
            return self
        if not self.base_url and not self.model:
            raise ValueError("no teacher: write `embedded`, or give `base_url` and `model`")
        missing = "base_url" if not self.base_url else "model" if not self.model else None
        if missing:
            raise ValueError(f"an endpoint needs `base_url` and `model`; `{missing}` is missing")
        if self.threads is not None:
            raise ValueError("`threads` is for the embedded teacher only")
        return self

    @property
    def slots(self) -> int:
        """Requests in flight at the same time, as this teacher can use them."""
        return min(self.concurrency, EMBEDDED_SLOTS) if self.embedded else self.concurrency

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
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}|{model}"

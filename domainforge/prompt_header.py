"""The header of a prompt file: its keys, what they mean, and the shape of replies it asks for."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from domainforge.errors import PromptError
from domainforge.prompt_judging import Judges, find_unread
from domainforge.records import Basis
from domainforge.stage import Settings

Over = Literal[
    "chunk",
    "sentence",
    "span",
    "document",
    "section",
    "pair",
    "entity",
    "entity_pair",
    "topic",
    "elsewhere",
    "example",
]
WITHIN_A_CHUNK = ("chunk", "sentence", "span")
# Where passages are put together; of a pair there are always two, of an example its seeds.
_BY_TOKENS = ("document", "section", "entity", "entity_pair", "topic")
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def _spread(value: Any) -> Any:
    """Take a list of values as equal shares."""
    if not isinstance(value, Mapping):
        return value
    return {name: _spread_one(values) for name, values in value.items()}


def _spread_one(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return dict.fromkeys(map(str, values), 1.0)
    if isinstance(values, Mapping):
        return {str(value): share for value, share in values.items()}
    return values


def _check_drawable(shares: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    for name, values in shares.items():
        if not any(values.values()):
            raise ValueError(f"{name}: needs a value whose share is above 0")
    return shares


Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SharesField = Annotated[
    dict[str, dict[str, Share]], BeforeValidator(_spread), AfterValidator(_check_drawable)
]
"""For each attribute its values and their shares, of any sum; a list is equal shares."""


class CompletionHeader(Settings):
    """How a teacher that only continues text is asked."""

    over: Over = Field("sentence", description="What it goes over.")
    fields: tuple[str, ...] = Field(
        description="Labels of the lines that the teacher writes, in order; the body ends with "
        "the first label (`Question:`), or with the label and how the line begins."
    )
    set: dict[str, str] = Field({}, description="Fields filled by template, not by the teacher.")
    stop: tuple[str, ...] = Field(("\n\n",), description="Texts that end the reply.")
    max_tokens: int = Field(80, ge=1, description="Longest reply.")
    temperature: float = Field(0.2, ge=0, description="Sampling temperature.")
    variants: tuple[dict[str, str], ...] = Field(
        ({},),
        description="Values for the body, taken in turn by the number of the sample. The key "
        "`needs` is a regular expression that the text must match for the variant to be taken.",
    )

    @field_validator("variants")
    @classmethod
    def _check_needs(cls, value: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
        for variant in value:
            try:
                re.compile(variant.get("needs", ""))
            except re.error as error:
                raise ValueError(
                    f"needs: {variant['needs']!r} is no regular expression: {error}"
                ) from error
        return value

    def variant(self, text: str, sample: int) -> dict[str, str] | None:
        """Return the values of that sample: the applicable variants in order, each once.

        A single variant serves every sample; of several, None where all have been taken.
        """
        fitting = [v for v in self.variants if re.search(v.get("needs", ""), text)]
        if sample >= len(fitting):
            if len(self.variants) > 1 or not fitting:
                return None
            sample = 0
        return {name: value for name, value in fitting[sample].items() if name != "needs"}


class PromptHeader(Settings):
    """The YAML header of a prompt file."""

    version: int = Field(ge=1, description="Raised by the author when the prompt changes meaning.")
    purpose: str = Field(description="What the prompt is for, in a sentence.")
    source: str = Field("", description="Paper or project that the recipe comes from.")
    over: Over = Field(
        "chunk",
        description="What it goes over: `chunk`; `sentence`; `span`, the parts of a sentence that "
        "can be asked for, each once; `document`; `section`; `pair`, two chunks that are near in "
        "meaning or linked; `entity`, a name and the passages that name it; `entity_pair`, two "
        "names that meet in a document; `topic`; `elsewhere`, a chunk and a sentence of another "
        "document; `example`, a chat that came with its source.",
    )
    most_tokens: int = Field(
        2000,
        ge=1,
        description="Most tokens of all passages of one request, where it has several: longer "
        "documents and sections are cut into windows; of an entity, a pair of them or a topic the "
        "best passages are taken.",
    )
    topics: tuple[str, ...] = Field(
        (), description="With `over: topic`: what to go over instead of topics that are found."
    )
    asks: bool = Field(
        True,
        description="Whether the teacher is asked. Without it a row is made of the passage alone, "
        "by `example`; the file has no body then, and no `reply`.",
    )
    reply: dict[str, Any] = Field(
        {}, validate_default=True, description="Fields of the reply, or a full JSON Schema."
    )
    judges: Judges | None = Field(
        None,
        description="For a prompt that makes no rows, and has no `example`: what it is asked for "
        "about rows that are there. `row`: scores; `pair`: which of two answers is the better one; "
        "`answer`: an answer of its own. The pipeline file names it under `judge`.",
    )
    example: dict[str, Any] = Field(
        {}, validate_default=True, description="How a reply becomes an example."
    )
    basis: Basis = Field(
        "passage",
        description="What the answer stands on, which filters go by: `passage` (it says so), "
        "`absent` (it doesn't, and the answer declines), `free` (neither).",
    )
    attributes: SharesField = Field(
        {},
        description="What varies from sample to sample: for each name at hand in the body its "
        "values, as a list or with their shares (`audience: {children: 1, experts: 2}`).",
    )
    temperature: float = Field(0.7, ge=0, description="Sampling temperature.")
    max_tokens: int = Field(300, ge=1, description="Longest reply of one step.")
    repair: bool = Field(
        True,
        description="Whether a reply of the chat form that doesn't fit `reply` is asked for once "
        "more, with what is wrong with it.",
    )
    reply_form: Literal["auto", "json", "delimited"] = Field(
        "auto",
        description="How the chat form asks for `reply`: as JSON, or as blocks of text between "
        "lines that nobody can forge; `auto` takes JSON but where the endpoint is known to hold no "
        "reply to a schema, and where blocks can't say it.",
    )
    continues: bool = Field(
        True,
        alias="continue",
        description="Whether a reply of the chat form that was cut off at `max_tokens` is "
        "continued, once.",
    )
    keep_if: str | None = Field(
        None,
        description="An expression over the fields of the reply and the replies of earlier steps; "
        "where it is false, the row is dropped as `check_failed`.",
    )
    completion: CompletionHeader | None = Field(None, description="The few-shot form.")

    @field_validator("reply")
    @classmethod
    def _check_reply(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not value and info.data.get("asks", True):
            raise ValueError("say what the teacher replies, or `asks: false` where nobody is asked")
        return value

    @field_validator("example")
    @classmethod
    def _check_example(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if not value and not info.data.get("judges"):
            raise PydanticCustomError("missing", "missing")
        return value

    @field_validator("topics")
    @classmethod
    def _check_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({topic.strip() for topic in value} - {""}) < len(value):
            raise ValueError("name each topic once, and leave none blank")
        return value

    @model_validator(mode="after")
    def _check_over(self) -> "PromptHeader":
        """Refuse what nothing would read, and rows that no passage could stand behind."""
        if self.judges is not None:
            of_completion = self.completion.model_fields_set if self.completion else set()
            unread = find_unread(self.model_fields_set, of_completion)
            if unread:
                raise ValueError(
                    f"{unread}: a prompt that judges makes no rows and has no use for it"
                )
        overs = {self.over, self.completion.over if self.completion else self.over}
        if self.topics and "topic" not in overs:
            raise ValueError("topics: only a prompt with `over: topic` reads them")
        if "most_tokens" in self.model_fields_set and overs.isdisjoint(_BY_TOKENS):
            read_by = ", ".join(_BY_TOKENS)
            raise ValueError(f"most_tokens: only a prompt over one of {read_by} reads it")
        if "example" in overs and self.basis != "free":
            raise ValueError("over: example: write `basis: free`; no passage says the answer")
        return self


def reply_schema(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Expand `{question: str, tags: [str]}` to JSON Schema; a full schema passes as it is."""
    if "type" in reply and "properties" in reply:
        return dict(reply)
    return {
        "type": "object",
        "properties": {name: _expand(kind) for name, kind in reply.items()},
        "required": list(reply),
        "additionalProperties": False,
    }


def _expand(kind: Any) -> dict[str, Any]:
    if isinstance(kind, list) and len(kind) == 1:
        return {"type": "array", "items": _expand(kind[0])}
    if isinstance(kind, dict):
        return kind if "type" in kind else reply_schema(kind)
    if isinstance(kind, str) and kind in _TYPES:
        return {"type": _TYPES[kind]}
    raise PromptError(f"reply: unknown type {kind!r}; there are {', '.join(_TYPES)} and [type]")

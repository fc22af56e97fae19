"""The gate before the teacher: nothing secret leaves the machine inside a request."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import Field, field_validator

from domainforge.privacy.regions import PhoneRegion
from domainforge.privacy.spans import find_spans
from domainforge.stage import Settings
from domainforge.teacher.request import Request

Treatment = Literal["off", "redact", "refuse"]

_FENCE = re.compile(r"</?passage [0-9a-f]{16}>")


class PrivacyConfig(Settings):
    """What is done about secrets and personal data in requests before they are sent."""

    secrets: Literal["auto", "off", "redact", "refuse"] = Field(
        "auto",
        description="What happens to keys, tokens and passwords in a request: `redact` takes them "
        "out, `refuse` doesn't send it; `auto` redacts unless the teacher runs on this machine.",
    )
    personal_data: Treatment = Field(
        "off",
        description="The same for e-mail addresses, phone numbers, IBANs, card numbers and US "
        "social security numbers (not names or street addresses).",
    )
    phone_region: PhoneRegion = Field(
        None,
        description="Country whose phone numbers are found without their prefix too, two letters "
        "such as `US`; left out, only those that begin with + are.",
    )

    @field_validator("secrets", "personal_data", mode="before")
    @classmethod
    def _accept_yaml_off(cls, value: Any) -> Any:
        # YAML 1.1 reads a bare `off` as false.
        return "off" if value is False else value


@dataclass(frozen=True)
class Passed:
    """A request that may be sent.

    Attributes:
        request: The request, without what had to go.
        removed: What was taken out of it, by kind.
    """

    request: Request
    removed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Withheld:
    """A request that must not be sent.

    Attributes:
        found: Why, by kind.
    """

    request: Request
    found: Mapping[str, int]

    @property
    def detail(self) -> str:
        """Say why, without what was found."""
        return f"not sent: it holds {_list_kinds(self.found)}"


class Gate:
    """Checks requests. It has no state, so a request can be checked as often as one likes."""

    def __init__(self, config: PrivacyConfig, *, leaves_machine: bool) -> None:
        """Decide what to look for.

        Args:
            config: What the pipeline file says.
            leaves_machine: Whether requests go to another machine; not so for loopback addresses
                and servers that we start.
        """
        usual: Treatment = "redact" if leaves_machine else "off"
        self.secrets: Treatment = usual if config.secrets == "auto" else config.secrets
        self.personal_data: Treatment = config.personal_data
        self._phone_region = config.phone_region

    @property
    def active(self) -> bool:
        """Whether it looks for anything."""
        return (self.secrets, self.personal_data) != ("off", "off")

    @property
    def identity(self) -> tuple[str, str, str]:
        """What decides what it lets out; rows made under another one are other rows."""
        return (self.secrets, self.personal_data, self._phone_region or "")

    def check(self, request: Request) -> Passed | Withheld:
        """Look through the texts of a request.

        The same request always gets the same result, so that a ledger key made from it is stable.
        """
        if not self.active:
            return Passed(request)
        removed, refused = Counter[str](), Counter[str]()
        prompt = None
        if request.prompt is not None:
            prompt = self._clean(request.prompt, removed, refused)
        messages = tuple(
            message | {"content": self._clean(message["content"], removed, refused)}
            for message in request.messages
        )
        if refused:
            return Withheld(request, refused)
        if not removed:
            return Passed(request)
        return Passed(replace(request, messages=messages, prompt=prompt), removed)

    def _clean(self, text: str, removed: Counter[str], refused: Counter[str]) -> str:
        """Return the text without what is to be taken out, and count."""
        region = self._phone_region
        spans = find_spans(text, self.secrets != "off", self.personal_data != "off", region)
        parts, at = [], 0
        for span in spans:
            treatments = {self.secrets if span.secret else self.personal_data}
            if span.mixed:
                treatments = {self.secrets, self.personal_data}
            (refused if "refuse" in treatments else removed)[span.kind] += 1
            # A span that runs over a fence keeps it: the fence is ours.
            fences = "".join(_FENCE.findall(text, span.start, span.end))
            parts += [text[at : span.start], f"{span.label}{fences}"]
            at = span.end
        return "".join([*parts, text[at:]])


@dataclass
class GateCounts:
    """What a gate did in this session.

    Attributes:
        redacted: Requests that lost something.
        withheld: Requests that were not sent.
        kinds: What was found in them, by kind.
    """

    redacted: int = 0
    withheld: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, result: Passed | Withheld) -> None:
        """Count a checked request."""
        if isinstance(result, Withheld):
            self.withheld += 1
            self.kinds.update(result.found)
        elif result.removed:
            self.redacted += 1
            self.kinds.update(result.removed)

    def figures(self) -> dict[str, Any]:
        """Return the counts for run.json."""
        kinds = dict(sorted(self.kinds.items(), key=lambda item: (-item[1], item[0])))
        return {"redacted": self.redacted, "withheld": self.withheld, "private_kinds": kinds}

    def notes(self) -> tuple[str, ...]:
        """Say in sentences what the user should know of it."""
        kinds, notes = _list_kinds(self.kinds), []
        if self.redacted:
            notes.append(
                f"{self.redacted} requests held what must not leave this machine ({kinds}); it was "
                "removed from them before they were sent"
            )
        if self.withheld:
            notes.append(
                f"{self.withheld} requests were not sent, for what they hold ({kinds}); clean the "
                "documents, or set teacher.privacy to redact"
            )
        return tuple(notes)


def _list_kinds(kinds: Mapping[str, int]) -> str:
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{kind}: {count}" for kind, count in ordered)

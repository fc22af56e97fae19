"""What the teacher's tests share: short waits, requests, and a config for a local server."""

from collections.abc import Callable
from typing import Any

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.pace import Pace
from domainforge.teacher.request import Request

FAST = Pace(base_seconds=0.005, cap_seconds=0.02, grace_seconds=1.0)
KEY = "sk-recognisable-0123456789"
QA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("question", "answer", "quote")},
    "required": ["question", "answer", "quote"],
    "additionalProperties": False,
}


def config_for(base_url: str, **settings: Any) -> TeacherConfig:
    """Return a config whose schema support needs no probe."""
    provider = "openai:" if settings.get("transport") == "langchain" else ""
    defaults: dict[str, Any] = {"model": f"{provider}local-teacher", "json_schema": "yes"}
    return TeacherConfig(**{"base_url": base_url, **defaults, **settings})


def chat(number: int, **settings: Any) -> Request:
    """Return one of many different requests."""
    text = f"Passage {number}. The ferry to Osk leaves at {number} past nine from the old pier."
    return Request(messages=({"role": "user", "content": text},), tag=number, **settings)


def first_time(fault: str, number: int) -> Callable[[int, dict[str, Any]], str | None]:
    """Return a plan: the fault for the first arrival of `chat(number)`, and no other."""
    spent: list[int] = []

    def plan(arrival: int, body: dict[str, Any]) -> str | None:
        if spent or f"Passage {number}." not in str(body):
            return None
        spent.append(arrival)
        return fault

    return plan

from dataclasses import replace
from typing import Any

import pytest

from domainforge.teacher.request import Request, classify, request_key, usage_of
from tests.teacher.quick import chat


def completion(content: Any = "Osk.", finish: Any = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, **message}
    return {"choices": [{"message": said, "finish_reason": finish}]}


PARTS = [{"type": "text", "text": "by "}, {"type": "image"}, {"type": "text", "text": "ferry"}]


@pytest.mark.parametrize(
    ("raw", "status", "text"),
    [
        (completion(), "ok", "Osk."),
        (completion(finish=""), "ok", "Osk."),
        (completion(finish="because"), "ok", "Osk."),
        (completion(finish=7), "ok", "Osk."),
        (completion(PARTS), "ok", "by ferry"),
        ({"choices": [{"text": " east", "finish_reason": "stop"}]}, "ok", " east"),
        (completion(reasoning_content="hm"), "ok", "Osk."),
        (completion("<think>hm</think>\n\nOsk."), "ok", "Osk."),
        (completion("\n<think>\nhm\n</think>Osk."), "ok", "Osk."),
        (completion("<think>hm</think>"), "empty", ""),
        (completion("<think>hm", "length"), "cut_off", "<think>hm"),
        (completion("Say <think> and </think>."), "ok", "Say <think> and </think>."),
        (completion("<think> is a tag."), "ok", "<think> is a tag."),
        (completion([{"type": "thinking", "thinking": "hm"}], "length"), "cut_off", ""),
        (completion([{"type": "reasoning", "text": "hm"}, PARTS[0]]), "ok", "by "),
        (completion([{"type": "tool_use"}], tool_calls=[{"id": "a"}]), "malformed", ""),
        (completion("Osk.", "tool_calls", tool_calls=[{"id": "a"}]), "ok", "Osk."),
        (completion("by fer", "length"), "cut_off", "by fer"),
        (completion(None, "length", reasoning_content="hm"), "cut_off", ""),
        (completion(None, refusal="No."), "refused", ""),
        (completion([{"type": "refusal", "refusal": "No."}]), "refused", ""),
        (completion("", "content_filter"), "filtered", ""),
        (completion("by", "content_filter"), "filtered", "by"),
        (completion(None), "empty", ""),
        (completion(" \n"), "empty", ""),
        (completion([]), "empty", ""),
        (completion(None, "tool_calls", tool_calls=[{"id": "a"}]), "malformed", ""),
        (completion(42), "malformed", ""),
        (completion([{"type": "image"}]), "malformed", ""),
        ({}, "malformed", ""),
        ({"choices": None}, "malformed", ""),
        ({"choices": []}, "malformed", ""),
        ({"choices": ["Osk."]}, "malformed", ""),
        ({"choices": [{"finish_reason": "stop"}]}, "malformed", ""),
        ({"choices": [{"message": None}]}, "malformed", ""),
        ({"choices": [{"text": None, "finish_reason": "stop"}]}, "empty", ""),
    ],
)
def test_classify(raw: dict[str, Any], status: str, text: str) -> None:
    reading = classify(raw)
    assert (reading.status, reading.text) == (status, text)
    assert reading.detail or (status == "ok" and reading.finish_reason == "stop")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, (7, 3)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 60}, (7, 53)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 8}, (7, 3)),
        ({"completion_tokens": 3, "total_tokens": 10}, (0, 3)),
        ({"prompt_tokens": 7, "total_tokens": 10}, (7, 3)),
        (None, (0, 0)),
        ("many", (0, 0)),
        ({"prompt_tokens": "7", "completion_tokens": -3}, (0, 0)),
        ({"prompt_tokens": True, "completion_tokens": 10**30}, (0, 0)),
    ],
)
def test_usage(usage: Any, expected: tuple[int, int]) -> None:
    assert usage_of({"usage": usage}) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"messages": ({"role": "user", "content": "else"},)},
        {"messages": (), "prompt": "else"},
        {"schema": {"type": "object"}},
        {"temperature": 0.5},
        {"top_p": 0.9},
        {"max_tokens": 301},
        {"stop": ("\n",)},
        {"sample": 1},
    ],
)
def test_key_depends_on_all_that_is_asked(change: dict[str, Any]) -> None:
    assert request_key("a", chat(1)) != request_key("a", replace(chat(1), **change))


def test_key_depends_on_who_answers_and_not_on_tag_or_spelling() -> None:
    request = chat(1)
    key = request_key("a", request)
    swapped = tuple({"content": m["content"], "role": m["role"]} for m in request.messages)
    assert key != request_key("b", request)
    assert key == request_key("a", replace(request, tag="other", messages=swapped))
    assert key == request_key("a", replace(request, temperature=0))


def test_request_is_chat_or_text() -> None:
    with pytest.raises(ValueError, match="either"):
        Request()
    with pytest.raises(ValueError, match="either"):
        Request(messages=({"role": "user", "content": "x"},), prompt="x")

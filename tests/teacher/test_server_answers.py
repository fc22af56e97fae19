"""The test teacher itself: tests that lean on it show nothing unless its answers are usable."""

import json
from typing import Any

import pytest

from tests.support.teacher_answers import Speaker, passage_of
from tests.support.teacher_faults import choose_fault
from tests.teacher.quick import QA_SCHEMA

PASSAGE = (
    "## Crossing\n\nThe ferry to Osk leaves the old pier at nine. Mira Holt built the pier in 1902 "
    "from larch wood.\nA ticket costs four brell and is sold on board."
)
FENCE = "0123456789abcdef"
USER = f"Harbour Handbook > Ferries\n<<{FENCE}>>\n{PASSAGE}\n<<{FENCE}>>\nAsk one question."


def ask(seed: int = 0, schema: dict[str, Any] | None = QA_SCHEMA, user: str = USER) -> Any:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": user}], "seed": seed}
    if schema is not None:
        body["response_format"] = {"json_schema": {"schema": schema}}
    text = Speaker(body).chat()
    return json.loads(text) if schema is not None else text


def test_the_fenced_passage_is_found() -> None:
    assert passage_of(USER) == PASSAGE
    assert passage_of("no fence") == "no fence"


def test_answers_are_grounded_varied_and_repeatable() -> None:
    replies = [ask(seed) for seed in range(40)]
    assert replies == [ask(seed) for seed in range(40)]
    for reply in replies:
        assert reply["quote"] in PASSAGE
        assert reply["answer"] in reply["quote"]
        assert len(reply["answer"].split()) >= 2
        assert reply["question"].endswith("?")
        assert "Crossing" not in reply["quote"]
    assert len({reply["quote"] for reply in replies}) == 3
    assert len({reply["question"] for reply in replies}) > 20


def test_other_schemas_are_filled_by_type() -> None:
    schema = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": QA_SCHEMA, "minItems": 3},
            "level": {"enum": ["low", "high"]},
            "score": {"type": "integer", "minimum": 1, "maximum": 5},
            "share": {"type": "number"},
            "good": {"type": "boolean"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }
    reply = ask(3, schema)
    assert len(reply["items"]) == 3
    assert all(item["quote"] in PASSAGE for item in reply["items"])
    assert reply["level"] in ("low", "high")
    assert 1 <= reply["score"] <= 5
    assert isinstance(reply["share"], float)
    assert isinstance(reply["good"], bool)
    assert reply["note"] in PASSAGE


def test_a_shape_described_in_the_prompt_gets_json() -> None:
    prose = USER + '\nReply as {"question": "...", "answer": "...", "quote": "..."}.'
    assert json.loads(ask(schema=None, user=prose)).keys() == {"question", "answer", "quote"}
    assert ask(schema=None) in PASSAGE


@pytest.mark.parametrize(
    ("end", "labels"),
    [("Question:", ["Answer:"]), ("Question: What", ["Answer:"]), ("Question: Why?\nAnswer:", [])],
)
def test_few_shot_prompts_are_continued_in_kind(end: str, labels: list[str]) -> None:
    shot = "Text: The river Lorn is long.\nQuestion: How long is it?\nAnswer: Long enough.\n\n"
    sentence = "Mira Holt built the pier in 1902 from larch wood."
    body = {"prompt": f"{shot}Text: {sentence}\n{end}", "max_tokens": 100}
    lines = Speaker(body).completion().strip().splitlines()
    assert [line.split(" ")[0] for line in lines[1:]] == labels
    if labels:
        assert lines[0].endswith("?")
    assert lines[-1].removeprefix("Answer: ") in sentence


def test_fault_plans() -> None:
    assert [choose_fault(["429", None], n, {}, 0) for n in range(3)] == ["429", None, None]
    assert choose_fault(lambda n, body: body["kind"], 0, {"kind": "500"}, 0) == "500"
    shares = {"429": 0.1, "500": 0.2}
    drawn = [choose_fault(shares, n, {}, 1) for n in range(2000)]
    assert 140 < drawn.count("429") < 260
    assert 320 < drawn.count("500") < 480
    assert drawn == [choose_fault(shares, n, {}, 1) for n in range(2000)]
    assert drawn != [choose_fault(shares, n, {}, 2) for n in range(2000)]

import json
from pathlib import Path
from typing import Any

import pytest

from domainforge.errors import PromptError
from domainforge.generation.chains import Chain
from domainforge.generation.replies import make_examples
from domainforge.generation.requests import make_request
from domainforge.generation.units import Form
from domainforge.records import Example
from domainforge.tables import example_table
from domainforge.teacher.request import Reply, ReplyStatus
from tests.generation.prompts import MANY, QA, TEXT, fence, make_prompt, units_of

FIELDS = {"question": "Who built it?", "answer": "Rook", "quote": "Rook built it."}


def example_of(folder: Path, text: str, *, prompt: str = QA, **how: Any) -> Example:
    (row,) = examples_of(folder, text, prompt=prompt, **how)
    return row


def examples_of(
    folder: Path,
    text: str,
    *,
    status: ReplyStatus = "ok",
    detail: str = "",
    form: Form = "chat",
    prompt: str = MANY,
) -> list[Example]:
    unit = units_of(make_prompt(folder, prompt), samples=1, form=form)[0]
    request = make_request(unit, form, 0, {}, fence)
    reply = Reply(request, "key-1", status, text, "stop", 5, 5, detail, replayed=False)
    chain = Chain(unit, keys=("key-0",))
    return make_examples(chain, reply, form, "teacher", "train", fence)


def test_a_good_reply_becomes_a_row_with_its_lineage(tmp_path: Path) -> None:
    row = example_of(tmp_path, json.dumps(FIELDS))
    assert row.reason is None
    assert row.fields == FIELDS
    assert [message["content"] for message in row.messages] == ["Who built it?", "Rook"]
    assert (row.document_id, row.chunk_id, row.uri) == ("doc-1", "chunk-1", "mill.md")
    assert (row.start, row.end) == (100, 100 + len(TEXT))
    assert (row.prompt, row.teacher, row.side) == ("ask", "teacher", "train")
    assert row.ledger_keys == ("key-0", "key-1")
    assert row.sampling == {"temperature": 0.5, "max_tokens": 200, "stop": []}
    assert len(row.prompt_hash) == 64


STATUSES: dict[ReplyStatus, str] = {
    "cut_off": "reached max_tokens",
    "refused": "I can't help with that.",
    "filtered": "stopped by the endpoint's content filter",
    "empty": "no text",
    "malformed": "no choices",
    "failed": "http_500: internal error",
}


@pytest.mark.parametrize("status", list(STATUSES))
def test_a_reply_that_is_no_use_becomes_a_dropped_row(tmp_path: Path, status: ReplyStatus) -> None:
    row = example_of(tmp_path, json.dumps(FIELDS), status=status, detail=STATUSES[status])
    reason = "failed_http_500" if status == "failed" else status
    assert (row.reason, row.evidence) == (reason, STATUSES[status])
    assert not row.messages
    assert not row.fields
    assert row.ledger_keys == ("key-0", "key-1")


@pytest.mark.parametrize(
    "wrapped", ["{}", "```json\n{}\n```", "```\n{}\n```", "\n ```json\n{}\n```\n", "  {}\n"]
)
def test_a_code_fence_around_the_json_is_no_fault(tmp_path: Path, wrapped: str) -> None:
    assert example_of(tmp_path, wrapped.replace("{}", json.dumps(FIELDS))).reason is None


OFF_SCHEMA = {
    "Sure! Here it is.": "not JSON: Expecting value at character 0",
    '{"question": "Who': "not JSON: Unterminated string",
    '{"question": "Who?"}': "'answer' is a required property",
    json.dumps({**FIELDS, "colour": "blue"}): "Additional properties are not allowed",
    '{"colour": "blue"}': "'question' is a required property",
    json.dumps({**FIELDS, "answer": 7}): "answer: 7 is not of type 'string'",
    json.dumps([FIELDS]): "is not of type 'object'",
    "null": "None is not of type 'object'",
    f"Here: {json.dumps(FIELDS)}": "not JSON",
    f"{json.dumps(FIELDS)}{json.dumps(FIELDS)}": "not JSON: Extra data",
    "[" * 100_000: "not usable: RecursionError",
    '{"question": ' + "7" * 5000 + "}": "not usable: ValueError",
    '{"question": "Who? \\ud83d", "answer": "a", "quote": "q"}': "not usable: Unicode",
}


@pytest.mark.parametrize("text", list(OFF_SCHEMA), ids=lambda text: text[:30])
def test_a_reply_of_another_shape_is_dropped_with_the_reply_as_evidence(
    tmp_path: Path, text: str
) -> None:
    row = example_of(tmp_path, text)
    assert row.reason == "off_schema"
    assert row.evidence is not None
    assert OFF_SCHEMA[text] in row.evidence
    assert f"the reply: {text}"[:200] in row.evidence
    assert len(row.evidence) <= 2000
    assert not row.messages


def test_every_row_can_be_stored(tmp_path: Path) -> None:
    rows = [example_of(tmp_path, text) for text in [json.dumps(FIELDS), *OFF_SCHEMA]]
    table = example_table(rows)
    assert table.num_rows == len(rows)
    assert len(set(table.column("id").to_pylist())) >= 1


def test_a_reply_is_never_a_template(tmp_path: Path) -> None:
    row = example_of(tmp_path, json.dumps({**FIELDS, "answer": "{{ document.title }}"}))
    assert row.messages[1]["content"] == "{{ document.title }}"


LINES: list[tuple[str, dict[str, Any] | str]] = [
    (" built it?\nAnswer: Rook.", {"question": "Who built it?", "answer": "Rook."}),
    (" built it?\n\nAnswer:  Rook. \nText: more", {"question": "Who built it?", "answer": "Rook."}),
    (" built it?", "line 2 does not begin with 'Answer:'"),
    (" built it?\nanswer: Rook", "line 2 does not begin with 'Answer:'"),
    (" built it?\nIn 1742.\nAnswer: Rook", "line 2 does not begin with 'Answer:'"),
]


@pytest.mark.parametrize(("text", "wanted"), LINES)
def test_labelled_lines(tmp_path: Path, text: str, wanted: dict[str, Any] | str) -> None:
    row = example_of(tmp_path, text, form="completion")
    if isinstance(wanted, str):
        assert row.reason == "off_schema"
        assert row.evidence is not None
        assert row.evidence.startswith(wanted)
    else:
        quote = "The mill at Harrow Bend was built in 1742."
        assert row.fields == {**wanted, "quote": quote}
        assert row.messages[0]["content"] == "Who built it?"


def test_a_reply_can_become_a_text(tmp_path: Path) -> None:
    shape = 'example: {kind: text, text: "{{ question }} {{ answer }}"}'
    prompt = "\n".join(shape if line.startswith("example:") else line for line in QA.splitlines())
    row = example_of(tmp_path, json.dumps(FIELDS), prompt=prompt)
    assert (row.kind, row.text, row.messages) == ("text", "Who built it? Rook", ())


FACTS = [FIELDS, {**FIELDS, "question": "What did Rook build?", "answer": "It."}]


def test_each_item_of_a_reply_becomes_a_row(tmp_path: Path) -> None:
    reply = json.dumps({"topic": "mills", "facts": FACTS})
    first, second = examples_of(tmp_path, reply)
    assert [message["content"] for message in second.messages] == [
        "mills: What did Rook build?",
        "It.",
    ]
    assert second.fields == {"topic": "mills", **FACTS[1]}
    assert (first.item, second.item) == (0, 1)
    assert first.ledger_keys == second.ledger_keys


def test_items_that_say_the_same_are_rows_of_their_own(tmp_path: Path) -> None:
    rows = examples_of(tmp_path, json.dumps({"topic": "mills", "facts": [FIELDS] * 3}))
    assert len({row.id for row in rows}) == len(example_table(rows)) == 3


def test_a_list_that_a_reply_leaves_out_is_as_good_as_empty(tmp_path: Path) -> None:
    prompt = """---
version: 1
purpose: p
reply: {type: object, properties: {facts: {type: array, items: {type: string}}}}
example: {kind: text, for_each: facts, text: "{{ item }}"}
---
<!-- user -->
{{ fenced(chunk) }}
"""
    assert [row.reason for row in examples_of(tmp_path, "{}", prompt=prompt)] == ["no_items"]


def test_a_reply_without_an_item_is_dropped_with_its_reason(tmp_path: Path) -> None:
    (row,) = examples_of(tmp_path, json.dumps({"topic": "mills", "facts": []}))
    assert row.reason == "no_items"
    assert row.evidence is not None
    assert row.evidence.startswith("`facts` is empty")


def test_one_bad_item_is_the_fault_of_the_whole_reply(tmp_path: Path) -> None:
    (row,) = examples_of(tmp_path, json.dumps({"topic": "mills", "facts": [FIELDS, {}]}))
    assert row.reason == "off_schema"
    assert row.evidence is not None
    assert "facts.1" in row.evidence


def test_lines_of_a_continued_text_are_one_item(tmp_path: Path) -> None:
    row = example_of(tmp_path, " Who built it?\nAnswer: Rook", form="completion", prompt=MANY)
    assert [message["content"] for message in row.messages] == ["mills: Who built it?", "Rook"]
    assert row.fields["quote"]


def test_items_need_not_have_fields(tmp_path: Path) -> None:
    plain = (
        MANY.replace("facts: [{question: str, answer: str, quote: str}]", "facts: [str]")
        .partition("completion:\n")[0]
        .replace("item.question", "item")
        .replace("item.answer", "topic")
    )
    prompt = plain + "---\n<!-- user -->\n{{ fenced(chunk) }}\nFacts.\n"
    rows = examples_of(
        tmp_path, json.dumps({"topic": "t", "facts": ["One.", "Two."]}), prompt=prompt
    )
    assert [row.fields for row in rows] == [
        {"topic": "t", "item": "One."},
        {"topic": "t", "item": "Two."},
    ]


CHECKED = """---
version: 1
purpose: A question that the passage leaves open.
reply: {answered: bool, why: str}
keep_if: "not answered and 'Rook' not in ask"
example:
  kind: chat
  messages: [{user: "{{ ask }}"}, {assistant: "The documents don't say. {{ why }}"}]
---
<!-- step: ask -->
{{ fenced(chunk) }}
Ask what it leaves open.

<!-- step: check -->
{{ fenced(chunk) }}
Does it say that? {{ fenced(ask) }}
"""


def checked(folder: Path, asked: str, *, answered: bool) -> Example:
    (unit,) = units_of(make_prompt(folder, CHECKED), samples=1)
    chain = Chain(unit).follow("ok", asked, "key-0", "chat", fence)
    assert chain is not None
    request = chain.request("chat", fence)
    text = json.dumps({"answered": answered, "why": "Nobody counted."})
    reply = Reply(request, "key-1", "ok", text, "stop", 5, 5, "", replayed=False)
    (row,) = make_examples(chain, reply, "chat", "teacher", "train", fence)
    return row


def test_a_row_is_kept_if_the_check_says_so(tmp_path: Path) -> None:
    row = checked(tmp_path, "How old are the horses?", answered=False)
    assert row.reason is None
    said = [message["content"] for message in row.messages]
    assert said == ["How old are the horses?", "The documents don't say. Nobody counted."]
    assert row.fields == {"answered": False, "why": "Nobody counted."}
    assert row.ledger_keys == ("key-0", "key-1")


@pytest.mark.parametrize(("asked", "answered"), [("Who?", True), ("Who was Rook?", False)])
def test_a_row_that_fails_its_check_is_dropped(tmp_path: Path, asked: str, answered: bool) -> None:
    row = checked(tmp_path, asked, answered=answered)
    assert (row.reason, row.messages) == ("check_failed", ())
    told = "not so: not answered and 'Rook' not in ask; the reply: {\"answered\""
    assert row.evidence is not None
    assert row.evidence.startswith(told)
    assert row.ledger_keys == ("key-0", "key-1")


def test_a_check_holds_for_lines_too(tmp_path: Path) -> None:
    text = QA.replace("temperature: 0.5", "keep_if: answer | length > 4")
    for answer, reason in (("Anselm Rook", None), ("Rook", "check_failed")):
        lines = f" Who built it?\nAnswer: {answer}\n"
        row = example_of(tmp_path, lines, form="completion", prompt=text)
        assert row.reason == reason


@pytest.mark.parametrize(
    ("keep_if", "told"),
    [
        ("answer ==", "keep_if: .*write an expression without braces"),
        ("{{ answer }}", "keep_if: .*write an expression without braces"),
        ("answr == 'no'", "keep_if: 'answr' is not at hand in both forms of the prompt; .*answer"),
        ("reply == 'no'", "keep_if: 'reply' is not at hand"),
        ("item == 'no'", "keep_if: 'item' is not at hand"),
    ],
)
def test_a_check_that_cannot_be(tmp_path: Path, keep_if: str, told: str) -> None:
    text = QA.replace("temperature: 0.5", f"keep_if: {json.dumps(keep_if)}")
    with pytest.raises(PromptError, match=rf"ask.md:\d+: {told}"):
        make_prompt(tmp_path, text)


def test_a_check_that_fails_on_a_reply_is_told(tmp_path: Path) -> None:
    text = QA.replace("temperature: 0.5", "keep_if: answer / 2 > 1")
    with pytest.raises(PromptError, match=r"ask.md:\d+: unsupported operand"):
        example_of(tmp_path, json.dumps(FIELDS), prompt=text)

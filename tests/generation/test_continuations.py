import time
from pathlib import Path

import pytest

from domainforge.generation.chains import Chain
from domainforge.generation.continuations import join_parts, make_continuation, may_continue
from domainforge.generation.requests import make_request
from tests.generation.prompts import CHAIN, QA, fence, make_prompt, units_of

PART = '{"question": "Who built the mill at Harrow Bend?", "answer": "The carpenter Ansel'
SHOWN = PART.removesuffix(" Ansel")


def test_a_continuation_is_the_same_chat_without_a_schema(tmp_path: Path) -> None:
    (unit,) = units_of(make_prompt(tmp_path), samples=1)
    request = make_request(unit, "chat", 0, {}, fence)
    more = make_continuation(request, PART)
    assert more.messages[: len(request.messages)] == request.messages
    said, asked = more.messages[-2:]
    assert said == {"role": "assistant", "content": SHOWN}
    assert asked["role"] == "user"
    assert asked["content"].startswith("Your reply was cut off at its limit.")
    assert request.schema is not None
    assert more.schema is None, "an endpoint that is held to a schema would begin a new object"
    for name in ("temperature", "max_tokens", "stop", "top_p", "sample"):
        assert getattr(more, name) == getattr(request, name)


@pytest.mark.parametrize(
    ("rest", "whole"),
    [
        ('"The carpenter Anselm Rook."}', f'{SHOWN} Anselm Rook."}}'),
        (' carpenter Anselm Rook."}\n', f'{SHOWN} Anselm Rook."}}\n'),
        ('"answer": "The carpenter\n\nRook"}', f'{SHOWN}\n\nRook"}}'),
        (f'{SHOWN} Anselm Rook."}}', f'{SHOWN} Anselm Rook."}}'),
        ('```json\nThe carpenter Anselm Rook."}\n```', f'{SHOWN} Anselm Rook."}}'),
    ],
)
def test_what_was_repeated_is_there_once(rest: str, whole: str) -> None:
    assert join_parts(PART, rest) == whole


@pytest.mark.parametrize(
    "rest",
    [
        "",
        'Anselm Rook."}',
        'm Rook."}',
        'Sure! Here is the rest: "The carpenter Anselm Rook."}',
        '{"question": "Who built the mill?", "answer": "Anselm Rook."}',
        "I can't help with that.",
    ],
)
def test_what_does_not_fit_is_not_joined(rest: str) -> None:
    assert join_parts(PART, rest) is None


def test_words_without_spaces_are_not_cut_back() -> None:
    part = "哈罗湾的磨坊由木匠安塞尔鲁克于一七四二年建造后来烧毁过两次磨坊主养了两匹灰马在屋后的"
    rest = "磨坊主养了两匹灰马在屋后的马厩里。"
    assert join_parts(part, rest) == f"{part}马厩里。"


def test_a_long_reply_without_a_space_is_joined_soon() -> None:
    started = time.monotonic()
    assert join_parts("a" * 3_000_000 + "b", "a" * 3_000_000) is None
    assert time.monotonic() - started < 1


def test_what_is_worth_a_continuation(tmp_path: Path) -> None:
    prompt = make_prompt(tmp_path)
    assert may_continue(prompt, "chat", PART)
    assert may_continue(prompt, "delimited", "=== kdbapgco question ===\nWho built")
    assert may_continue(prompt, "chat", f"```json\n{PART}")
    assert not may_continue(prompt, "completion", PART)
    assert not may_continue(prompt, "chat", "")
    assert not may_continue(prompt, "chat", "too little"), "nothing to go on from"
    assert not may_continue(prompt, "chat", "The mill at Harrow Bend was built"), "it isn't JSON"
    assert not may_continue(prompt, "delimited", PART), "these aren't blocks"
    assert may_continue(prompt, "chat", "The mill at Harrow Bend was built", last=False)
    assert not may_continue(prompt, "chat", f"<think>\n{PART}", last=False)
    assert may_continue(make_prompt(tmp_path, CHAIN), "completion", PART), "it is put as a chat"
    off = make_prompt(tmp_path, QA.replace("temperature: 0.5", "continue: false"))
    assert not may_continue(off, "chat", PART)


def test_a_chain_goes_on_with_the_joined_reply(tmp_path: Path) -> None:
    (unit,) = units_of(make_prompt(tmp_path, CHAIN), samples=1)
    cut = Chain(unit).follow("cut_off", "The mill at Harrow Bend burned tw", "a", "chat", fence)
    assert cut is not None
    assert (cut.part, cut.keys, cut.continued) == (
        "The mill at Harrow Bend burned tw",
        ("a",),
        (1,),
    )
    after = cut.follow("ok", "at Harrow Bend burned twice.", "b", "chat", fence)
    assert after is not None
    assert after.texts == {"fact": "The mill at Harrow Bend burned twice."}
    assert (after.part, after.keys) == (None, ("a", "b"))
    # Each step may be continued, and each once.
    second = after.follow("cut_off", PART, "c", "chat", fence)
    assert second is not None
    assert (second.continued, second.keys) == ((1, 3), ("a", "b", "c"))
    assert second.follow("cut_off", "The carpenter Anselm", "d", "chat", fence) is None


def test_a_continuation_that_is_no_use_ends_the_chain(tmp_path: Path) -> None:
    (unit,) = units_of(make_prompt(tmp_path, CHAIN), samples=1)
    cut = Chain(unit).follow("cut_off", "The mill at Harrow Bend burned tw", "a", "chat", fence)
    assert cut is not None
    assert cut.follow("ok", "Sure! It burned twice.", "b", "chat", fence) is None
    assert cut.follow("cut_off", "at Harrow Bend burned twice", "b", "chat", fence) is None
    assert cut.follow("refused", "", "b", "chat", fence) is None


def test_what_was_continued_is_not_repaired_and_a_repair_not_continued(tmp_path: Path) -> None:
    (unit,) = units_of(make_prompt(tmp_path), samples=1)
    cut = Chain(unit).follow("cut_off", PART, "a", "chat", fence)
    assert cut is not None
    assert cut.follow("ok", "The carpenter Anselm Rook.", "b", "chat", fence) is None
    mending = Chain(unit).follow("ok", "prose", "a", "chat", fence)
    assert mending is not None
    assert mending.follow("cut_off", PART, "b", "chat", fence) is None

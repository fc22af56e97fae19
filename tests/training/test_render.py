from pathlib import Path
from typing import Any

import pytest

from domainforge.training.render import chat_text, prompt_text, render_row, tokenize
from domainforge.training.students import load_tokenizer
from tests.training.rows import chat_row, text_row, trained_text

DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}"
    "<|im_start|>system\nYou keep the lamp.<|im_end|>\n{% endif %}"
)


@pytest.fixture(params=["chatml", "default_system", "none"])
def tokenizer(tiny_student: Path, request: pytest.FixtureRequest) -> Any:
    loaded = load_tokenizer(tiny_student)
    if request.param == "default_system":
        loaded.chat_template = DEFAULT_SYSTEM + loaded.chat_template
    if request.param == "none":
        loaded.chat_template = None
    return loaded


def test_a_chat_trains_its_answer_and_the_end(tokenizer: Any) -> None:
    rendered = render_row(chat_row("c", "Who rings the bell?", "The keeper."), tokenizer)
    (trained,) = trained_text(rendered.labels, tokenizer)
    assert trained.lstrip(" ") == "The keeper.<|im_end|>"
    assert list(rendered.input_ids) == tokenize(
        chat_text(chat_row("c", "Who rings the bell?", "The keeper.")["messages"], tokenizer),
        tokenizer,
    )
    assert all(
        label in (-100, token)
        for label, token in zip(rendered.labels, rendered.input_ids, strict=True)
    )


def test_every_turn_of_the_assistant_is_trained_with_its_end(tokenizer: Any) -> None:
    row = chat_row("c", "Who?", "The keeper.", "When?", "Every night.", system="Be brief.")
    trained = trained_text(render_row(row, tokenizer).labels, tokenizer)
    assert [text.lstrip(" ") for text in trained] == [
        "The keeper.<|im_end|>",
        "Every night.<|im_end|>",
    ]


def test_what_is_not_trained_is_the_prompt_that_evaluation_shows(tokenizer: Any) -> None:
    row = chat_row("c", "Who rings the bell?", "The keeper.")
    rendered = render_row(row, tokenizer)
    before = tokenize(prompt_text(row["messages"][:1], tokenizer), tokenizer)
    first = next(i for i, label in enumerate(rendered.labels) if label != -100)
    assert list(rendered.input_ids[:first]) == before


def test_an_answer_that_begins_with_space_keeps_it(tokenizer: Any) -> None:
    rendered = render_row(chat_row("c", "Who?", "\n\n  the keeper"), tokenizer)
    assert "\n\n  the keeper<|im_end|>" in "".join(trained_text(rendered.labels, tokenizer))


def test_a_text_trains_every_token_and_the_end(tokenizer: Any) -> None:
    rendered = render_row(text_row("t", "The bell rings."), tokenizer)
    assert rendered.labels == rendered.input_ids
    assert tokenizer.decode(rendered.input_ids) == "The bell rings.<|im_end|>"
    # The first token has nothing before it that could predict it.
    assert rendered.trained_tokens == len(rendered.input_ids) - 1


@pytest.mark.parametrize(
    "row",
    [
        chat_row("c", "Who rings the bell?"),
        {"id": "c", "kind": "chat", "messages": [{"role": "assistant", "content": "The keeper."}]},
        text_row("t", ""),
    ],
    ids=["no answer", "no question", "empty text"],
)
def test_rows_without_anything_to_learn(tokenizer: Any, row: dict[str, Any]) -> None:
    assert render_row(row, tokenizer).trained_tokens == 0


def test_all_turns_can_be_trained_but_not_what_stands_before_them(tokenizer: Any) -> None:
    row = chat_row("c", "Who rings the bell?", "The keeper.", "When?", "Every night.")
    trained = "".join(trained_text(render_row(row, tokenizer, "turns").labels, tokenizer))
    for said in ("Who rings the bell?", "The keeper.<|im_end|>", "When?", "Every night.<|im_end|>"):
        assert said in trained
    assert "keep the lamp" not in trained
    assert len(trained) < len(chat_text(row["messages"], tokenizer))
    system = chat_row("c", "Who?", "The keeper.", system="Be brief.")
    assert "brief" not in "".join(
        trained_text(render_row(system, tokenizer, "turns").labels, tokenizer)
    )


def test_a_text_is_trained_the_same_whatever_the_loss_counts_of_chats(tokenizer: Any) -> None:
    row = text_row("t", "The bell rings.")
    assert render_row(row, tokenizer, "turns") == render_row(row, tokenizer)

"""Rows to `input_ids` and `labels`: documents train every token, chats the assistant's turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

IGNORED = -100


@dataclass(frozen=True)
class Rendered:
    """One row as the trainer takes it.

    Attributes:
        id: The example's id.
        input_ids: [length]
        labels: [length]; a token id where the loss counts, else -100.
    """

    id: str
    input_ids: Sequence[int]
    labels: Sequence[int]

    @property
    def trained_tokens(self) -> int:
        """Tokens that the loss counts."""
        return sum(label != IGNORED for label in self.labels)


def render_row(row: Mapping[str, Any], tokenizer: Any) -> Rendered:
    """Render a row of a split."""
    if row["kind"] == "text":
        ids = [*tokenizer(row["text"], add_special_tokens=False)["input_ids"]]
        ids.append(tokenizer.eos_token_id)
        return Rendered(row["id"], ids, list(ids))
    return render_chat(row["id"], row["messages"], tokenizer)


def render_chat(id: str, messages: Sequence[Mapping[str, str]], tokenizer: Any) -> Rendered:
    """Render a conversation; the loss counts the assistant's turns and the end of each.

    A turn begins where the ids of the conversation leave those of the prompt before it, so no
    `{% generation %}` marks are needed (most templates lack them).
    """
    messages = [{"role": m["role"], "content": m["content"]} for m in messages]
    ids = tokenize(chat_text(messages, tokenizer), tokenizer)
    labels = [IGNORED] * len(ids)
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt = tokenize(prompt_text(messages[:index], tokenizer), tokenizer)
        until = tokenize(chat_text(messages[: index + 1], tokenizer), tokenizer)
        start, end = common_prefix(prompt, ids), common_prefix(until, ids)
        labels[start:end] = ids[start:end]
    return Rendered(id, ids, labels)


def chat_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    """Return a conversation in the student's template, or in a plain one where it has none."""
    if tokenizer.chat_template:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))
    lines = [f"{_LABELS[m['role']]}{m['content']}" for m in messages]
    return "\n".join(lines) + str(tokenizer.eos_token)


def prompt_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    """Return what the student sees before it answers."""
    if tokenizer.chat_template:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )
    lines = [f"{_LABELS[m['role']]}{m['content']}" for m in messages]
    return "\n".join([*lines, _LABELS["assistant"].rstrip()])


def tokenize(text: str, tokenizer: Any) -> list[int]:
    """Return the ids of a text that already holds its special tokens."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))


_LABELS = {"system": "", "user": "Question: ", "assistant": "Answer: "}

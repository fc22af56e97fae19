"""Rows to `input_ids` and `labels`: texts train every token, chats the answers or all turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
        """Tokens that the loss counts; the first of a row is never predicted."""
        return sum(label != IGNORED for label in self.labels[1:])


def render_row(
    row: Mapping[str, Any], tokenizer: Any, loss_on: Literal["answers", "turns"] = "answers"
) -> Rendered:
    """Render a row of a split; of a chat the loss counts the answers, or all turns."""
    if row["kind"] == "text":
        ids = [*tokenizer(row["text"], add_special_tokens=False)["input_ids"]]
        ids.append(tokenizer.eos_token_id)
        return Rendered(row["id"], ids, list(ids))
    rendered = render_chat(row["id"], row["messages"], tokenizer)
    return rendered if loss_on == "answers" else _with_questions(rendered, row, tokenizer)


def render_chat(id: str, messages: Sequence[Mapping[str, str]], tokenizer: Any) -> Rendered:
    """Render a conversation; the loss counts the assistant's turns and the end of each.

    A turn begins where the ids of the conversation leave those of the prompt before it, so no
    `{% generation %}` marks are needed (most templates lack them). A turn that answers nothing,
    at the very beginning, is not trained.
    """
    messages = [{"role": m["role"], "content": m["content"]} for m in messages]
    ids = tokenize(chat_text(messages, tokenizer), tokenizer)
    labels = [IGNORED] * len(ids)
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or not index:
            continue
        prompt = tokenize(prompt_text(messages[:index], tokenizer), tokenizer)
        until = tokenize(chat_text(messages[: index + 1], tokenizer), tokenizer)
        start, end = common_prefix(prompt, ids), common_prefix(until, ids)
        end = start + _until_end_token(ids[start:end], tokenizer)
        labels[start:end] = ids[start:end]
    return Rendered(id, ids, labels)


def _with_questions(rendered: Rendered, row: Mapping[str, Any], tokenizer: Any) -> Rendered:
    """Count the turns of the user too; what stands before the first of them stays untrained.

    That part, which a template may fill with a system message of its own, is where the ids are the
    same whatever the user says.
    """
    messages = [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
    first = next((at for at, m in enumerate(messages) if m["role"] == "user"), None)
    if first is None:
        return rendered
    other = [*messages[:first], {"role": "user", "content": _NOBODY_SAYS}, *messages[first + 1 :]]
    ids = rendered.input_ids
    start = common_prefix(tokenize(chat_text(other, tokenizer), tokenizer), ids)
    last = max((at for at, label in enumerate(rendered.labels) if label != IGNORED), default=-1)
    labels = [token if start <= at <= last else IGNORED for at, token in enumerate(ids)]
    return Rendered(rendered.id, ids, labels)


def chat_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    """Return a conversation in the student's template, or in a plain one where it has none."""
    if tokenizer.chat_template:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))
    return "\n".join(_plain_line(message, tokenizer) for message in messages)


def prompt_text(messages: Sequence[Mapping[str, str]], tokenizer: Any) -> str:
    """Return what the student sees before it answers."""
    if tokenizer.chat_template:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        )
    lines = [_plain_line(message, tokenizer) for message in messages]
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


def _plain_line(message: Mapping[str, str], tokenizer: Any) -> str:
    end = tokenizer.eos_token if message["role"] == "assistant" else ""
    return f"{_LABELS[message['role']]}{message['content']}{end}"


def _until_end_token(turn: Sequence[int], tokenizer: Any) -> int:
    """Length of a turn without what a template puts after its end token (a line break)."""
    for length in range(len(turn), 0, -1):
        text = tokenizer.decode(turn[length - 1 : length], skip_special_tokens=True)
        if not text:
            return length
        if text.strip():
            break
    return len(turn)


_NOBODY_SAYS = "\x1a\x1a"
_LABELS = {"system": "", "user": "Question: ", "assistant": "Answer: "}

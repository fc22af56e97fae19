"""Chats as documents: rows of messages that are learned as they are and need no teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

from domainforge.records import CHAT_MEDIA_TYPE, Document
from domainforge.sources.cleaning import clean_text
from domainforge.sources.loaded import UnreadableError

CHAT_FIELDS = ("messages", "conversations", "conversation")
# As the common formats name who speaks.
_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}
_MAX_TITLE_CHARS = 80

Messages = tuple[dict[str, str], ...]


def chat_field(fields: Mapping[str, Any]) -> str | None:
    """Return the name of the field that holds a row's messages."""
    return next((name for name in CHAT_FIELDS if isinstance(fields.get(name), list | tuple)), None)


def read_messages(turns: Sequence[Any]) -> Messages:
    """Read the messages of a chat: a system's, if any, then user and assistant in turn.

    A last word of the user that nobody answers is left off.

    Raises:
        UnreadableError: Another order, another speaker, or something that is no text.
    """
    messages = [_read_turn(turn, number) for number, turn in enumerate(turns, 1)]
    while messages and messages[-1]["role"] == "user":
        messages.pop()
    spoken = messages[1:] if messages and messages[0]["role"] == "system" else messages
    if not spoken:
        raise UnreadableError("bad_chat", "no assistant answers in it")
    for number, message in enumerate(spoken):
        wanted = ("user", "assistant")[number % 2]
        if message["role"] != wanted:
            place = number + 1 + len(messages) - len(spoken)
            detail = f"message {place} is of the {message['role']}, where the {wanted} is due"
            raise UnreadableError("bad_chat", detail)
        if not message["content"].strip():
            raise UnreadableError("bad_chat", f"a message of the {wanted} is blank")
    return tuple(messages)


def write_transcript(messages: Messages) -> str:
    """Write a chat as one reads it."""
    return "\n\n".join(f"**{m['role'].capitalize()}:** {m['content']}" for m in messages)


def make_chat(
    uri: str, messages: Messages, metadata: Mapping[str, Any], title: str | None = None
) -> Document:
    """Make the document of a chat; its title is how its first question begins."""
    question = next(m["content"] for m in messages if m["role"] == "user")
    return Document(
        uri,
        title or _shorten(question),
        write_transcript(messages),
        CHAT_MEDIA_TYPE,
        {**metadata, "messages": list(messages)},
    )


def _read_turn(turn: Any, number: int) -> dict[str, str]:
    if not isinstance(turn, Mapping):
        raise UnreadableError("bad_chat", f"message {number} is a {type(turn).__name__}")
    who = turn.get("role") or turn.get("from")
    said = turn.get("content") if "content" in turn else turn.get("value")
    role = _ROLES.get(who.lower()) if isinstance(who, str) else None
    if role is None:
        raise UnreadableError("bad_chat", f"message {number} is of {str(who)[:40]!r}")
    if not isinstance(said, str):
        raise UnreadableError("bad_chat", f"message {number} holds no text")
    if turn.get("tool_calls"):
        raise UnreadableError("bad_chat", f"message {number} calls a tool")
    return {"role": role, "content": clean_text(said)}


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TITLE_CHARS else line[:_MAX_TITLE_CHARS].rstrip() + "…"

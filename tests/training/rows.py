"""Rows of a split, made of words that the tiny student's tokenizer knows."""

import random
from collections.abc import Sequence
from typing import Any

WORDS = ("harbour", "ferry", "keeper", "lamp", "bell", "rope", "tide", "council", "mill", "boat")


def text_row(id: str, text: str) -> dict[str, Any]:
    return {"id": id, "kind": "text", "text": text, "messages": None}


def chat_row(id: str, *turns: str, system: str | None = None) -> dict[str, Any]:
    """Make a chat of turns that the user and the assistant take in turn."""
    messages = [
        {"role": ("user", "assistant")[index % 2], "content": turn}
        for index, turn in enumerate(turns)
    ]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return {"id": id, "kind": "chat", "text": None, "messages": messages}


def sentence(chance: random.Random, words: int) -> str:
    return f"{' '.join(chance.choices(WORDS, k=words)).capitalize()}."


def make_rows(texts: int, chats: int, *, words: int = 12, seed: int = 0) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        *(text_row(f"text-{i}", sentence(chance, words)) for i in range(texts)),
        *(
            chat_row(f"chat-{i}", f"What of {sentence(chance, 3)}", sentence(chance, words // 2))
            for i in range(chats)
        ),
    ]


def trained_text(labels: Sequence[int], tokenizer: Any) -> list[str]:
    """Return the stretches that the loss counts, as text with their special tokens."""
    stretches: list[list[int]] = [[]]
    for label in labels:
        if label == -100:
            stretches.append([])
        else:
            stretches[-1].append(label)
    return [tokenizer.decode(ids) for ids in stretches if ids]

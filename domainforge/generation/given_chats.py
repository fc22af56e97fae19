"""Chats that came with their source, as what a prompt goes over: to vary them or go on."""

import hashlib
from bisect import bisect
from collections.abc import Sequence

from domainforge.generation.subjects import Chunk, Subject, make_subject

SEEDS = 3


def vary_examples(
    chats: Sequence[Chunk], samples: int, place: str, *, with_seeds: bool
) -> list[tuple[Subject, ...]]:
    """Return for each chat a subject for each sample, with other chats as seeds if they are wanted.

    What templates see of a chat is its first question and the answer to it: these stand alone,
    which later turns don't.

    Args:
        chats: Chunks of one side that have messages.
        samples: Of each chat.
        place: What draws the seeds besides chat and sample: the prompt's name.
        with_seeds: Whether the prompt reads them; else no other chat is in the lineage.
    """
    ring = sorted((_point(chat["id"]), index) for index, chat in enumerate(chats))
    found = []
    for index, chat in enumerate(chats):
        turns = []
        for sample in range(samples):
            drawn = _draw(ring, index, f"{place}\0{chat['id']}\0{sample}") if with_seeds else []
            seeds = [chats[each] for each in drawn]
            values = {"example": first_exchange(chat), "seeds": [*map(first_exchange, seeds)]}
            turns.append(make_subject((chat, *seeds), "example", values))
        found.append(tuple(turns))
    return found


def first_exchange(chat: Chunk) -> dict[str, str]:
    """Return the first question of a chat and its answer."""
    said = {"user": "", "assistant": ""}
    for message in chat["messages"]:
        if not said.get(message["role"], "-"):
            said[message["role"]] = message["content"]
    return {"question": said["user"], "answer": said["assistant"]}


def _draw(ring: Sequence[tuple[int, int]], own: int, place: str) -> list[int]:
    """Draw other chats by consistent hashing: one more chat changes few draws of the others."""
    wanted = min(SEEDS, len(ring) - 1)
    drawn: list[int] = []
    for number in range(wanted):
        at = bisect(ring, (_point(f"{place}\0{number}"), -1))
        while (index := ring[at % len(ring)][1]) == own or index in drawn:
            at += 1
        drawn.append(index)
    return drawn


def _point(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

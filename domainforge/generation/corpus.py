"""The chunks of a run, apart by side, and what prompts that go over more than one of them take."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from domainforge.generation.elsewhere import find_elsewhere
from domainforge.generation.entities import Names, find_entities, find_entity_pairs
from domainforge.generation.given_chats import vary_examples
from domainforge.generation.groups import document_windows, section_windows
from domainforge.generation.names import find_names
from domainforge.generation.pairs import find_pairs
from domainforge.generation.subjects import Chunk, Subject
from domainforge.generation.term_weights import TermWeights
from domainforge.generation.topics import find_topics
from domainforge.prompt_header import Over
from domainforge.prompts import PromptFile

Turns = tuple[Subject, ...]
"""The subjects of the samples of one thing: mostly the same each time."""


class Corpus:
    """All chunks, and what is found in them, once for all tasks.

    What prompts go over is found in each side alone, so that nothing joins what is held out with
    what is trained on, and no name or topic of one side shapes the other's.
    """

    def __init__(self, chunks: Sequence[Chunk], sides: Mapping[str, str]) -> None:
        """Take chunks in the order of uri and start, chats among them, and the side of each."""
        self._passages = [chunk for chunk in chunks if not chunk.get("messages")]
        self._sides = sides
        names = sorted({sides[chunk["id"]] for chunk in chunks})
        self._parts = [_Part([c for c in chunks if sides[c["id"]] == side]) for side in names]

    def find(self, prompt: PromptFile, over: Over, samples: int) -> list[Turns]:
        """Return what a prompt goes over that isn't part of one chunk.

        Args:
            prompt: What is asked.
            over: What it goes over in the form that it is put in.
            samples: Times that each is asked; of pairs, the most that one chunk has.
        """
        header = prompt.header
        if over == "document":
            windows = document_windows(self._passages, self._sides, header.most_tokens)
            return [(window,) * samples for window in windows]
        if over == "section":
            windows = section_windows(self._passages, self._sides, header.most_tokens)
            return [(window,) * samples for window in windows]
        return [turns for part in self._parts for turns in part.find(prompt, over, samples)]


class _Part:
    """The chunks of one side."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._passages = [chunk for chunk in chunks if not chunk.get("messages")]
        self._chats = [chunk for chunk in chunks if chunk.get("messages")]

    @cached_property
    def _weights(self) -> TermWeights:
        return TermWeights(self._passages)

    @cached_property
    def _names(self) -> Names:
        return find_names(self._passages)

    def find(self, prompt: PromptFile, over: Over, samples: int) -> list[Turns]:
        most, passages = prompt.header.most_tokens, self._passages
        if over == "example":
            with_seeds = "seeds" in prompt.reads(completion=False) | prompt.reads(completion=True)
            return vary_examples(self._chats, samples, prompt.name, with_seeds=with_seeds)
        if over == "pair":
            return [(pair,) for pair in find_pairs(passages, self._weights, samples)]
        if over == "elsewhere":
            return find_elsewhere(passages, samples)
        if over == "entity_pair":
            return [(each,) for each in find_entity_pairs(passages, self._names, samples, most)]
        if over == "entity":
            return [(each,) * samples for each in find_entities(passages, self._names, most)]
        topics = find_topics(passages, self._weights, most, prompt.header.topics)
        return [(topic,) * samples for topic in topics]

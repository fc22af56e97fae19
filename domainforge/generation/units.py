"""What is asked: every task over every chunk or sentence, as often as the task says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from domainforge.generation.attributes import Shares, draw_attributes
from domainforge.generation.spans import answer_spans, leave_gap
from domainforge.prompt_header import CompletionHeader, Over
from domainforge.prompts import PromptFile
from domainforge.sentences import split_sentences

Form = Literal["chat", "completion"]
MIN_SENTENCE_WORDS = 4
# Opens a sentence whose subject is in the one before; such a sentence is asked about with it.
_LEANS_BACK = re.compile(
    r"^(He|She|It|They|His|Her|Its|Their|This|That|These|Those|There|Then|Here|But|And|So)\b"
)


@dataclass(frozen=True)
class Task:
    """A prompt and how often it is asked of each unit.

    Attributes:
        attributes: Shares in the place of the prompt's own, by name.
    """

    prompt: PromptFile
    samples: int
    attributes: Shares = field(default_factory=dict)

    def shares(self, form: Form) -> Shares:
        """Return the shares of all attributes that shape a row of this form."""
        read = self.prompt.reads(completion=asks_completion(self.prompt, form))
        every = {**self.prompt.header.attributes, **self.attributes}
        return {name: values for name, values in every.items() if name in read}


@dataclass(frozen=True)
class Unit:
    """One thing to ask: a prompt about a passage, for the n-th time.

    Attributes:
        chunk: Row of the chunk; the first, where it is about several.
        text: The passage: the whole chunk, or a sentence or two of it.
        start: Of the passage in the document.
        end: One past its last character.
        index: Number of the passage in the chunk.
        sample: How often the same was asked before.
        variant: Values that the prompt takes for this sample.
        attributes: What was drawn for it.
        also: Rows of the other chunks, all of the same side.
    """

    prompt: PromptFile
    chunk: Mapping[str, Any]
    text: str
    start: int
    end: int
    index: int
    sample: int
    variant: Mapping[str, str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    also: tuple[Mapping[str, Any], ...] = ()

    @property
    def chunks(self) -> tuple[Mapping[str, Any], ...]:
        """Rows of all chunks that it is about."""
        return (self.chunk, *self.also)

    def lineage(self) -> dict[str, Any]:
        """Return the fields of an example that tell which unit it came from."""
        return {
            "document_id": self.chunk["document_id"],
            "uri": self.chunk["uri"],
            "chunk_id": self.chunk["id"],
            "start": self.start,
            "end": self.end,
            "prompt": self.prompt.name,
            "prompt_hash": self.prompt.hash,
            "unit": self.index,
            "sample": self.sample,
            "attributes": dict(self.attributes),
            "also": tuple(
                {"document_id": c["document_id"], "uri": c["uri"], "chunk_id": c["id"]}
                for c in self.also
            ),
            "basis": self.prompt.header.basis,
        }


def plan_units(
    chunks: Sequence[Mapping[str, Any]], tasks: Sequence[Task], form: Form
) -> Iterator[Unit]:
    """Yield everything that is to be asked, in the order of chunks and tasks."""
    drawn_from = [(task, task.shares(form)) for task in tasks]
    for chunk in chunks:
        for task, shares in drawn_from:
            header = task.prompt.header
            completion = header.completion if asks_completion(task.prompt, form) else None
            over = completion.over if completion else header.over
            spans = [(0, len(chunk["text"]))] if over == "chunk" else passages(chunk["text"])
            for index, (start, end) in enumerate(spans):
                text = chunk["text"][start:end]
                place = f"{task.prompt.name}\0{chunk['id']}\0{index}"
                for sample, variant in enumerate(_variants(over, completion, text, task.samples)):
                    yield Unit(
                        task.prompt,
                        chunk,
                        text,
                        chunk["start"] + start,
                        chunk["start"] + end,
                        index,
                        sample,
                        variant,
                        draw_attributes(shares, place, sample),
                    )


def _variants(
    over: Over, completion: CompletionHeader | None, text: str, most: int
) -> Iterator[Mapping[str, str]]:
    """Yield what the samples of one passage differ in, until there is no more or enough."""
    spans = asked_spans(text)[:most] if over == "span" else [{}] * most
    for sample, span in enumerate(spans):
        variant = completion.variant(text, sample) if completion else {}
        if variant is None:
            return
        yield {**variant, **span}


def asked_spans(text: str) -> list[dict[str, str]]:
    """Return what can be asked for in a passage: spans of its last sentence, and their kinds."""
    sentences = split_sentences(text)
    if not sentences:
        return []
    start, end = sentences[-1]
    sentence = " ".join(text[start:end].split())
    return [
        {
            "span": sentence[span.start : span.end],
            "span_kind": span.kind,
            "gapped": leave_gap(sentence, span),
        }
        for span in answer_spans(sentence)
    ]


def passages(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences; one that leans on the sentence before it comes with it."""
    spans: list[tuple[int, int]] = []
    before: tuple[int, int] | None = None
    for start, end in split_sentences(text):
        sentence = text[start:end]
        leans = before is not None and _LEANS_BACK.match(sentence)
        if len(sentence.split()) >= MIN_SENTENCE_WORDS:
            spans.append((before[0] if leans and before else start, end))
        before = (start, end)
    return spans


def asks_completion(prompt: PromptFile, form: Form) -> bool:
    """Whether this prompt is put as text to be continued."""
    return form == "completion" and prompt.completion is not None

"""What is asked: every task over all that its prompt goes over, as often as the task says."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from domainforge.errors import PromptError
from domainforge.generation.attributes import Shares, draw_attributes
from domainforge.generation.corpus import Corpus, Turns
from domainforge.generation.spans import answer_spans, leave_gap
from domainforge.generation.subjects import Chunk, Subject
from domainforge.prompt_header import WITHIN_A_CHUNK, Over
from domainforge.prompts import PromptFile
from domainforge.sentences import split_sentences

Form = Literal["chat", "delimited", "completion"]
"""How a teacher is asked; `delimited` is a chat whose replies nothing holds to a schema."""
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
    """One thing to ask: a prompt about a passage or several, for the n-th time.

    Attributes:
        chunk: Row of the chunk; the first, where it is about several.
        text: The passage: the whole chunk, a sentence or two of it, or several chunks.
        start: Of the passage in the document; of several, of the first.
        end: One past its last character.
        index: Number among what the prompt is asked about that begins with this chunk.
        sample: How often the same was asked before.
        variant: What templates can name besides: values of the completion's variant, the span, the
            entity, the example ...
        attributes: What was drawn for it.
        also: Rows of the other chunks, all of the same side.
        focus: What it is to ask about, in a round after the first; empty before.
    """

    prompt: PromptFile
    chunk: Mapping[str, Any]
    text: str
    start: int
    end: int
    index: int
    sample: int
    variant: Mapping[str, Any]
    attributes: Mapping[str, str] = field(default_factory=dict)
    also: tuple[Mapping[str, Any], ...] = ()
    focus: str = ""

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
    chunks: Sequence[Chunk],
    tasks: Sequence[Task],
    form: Form,
    sides: Mapping[str, str] | None = None,
    corpus: Corpus | None = None,
) -> Iterator[Unit]:
    """Yield everything that is to be asked, in the order of chunks and tasks.

    What is about several chunks comes where its first one does. The same chunks, tasks and sides
    give the same units on every machine.

    Args:
        chunks: In the order of uri and start; chats that came with their source among them.
        tasks: What is asked, and how often.
        form: How the teacher is asked.
        sides: Side of each chunk, by its id; None where all are of one.
        corpus: What is known of these chunks and sides from planning before.
    """
    if corpus is None:
        corpus = Corpus(chunks, sides or dict.fromkeys((chunk["id"] for chunk in chunks), ""))
    plans = [_TaskPlan(task, form, corpus) for task in tasks]
    for chunk in chunks:
        for plan in plans:
            yield from plan.units(chunk)


class _TaskPlan:
    """What one task asks of each chunk."""

    def __init__(self, task: Task, form: Form, corpus: Corpus) -> None:
        if task.prompt.header.judges is not None:
            raise PromptError(
                f"{task.prompt.path}: makes no rows (`judges: {task.prompt.header.judges}`), so no "
                "task can ask it; the pipeline file names it under `judge`"
            )
        self._task = task
        self._shares = task.shares(form)
        completion = task.prompt.header.completion
        self._completion = completion if asks_completion(task.prompt, form) else None
        self._over = goes_over(task.prompt, form)
        self._found: dict[str, list[Turns]] | None = None
        if self._over not in WITHIN_A_CHUNK:
            self._found = defaultdict(list)
            for turns in corpus.find(task.prompt, self._over, task.samples):
                self._found[turns[0].chunks[0]["id"]].append(turns)

    def units(self, chunk: Chunk) -> Iterator[Unit]:
        """Yield the units that begin with a chunk."""
        for index, turns in enumerate(self._turns(chunk)):
            place = f"{self._task.prompt.name}\0{chunk['id']}\0{turns[0].key}"
            for sample, subject in enumerate(turns):
                variant = self._completion.variant(subject.text, sample) if self._completion else {}
                if variant is None:
                    break
                yield Unit(
                    prompt=self._task.prompt,
                    chunk=chunk,
                    text=subject.text,
                    start=subject.start,
                    end=subject.end,
                    index=index,
                    sample=sample,
                    variant={**variant, **subject.values},
                    attributes=draw_attributes(self._shares, place, sample),
                    also=subject.chunks[1:],
                )

    def _turns(self, chunk: Chunk) -> Iterable[Turns]:
        if self._found is not None:
            return self._found.get(chunk["id"], ())
        if chunk.get("messages"):
            return ()
        parts = _parts(chunk, whole=self._over == "chunk")
        if self._over == "span":
            most = self._task.samples
            asked = ((part, asked_spans(part.text)[:most]) for part in parts)
            return (tuple(replace(part, values=s) for s in spans) for part, spans in asked if spans)
        return ((part,) * self._task.samples for part in parts)


def _parts(chunk: Chunk, *, whole: bool) -> Iterator[Subject]:
    """Yield the chunk, or its sentences."""
    text, offset = chunk["text"], chunk["start"]
    for index, (start, end) in enumerate([(0, len(text))] if whole else passages(text)):
        yield Subject((chunk,), text[start:end], offset + start, offset + end, str(index))


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


def goes_over(prompt: PromptFile, form: Form) -> Over:
    """Return what this prompt goes over in that form."""
    header = prompt.header
    completion = header.completion if asks_completion(prompt, form) else None
    return completion.over if completion else header.over


def asks_completion(prompt: PromptFile, form: Form) -> bool:
    """Whether this prompt is put as text to be continued."""
    return form == "completion" and prompt.completion is not None

"""An exam against a run: where each question's passage lies, its side, and wrong answers."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from domainforge.evaluation.exam import ExamQuestion
from domainforge.evaluation.metrics import normalise_answer

Slice = Literal["one_passage", "two_passages", "held_out"]
DISTRACTORS = 5


@dataclass(frozen=True)
class Item:
    """A question as it is asked.

    Attributes:
        slice: `one_passage` or `two_passages` about trained documents, or `held_out`.
        document: Groups questions for the interval.
        passage: Text for the open book; None where none was found.
        distractors: Gold answers of other questions of the same kind, same document first.
        rivals: Places of those questions among the items.
    """

    question: ExamQuestion
    slice: Slice
    document: str
    passage: str | None
    distractors: tuple[str, ...]
    rivals: tuple[int, ...] = ()


def prepare_items(
    exam: Sequence[ExamQuestion], chunks: Sequence[Mapping[str, Any]], sides: Mapping[str, str]
) -> list[Item]:
    """Find each question's passage among the chunks, its side and its distractors.

    Args:
        exam: The questions.
        chunks: Rows of the chunk stage.
        sides: Side of each chunk id.
    """
    texts = [(chunk, _plain(chunk["text"])) for chunk in chunks]
    documents = [_document(question, texts) for question in exam]
    items = []
    for index, question in enumerate(exam):
        found = _find_passages(question, texts, documents[index])
        rivals = _rivals(index, exam, documents)
        held_out = any(sides.get(chunk["id"]) == "test" for chunk in found)
        kind: Slice = "one_passage" if question.one_passage else "two_passages"
        items.append(
            Item(
                question=question,
                slice="held_out" if held_out else kind,
                document=documents[index],
                passage="\n\n".join(chunk["text"] for chunk in found) or None,
                distractors=tuple(exam[at].answers[0] for at in rivals),
                rivals=rivals,
            )
        )
    return items


def _document(question: ExamQuestion, texts: Sequence[tuple[Mapping[str, Any], str]]) -> str:
    """Name the document that a question is about, as the run's documents are named."""
    named = [p.document for p in question.passages if p.document]
    if question.document:
        named.append(question.document)
    uris = {chunk["uri"] for chunk, _ in texts}
    for name in named:
        for uri in sorted(uris):
            if _same_document(name, uri):
                return str(uri)
    for passage in question.passages:
        for chunk, text in texts:
            if passage.quote and _plain(passage.quote) in text:
                return str(chunk["uri"])
    return named[0] if named else ""


def _same_document(name: str, uri: str) -> bool:
    """Whether an exam's name of a document means that uri: equal, its end, or its row's id."""
    if name == uri or uri.endswith(f"#{name}"):
        return True
    left, right = PurePosixPath(name).parts, PurePosixPath(uri).parts
    shorter = min(len(left), len(right))
    return left[-shorter:] == right[-shorter:]


def _find_passages(
    question: ExamQuestion, texts: Sequence[tuple[Mapping[str, Any], str]], document: str
) -> list[Mapping[str, Any]]:
    """Chunks that hold the quotes; without quotes, the chunk of the document most like it."""
    found: dict[str, Mapping[str, Any]] = {}
    for passage in question.passages:
        quote = _plain(passage.quote or "")
        if not quote:
            continue
        wanted = passage.document or document
        near = [c for c, text in texts if quote in text and _same_document(wanted, c["uri"])]
        for chunk in near or [c for c, text in texts if quote in text]:
            found[chunk["id"]] = chunk
            break
    if found or not document:
        return list(found.values())
    own = [(chunk, text) for chunk, text in texts if chunk["uri"] == document]
    likeness = _likeness([text for _, text in own], f"{question.question} {question.answers[0]}")
    answer = _plain(question.answers[0])
    ranked = [
        (answer in text, near, chunk) for (chunk, text), near in zip(own, likeness, strict=True)
    ]
    return [max(ranked, key=lambda entry: entry[:2])[2]] if ranked else []


def _likeness(texts: Sequence[str], query: str) -> list[float]:
    """Cosine of each text with the query, by TF-IDF over these texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not texts or not any(char.isalnum() for char in query):
        return [0.0] * len(texts)
    weights = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b").fit_transform([*texts, query])
    return [float(value) for value in (weights[:-1] @ weights[-1].T).toarray()[:, 0]]


def _rivals(index: int, exam: Sequence[ExamQuestion], documents: Sequence[str]) -> tuple[int, ...]:
    """Five other questions of the kind with other answers, those of the same document first."""
    question = exam[index]
    own = {normalise_answer(answer) for answer in question.answers}
    others = [
        (documents[i] != documents[index], _shuffled(question.id, other.id), i)
        for i, other in enumerate(exam)
        if i != index and other.answer_kind == question.answer_kind
    ]
    chosen: dict[str, int] = {}
    for _, _, at in sorted(others):
        plain = normalise_answer(exam[at].answers[0])
        if plain not in own:
            chosen.setdefault(plain, at)
    return tuple(chosen.values())[:DISTRACTORS]


def _shuffled(question: str, other: str) -> str:
    return hashlib.sha256(f"{question}:{other}".encode()).hexdigest()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

"""A small exam and the chunks of the documents that it is about."""

from typing import Any

from domainforge.evaluation.exam import ExamPassage, ExamQuestion
from domainforge.records import Chunk
from tests.support.tables import chunk_table

ANSWERS = ("bell", "lamp", "rope", "boat", "stone", "oil", "bread", "street")


def fact(index: int) -> str:
    return f"The keeper {index} sells {ANSWERS[index % len(ANSWERS)]} number {index}."


def make_exam(questions: int, *, documents: int = 2) -> list[ExamQuestion]:
    return [
        ExamQuestion(
            id=f"q{index}",
            question=f"What does keeper {index} sell?",
            answers=(f"{ANSWERS[index % len(ANSWERS)]} number {index}",),
            answer_kind="thing",
            passages=(ExamPassage(quote=fact(index), document=f"{index % documents}.md"),),
        )
        for index in range(questions)
    ]


def make_chunks(questions: int, *, documents: int = 2) -> list[dict[str, Any]]:
    """One chunk of each fact, as rows of the chunk stage; documents are named by a longer path."""
    chunks = []
    for index in range(questions):
        document, text = index % documents, fact(index)
        chunks.append(
            Chunk(
                document_id=f"doc-{document}",
                uri=f"handbook/{document}.md",
                title="Handbook",
                headings=(),
                index=index,
                start=100 * index,
                end=100 * index + len(text),
                text=text,
                tokens=12,
            )
        )
    return list(chunk_table(chunks).to_pylist())

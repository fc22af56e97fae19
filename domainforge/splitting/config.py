"""The settings of the split."""

from pydantic import Field

from domainforge.stage import Settings


class SplitConfig(Settings):
    """How rows are divided."""

    validation_share: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Part of the training side's chat rows kept for validation: questions about "
        "documents that are trained on, which choose the checkpoint.",
    )
    exam_ngram_words: int = Field(
        8, ge=1, description="A row that shares so many words in a row with an exam question goes."
    )
    exam_jaccard: float = Field(
        0.7,
        gt=0,
        le=1,
        description="A row goes whose question is as like an exam question as this (Jaccard "
        "similarity of their words).",
    )
    near_test_jaccard: float = Field(
        0.7,
        gt=0,
        le=1,
        description="A training passage goes, with its rows, that is as like a held-out one as "
        "this (Jaccard similarity of their shingles).",
    )

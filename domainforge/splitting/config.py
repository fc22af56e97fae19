"""The settings of the split."""

from pydantic import Field

from domainforge.sources.hub_datasets.config import DatasetConfig
from domainforge.stage import Settings


class ReplayConfig(Settings):
    """Which general rows training may mix in; how many of them is `train.mixture.replay`."""

    file: str = Field(
        "data/replay.jsonl",
        min_length=1,
        description="JSON lines with `messages` or `text`, relative to the project folder; the "
        "default ships with DomainForge.",
    )
    dataset: DatasetConfig | None = Field(
        None,
        description="Hugging Face dataset in the place of the file: a folder, or owner/name on "
        "the Hub; its rows hold `messages`, `conversations` or `text`.",
    )
    max_rows: int = Field(
        2000,
        ge=1,
        le=1_000_000,
        description="At most so many rows are taken, chosen by the seed; of a dataset, out of its "
        "first rows, twenty times as many.",
    )


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
        8,
        ge=1,
        description="A row goes that shares so many words in a row with an exam question, where "
        "they are most of what it asks.",
    )
    exam_jaccard: float = Field(
        0.85,
        gt=0,
        le=1,
        description="A row goes whose question is as like an exam question as this (Jaccard "
        "similarity of their words, typing errors aside).",
    )
    exam_cosine: float = Field(
        0.99,
        gt=0,
        le=1,
        description="The same by the cosine of their character n-grams, weighted by how rare they "
        "are (TF-IDF), whatever the answers say.",
    )
    exam_answer_cosine: float = Field(
        0.56,
        gt=0,
        le=1,
        description="The same cosine where both answers agree as well: the same question in other "
        "words. Where they agree in part, what is wanted lies between the two.",
    )
    benchmarks: tuple[str, ...] = Field(
        (),
        description="Files of public benchmarks that no row may give away, relative to the "
        "project folder: JSON lines with `question` (and `answers`) or `text`.",
    )
    near_test_jaccard: float = Field(
        0.7,
        gt=0,
        le=1,
        description="A training row or passage goes, the passage with its rows, that is as like a "
        "held-out one as this (Jaccard similarity of their shingles).",
    )
    replay: ReplayConfig = Field(
        default_factory=ReplayConfig,
        description="General rows beside those about the documents; read only where "
        "`train.mixture.replay` asks for them.",
    )

"""What a check sees of a row, and the thresholds it reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import Field

from domainforge.filters.limits import ProseConfig
from domainforge.filters.support import Support, carries, measure_similarity, measure_support
from domainforge.filters.words import content_terms
from domainforge.languages import LanguageCode
from domainforge.privacy.regions import PhoneRegion
from domainforge.records import Basis
from domainforge.stage import Settings

Treatment = Literal["flag", "redact", "drop", "ignore"]

Reason = Literal[
    "empty",
    "secret",
    "personal_data",
    "too_short",
    "too_long",
    "refusal",
    "not_declined",
    "injection",
    "prompt_leak",
    "template_leftover",
    "repetition",
    "markup",
    "unfinished",
    "not_prose",
    "not_a_question",
    "question_is_answer",
    "wrong_kind",
    "wrong_language",
    "quote_missing",
    "question_unrelated",
    "unsupported",
    "not_entailed",
    "answerable",
    "no_contrast",
    "toxic",
]

Evidence = str | None
"""What shows that a row must go, or None where the check has nothing against it."""

FAULTS = frozenset({"toxicity", "tokens"})
"""Scores of which more is worse."""


class FilterConfig(Settings):
    """Which generated rows are kept."""

    skip: tuple[Reason, ...] = Field((), description="Checks that are left out.")
    personal_data: Treatment = Field(
        "flag",
        description="What is done about rows with e-mail addresses, phone numbers, IBANs, card "
        "numbers or US social security numbers: `flag` counts them in the row's scores, `redact` "
        "takes them out, `drop` drops the row.",
    )
    secrets: Treatment = Field("drop", description="The same for keys, tokens and passwords.")
    phone_region: PhoneRegion = Field(
        None,
        description="Country whose phone numbers are found without their prefix too, two letters "
        "such as `US`; left out, only those that begin with + are.",
    )
    toxicity_model: str | None = Field(
        None,
        description="Folder of a text-classification model (transformers, safetensors) that tells "
        "how toxic a row is; left out, nothing is asked of this kind.",
    )
    max_toxicity: float = Field(
        0.5, ge=0, le=1, description="Rows that the model holds for more toxic are dropped."
    )
    min_question_words: int = Field(3, ge=0, description="Shorter questions are dropped.")
    max_question_words: int = Field(60, ge=1, description="Longer questions are dropped.")
    min_answer_words: int = Field(1, ge=0, description="Shorter answers are dropped.")
    max_answer_words: int = Field(250, ge=1, description="Longer answers are dropped.")
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Longer rows are dropped, in tokens of the student's tokenizer, all messages "
        "together; left out, tokens are not counted.",
    )
    min_text_words: int = Field(5, ge=0, description="Shorter generated texts are dropped.")
    max_word_run: int = Field(
        2, ge=1, description="How often a word may follow itself (more is a stuck teacher)."
    )
    max_repeated_ngram_share: float = Field(
        0.3, ge=0, le=1, description="Share of four-word sequences that may repeat earlier ones."
    )
    max_repeated_line_share: float = Field(
        0.3, ge=0, le=1, description="Share of lines that may repeat earlier ones."
    )
    min_finished_words: int | None = Field(
        12,
        ge=1,
        description="Answers and texts of so many words must not stop in the midst of a sentence "
        "(shorter ones only not on a comma or an 'and'); null turns the check off.",
    )
    prose: ProseConfig = Field(
        default_factory=ProseConfig,
        description="Rules for the running text of longer answers and texts.",
    )
    require_question: bool = Field(
        True, description="Drop questions that neither ask nor instruct (no '?', no 'Explain')."
    )
    language: LanguageCode = Field(
        None,
        description="Language that every row must be in, as its ISO 639-1 code (`de`); left out, "
        "the one of its passage.",
    )
    min_language_confidence: float | None = Field(
        0.9,
        ge=0,
        le=1,
        description="How sure the language must be, in row and passage, to drop a row whose "
        "language is another than wanted; null turns the check off.",
    )
    min_language_words: int = Field(
        12, ge=1, description="Shorter rows and passages are not checked for language."
    )
    min_question_related_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of the question's content words that must occur in the passage, "
        "its title or its headings.",
    )
    min_support_share: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Share of the answer's content words that must occur in the quote "
        "(in the passage, where the task has no quote). Its numbers must all occur.",
    )
    max_own_words: int = Field(
        2,
        ge=0,
        description="Content words of its own that an answer may have, whatever their share, "
        "where a question for a reason, a manner or a deed has no quote.",
    )
    require_names: bool = Field(
        True,
        description="Drop answers with a name, a day or a unit that the passage doesn't have.",
    )
    min_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the answer's sequences of four characters that must occur in the "
        "passage or the question; null turns this off (it is a score of every row).",
    )
    nli_model: str | None = Field(
        None,
        description="Folder of a model of natural language inference (transformers, safetensors, "
        "a label 'entailment') that tells whether answers follow from the passage; left out, "
        "nothing is asked of this kind.",
    )
    min_entailment: float = Field(
        0.5, ge=0, le=1, description="Answers that the model holds for less sure are dropped."
    )


@dataclass(frozen=True)
class Row:
    """One generated row beside the passage it is about; of a longer chat, one answer of it.

    Attributes:
        kind: `chat` or `text`; a text row has its text as `answer` and no question. A preference
            is a chat with its better answer.
        quote: The sentence that the teacher gave as proof; None where the task asks for none.
        passage: The whole chunk.
        asked_about: The part of the chunk that the teacher saw.
        context: Title and headings of the chunk.
        given: It came with its source; nobody wrote it about a passage, and it has none.
        basis: What the answer stands on.
        rejected: The worse answer of a preference.
        said_before: What was said in a chat before this question.
        fields: The teacher's parsed reply.
        frame: What the prompt told the teacher, the passage aside.
        measured: What checks that read rows in batches found out, for the scores.
    """

    id: str
    kind: str
    question: str
    answer: str
    quote: str | None
    passage: str
    asked_about: str
    context: str
    given: bool = False
    basis: Basis = "passage"
    rejected: str | None = None
    said_before: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    frame: str = ""
    measured: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def reasons(self) -> bool:
        """Whether the answer holds the reasoning that led to it."""
        reasoning = self.fields.get("reasoning")
        return isinstance(reasoning, str) and bool(reasoning.strip())

    @cached_property
    def support(self) -> Support | None:
        """How much of the answer its source carries; None where it claims nothing ("Yes.")."""
        return self.support_of(self.answer)

    @cached_property
    def similarity(self) -> float | None:
        """How much of the answer stands in passage or question letter by letter."""
        asked = f"{self.said_before}\n{self.question}".strip()
        return measure_similarity(self.answer, asked, f"{self.passage}\n{self.context}")

    def support_of(self, answer: str) -> Support | None:
        """Measure how much of an answer to the question the source carries.

        Reasoning takes its facts from the whole passage, whatever the quote, and may compute
        numbers of those that it names.
        """
        evidence = self.asked_about if self.reasons else self.quote or self.asked_about
        source = f"{evidence}\n{self.context}"
        return measure_support(
            answer,
            f"{self.said_before}\n{self.question}".strip(),
            source,
            f"{self.passage}\n{self.context}",
            computes=self.reasons,
        )

    @cached_property
    def unrelated_terms(self) -> tuple[str, ...]:
        """Content terms of the question that occur neither in the passage nor above it."""
        terms = content_terms(self.question)
        carried = carries(f"{self.passage}\n{self.context}", terms)
        return tuple(term for term, known in zip(terms, carried, strict=True) if not known)

    @cached_property
    def question_related_share(self) -> float:
        """Share of the question's content terms that occur in the passage or above it."""
        terms = content_terms(self.question)
        return (len(terms) - len(self.unrelated_terms)) / len(terms) if terms else 0.0

    def scores(self) -> dict[str, float]:
        """What the checks measured, for the rows that stay."""
        scores = dict(self.measured)
        if self.kind != "chat" or self.given or self.basis == "free":
            return scores
        if not self.said_before:
            scores["question_related"] = round(self.question_related_share, 4)
        if self.basis == "passage" and self.support is not None:
            scores["support"] = round(self.support.share, 4)
        if self.basis == "passage" and self.similarity is not None:
            scores["similarity"] = round(self.similarity, 4)
        return scores


class Turn(NamedTuple):
    """One answer of a chat, the question it answers, and all that was said before."""

    question: str
    answer: str
    said_before: str


def turns_of(example: Mapping[str, Any]) -> Iterator[Turn]:
    """Take the messages of an example apart, answer by answer."""
    question, before = "", list[str]()
    for message in example["messages"] or ():
        if message["role"] == "user":
            question = message["content"]
        elif message["role"] == "assistant":
            yield Turn(question, message["content"], "\n".join(before))
            before += (question, message["content"])


def read_turns(example: Mapping[str, Any]) -> list[Row]:
    """Take a chat that came with its source apart: one row for each answer and what led to it."""
    said = (None, "", "", "", True)
    return [
        Row(example["id"], example["kind"], turn.question, turn.answer, *said)
        for turn in turns_of(example)
    ]

"""What a check sees of a row, and the thresholds it reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import Field

from domainforge.filters.arithmetic import computed_numbers
from domainforge.filters.limits import ProseConfig
from domainforge.filters.words import (
    content_terms,
    is_number,
    says_yes_or_no,
    words,
)
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
    "answerable",
    "no_contrast",
]

Evidence = str | None
"""What shows that a row must go, or None where the check has nothing against it."""


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
    min_question_words: int = Field(3, ge=0, description="Shorter questions are dropped.")
    max_question_words: int = Field(60, ge=1, description="Longer questions are dropped.")
    min_answer_words: int = Field(1, ge=0, description="Shorter answers are dropped.")
    max_answer_words: int = Field(250, ge=1, description="Longer answers are dropped.")
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
    min_language_confidence: float | None = Field(
        0.9,
        ge=0,
        le=1,
        description="How sure the language must be, in row and passage, to drop a row whose "
        "language is not the passage's; null turns the check off.",
    )
    min_language_words: int = Field(
        12, ge=1, description="Shorter rows and passages are not checked for language."
    )
    min_question_related_share: float = Field(
        0.4,
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


@dataclass(frozen=True)
class Support:
    """How much of an answer its source carries.

    Attributes:
        share: Part of the answer's own terms that occur in the source; what the question already
            said is no claim of the answer and doesn't count.
        missing: Terms that don't occur.
        numbers: Numbers of the answer that don't occur.
        written: Term to the word it was written as.
    """

    share: float
    missing: tuple[str, ...]
    numbers: tuple[str, ...]
    written: Mapping[str, str]


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

    @property
    def reasons(self) -> bool:
        """Whether the answer holds the reasoning that led to it."""
        reasoning = self.fields.get("reasoning")
        return isinstance(reasoning, str) and bool(reasoning.strip())

    @cached_property
    def support(self) -> Support | None:
        """How much of the answer its source carries; None where it claims nothing ("Yes.")."""
        return self.support_of(self.answer)

    def support_of(self, answer: str) -> Support | None:
        """Measure how much of an answer to the question the source carries.

        Reasoning takes its facts from the whole passage, whatever the quote, and may compute
        numbers of those that it names.
        """
        evidence = self.asked_about if self.reasons else self.quote or self.asked_about
        source = f"{evidence}\n{self.context}"
        asked = content_terms(f"{self.said_before}\n{self.question}".strip())
        claimed = content_terms(answer)
        if not claimed:
            return _bare_support(answer, source)
        terms = [term for term in claimed if term not in asked] or list(claimed)
        known = set(content_terms(source))
        if self.reasons:
            known |= computed_numbers(answer, known)
        everywhere = content_terms(f"{self.passage}\n{self.context}")
        missing = tuple(term for term in terms if term not in known)
        numbers = tuple(
            term
            for term in claimed
            if is_number(term) and term not in known and not (term in asked and term in everywhere)
        )
        return Support(1 - len(missing) / len(terms), missing, numbers, claimed)

    @cached_property
    def unrelated_terms(self) -> tuple[str, ...]:
        """Content terms of the question that occur neither in the passage nor above it."""
        known = content_terms(f"{self.passage}\n{self.context}")
        return tuple(term for term in content_terms(self.question) if term not in known)

    @cached_property
    def question_related_share(self) -> float:
        """Share of the question's content terms that occur in the passage or above it."""
        terms = content_terms(self.question)
        return 1 - len(self.unrelated_terms) / len(terms) if terms else 0.0

    def scores(self) -> dict[str, float]:
        """What the checks measured, for the rows that stay."""
        if self.kind != "chat" or self.given or self.basis == "free":
            return {}
        scores = {}
        if not self.said_before:
            scores["question_related"] = round(self.question_related_share, 4)
        if self.basis == "passage" and self.support is not None:
            scores["support"] = round(self.support.share, 4)
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


def _bare_support(answer: str, source: str) -> Support | None:
    """Compare an answer made of function words ("He.") word by word."""
    own: Sequence[str] = words(answer)
    if not own or says_yes_or_no(answer):
        return None
    known = set(words(source))
    missing = tuple(dict.fromkeys(word for word in own if word not in known))
    share = 1 - len(missing) / len(set(own))
    return Support(share, missing, (), {word: word for word in own})

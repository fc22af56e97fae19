"""All checks in the order they run: cheap first, and the first reason wins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domainforge.filters import (
    declining,
    entailment,
    finish,
    form,
    frame,
    injection,
    kind,
    language,
    markup,
    phrases,
    preference,
    private,
    prose,
    toxicity,
    truth,
)
from domainforge.filters.rows import Evidence, FilterConfig, Reason, Row
from domainforge.records import Basis

_EVERY: tuple[Basis, ...] = ("passage", "absent", "free")


@dataclass(frozen=True)
class Check:
    """One reason to drop a row.

    Attributes:
        name: The reason that a dropped row gets.
        find: Takes a batch, gives the evidence against each row, or None.
        thresholds: The fields of FilterConfig that it reads.
        texts: Whether it is also asked about rows of kind `text`.
        given: Whether it is also asked about chats that came with their source.
        bases: Of which answers it is asked, by what they stand on.
    """

    name: Reason
    find: Callable[[Sequence[Row], FilterConfig], list[Evidence]]
    thresholds: tuple[str, ...] = ()
    texts: bool = False
    given: bool = False
    bases: tuple[Basis, ...] = _EVERY

    def concerns(self, row: Row) -> bool:
        """Tell whether it has something to say about such a row."""
        if row.basis not in self.bases:
            return False
        return self.given if row.given else self.texts or row.kind == "chat"


CHECKS = (
    Check("empty", form.find_empty, texts=True, given=True),
    # First, so that no other check's evidence shows what these would have taken out.
    Check("secret", private.find_secret, ("secrets",), texts=True, given=True),
    Check(
        "personal_data",
        private.find_personal_data,
        ("personal_data", "phone_region"),
        texts=True,
        given=True,
    ),
    Check(
        "too_short",
        form.find_too_short,
        ("min_question_words", "min_answer_words", "min_text_words"),
        texts=True,
    ),
    Check(
        "too_long",
        form.find_too_long,
        ("max_question_words", "max_answer_words", "max_tokens"),
        texts=True,
        given=True,
    ),
    Check("refusal", phrases.find_refusal, texts=True, given=True, bases=("passage", "free")),
    Check("not_declined", declining.find_not_declined, bases=("absent",)),
    Check("injection", injection.find_injection, texts=True, given=True),
    Check("prompt_leak", frame.find_prompt_leak, texts=True),
    Check("template_leftover", phrases.find_template_leftover, texts=True),
    Check(
        "repetition",
        form.find_repetition,
        ("max_word_run", "max_repeated_ngram_share", "max_repeated_line_share", "prose"),
        texts=True,
        given=True,
    ),
    Check("markup", markup.find_markup, texts=True),
    Check("unfinished", finish.find_unfinished, ("min_finished_words",), texts=True),
    Check("not_prose", prose.find_not_prose, ("prose",), texts=True),
    Check("not_a_question", form.find_not_a_question, ("require_question",)),
    Check("question_is_answer", form.find_question_is_answer),
    Check("wrong_kind", kind.find_wrong_kind, bases=("passage", "free")),
    Check(
        "wrong_language",
        language.find_wrong_language,
        ("language", "min_language_confidence", "min_language_words"),
        texts=True,
        given=True,
    ),
    Check("quote_missing", truth.find_quote_missing, bases=("passage",)),
    Check(
        "question_unrelated",
        truth.find_question_unrelated,
        ("min_question_related_share",),
        bases=("passage",),
    ),
    Check(
        "unsupported",
        truth.find_unsupported,
        ("min_support_share", "max_own_words", "require_names", "min_similarity"),
        bases=("passage",),
    ),
    Check(
        "not_entailed",
        entailment.find_not_entailed,
        ("nli_model", "min_entailment"),
        bases=("passage",),
    ),
    Check("answerable", declining.find_answerable, bases=("absent",)),
    Check("no_contrast", preference.find_no_contrast),
    Check(
        "toxic",
        toxicity.find_toxic,
        ("toxicity_model", "max_toxicity"),
        texts=True,
        given=True,
    ),
)


@dataclass(frozen=True)
class Finding:
    """Why a row is dropped, and what shows it."""

    reason: Reason
    evidence: str


def check_rows(rows: Sequence[Row], config: FilterConfig) -> list[Finding | None]:
    """Give each row the first reason to drop it, or None.

    A check sees only the rows that the checks before it left.
    """
    findings: list[Finding | None] = [None] * len(rows)
    for check in CHECKS:
        if check.name in config.skip:
            continue
        open_rows = [
            at for at, row in enumerate(rows) if findings[at] is None and check.concerns(row)
        ]
        found = check.find([rows[at] for at in open_rows], config)
        for at, evidence in zip(open_rows, found, strict=True):
            if evidence is not None:
                findings[at] = Finding(check.name, evidence)
    return findings

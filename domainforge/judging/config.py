"""What a pipeline file says about judging: who judges, by which prompts, and what goes for it."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from domainforge.stage import Settings
from domainforge.teacher.config import TeacherConfig


class QualityConfig(Settings):
    """A classifier of rows, learned from the labels of `domainforge review`."""

    min_probability: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Rows that are less likely to be kept by you are dropped (`low_quality`); at "
        "0.5 keep and drop are as likely, however many of each you gave. null only scores. "
        "Nothing is dropped or scored by a classifier that can't be told from chance.",
    )


class DifficultyConfig(Settings):
    """Scores rows by the base student's own loss: the share of it that the question leaves."""

    min: float | None = Field(
        None,
        ge=0,
        description="Rows with a lower `ifd` are dropped (`too_easy`): the student needs nothing "
        "but the question to say the answer. null drops none.",
    )
    max: float | None = Field(
        None,
        gt=0,
        description="Rows with a higher `ifd` are dropped (`too_hard`): above 1 the question makes "
        "the answer less likely. null drops none.",
    )

    @model_validator(mode="after")
    def _check_order(self) -> "DifficultyConfig":
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be lower than max")
        return self


class JudgeConfig(Settings):
    """Which rows are worth training on; what asks a teacher is off unless it is named."""

    prompt: str | None = Field(
        None,
        description="Prompt file by which a judge that sees the passage scores rows, for example "
        "`judge`; null asks nobody.",
    )
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="Rows whose overall score is lower are dropped (`judged_low`), on the prompt's "
        "own scale; null only scores. `domainforge judge calibrate RUN` finds it.",
    )
    pair_prompt: str | None = Field(
        "judge_pair",
        description="With `prompt`: prompt file by which the two answers of a preference are "
        "compared, in both orders; null leaves that out.",
    )
    unjudged: Literal["keep", "drop"] = Field(
        "keep",
        description="What becomes of a row where a reply gave nothing that can be read: no score, "
        "or no answer.",
    )
    teacher: TeacherConfig | None = Field(
        None,
        description="Who judges and answers again: `embedded`, or an endpoint, best another model "
        "than the one that writes; its keys are those of `teacher`. Left out, the teacher. "
        "Without a budget of its own it falls under the teacher's; either counts all that the run "
        "has spent.",
    )
    round_trip: bool = Field(
        False,
        description="Whether the question is asked again with the passage; where the answers "
        "disagree, the row is dropped (`round_trip`).",
    )
    round_trip_prompt: str = Field(
        "answer_again", description="Prompt file for that; it doesn't see the row's answer."
    )
    min_agreement: float = Field(
        0.5,
        gt=0,
        le=1,
        description="From which likeness on two answers agree: F1 of their content words, those of "
        "the question aside; 0 where their numbers contradict each other.",
    )
    needs_document: Literal["off", "score", "drop"] = Field(
        "off",
        description="Whether the question is asked without the passage: `score` notes how well the "
        "teacher knows it anyway, `drop` leaves such rows out too (`known_without_document`).",
    )
    needs_document_prompt: str = Field(
        "answer_unaided", description="Prompt file for that; it sees the question alone."
    )
    known_agreement: float = Field(
        0.8,
        gt=0,
        le=1,
        description="From which likeness on, counted as for `min_agreement`, an answer without the "
        "passage counts as known.",
    )
    quality: QualityConfig | None = Field(
        None,
        description="Scores rows by what your labels of `domainforge review` teach; null doesn't, "
        "`{}` does, with no row dropped.",
    )
    difficulty: DifficultyConfig | None = Field(
        None,
        description="Scores rows by the base student's own loss; null doesn't, `{}` does, with no "
        "row dropped.",
    )

    @field_validator("needs_document", mode="before")
    @classmethod
    def _accept_yaml_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @model_validator(mode="after")
    def _check_score(self) -> "JudgeConfig":
        if self.min_score is not None and self.prompt is None:
            raise ValueError("min_score: nobody scores rows; name a prompt file in `prompt`")
        return self

    @property
    def asks(self) -> bool:
        """Whether a teacher is asked anything."""
        return self.prompt is not None or self.round_trip or self.needs_document != "off"

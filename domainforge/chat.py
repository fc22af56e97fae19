"""Ask the student and its base the same question, side by side."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domainforge.errors import DataError
from domainforge.pipeline import make_context
from domainforge.run_folder import RunFolder
from domainforge.show import pipeline_of

MAX_ANSWER_TOKENS = 96


@dataclass(frozen=True)
class Speaker:
    """A model that answers.

    Attributes:
        name: `student` or `base`.
        model: The causal language model.
        tokenizer: Its tokenizer.
    """

    name: str
    model: Any
    tokenizer: Any

    def answer(self, question: str) -> str:
        """Answer greedily, as the exam is answered; the first line of what it says."""
        from domainforge.evaluation.scoring import generate_answers, question_prompt

        prompt = question_prompt(question, self.tokenizer)
        answers = generate_answers(
            self.model,
            self.tokenizer,
            [prompt],
            lambda done: None,
            max_new_tokens=MAX_ANSWER_TOKENS,
        )
        return answers[0]


def find_student_folder(run: RunFolder) -> Path:
    """Return the folder of a run's trained student.

    Raises:
        DataError: The run has none yet.
    """
    for folder in (run.stage_folder("student"), run.stage_folder("export") / "model"):
        if (folder / "config.json").exists() and list(folder.glob("*.safetensors")):
            return folder
    raise DataError(
        f"run {run.path.name} has no trained student yet; `domainforge run PIPELINE` trains it"
    )


def open_speakers(
    run: RunFolder, project: Path, say: Callable[[str], None]
) -> tuple[Speaker, Speaker]:
    """Load a run's student and its base.

    Args:
        run: The run.
        project: Folder that relative paths of the pipeline belong to.
        say: Told when something slow begins.

    Raises:
        DataError: The run has no student yet.
        TrainingError: A model can't be loaded.
    """
    from domainforge.training.students import load_model, load_tokenizer

    folder = find_student_folder(run)
    pipeline = pipeline_of(run)

    def listen(event: Any) -> None:
        if event["event"] == "note":
            say(str(event["text"]))

    # The exam plays no part here, and may be gone.
    values = pipeline.model_copy(update={"evaluate": type(pipeline.evaluate)()})
    base = make_context(values, project, listen).student_folder
    student = Speaker("student", load_model(folder), load_tokenizer(folder))
    return student, Speaker("base", load_model(base), load_tokenizer(base))


def converse(
    questions: Iterable[str],
    speakers: Iterable[Speaker],
    tell: Callable[[str, str], None],
) -> int:
    """Put each question to every speaker until there are no more, or one is empty.

    Args:
        questions: One line each.
        speakers: Who answers.
        tell: Called with the speaker's name and its answer.

    Returns:
        How many questions were answered.
    """
    asked = 0
    everyone = list(speakers)
    for line in questions:
        question = line.strip()
        if not question:
            break
        for speaker in everyone:
            tell(speaker.name, speaker.answer(question))
        asked += 1
    return asked

"""What a stage may use besides its inputs: seed, project folder, teacher, student, exam."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domainforge.evaluation.exam import ExamQuestion, load_exam
from domainforge.files import find_file
from domainforge.filters.rows import FilterConfig
from domainforge.prompts import PromptFile, load_prompt
from domainforge.sources.config import SourceConfig
from domainforge.sources.reading import Source
from domainforge.teacher.config import TeacherConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from domainforge.teacher.client import Teacher

Emit = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Context:
    """Everything about the run that stages share.

    Attributes:
        project: Folder that relative paths and the ledger belong to.
        student: The base model: `embedded`, a folder, or a Hub id.
        exam_path: The exam file, or None.
        emit: Records an event; the dashboard and events.jsonl hang on it.
        extra_sources: Sources made in Python, read after those of the pipeline file.
        filter_config: Which rows will pass the filter.
        replays: Whether training mixes general rows in, which the split then has to hold.
        run_name: Whose spending the teacher's is; caps count it over all sessions of the run.
    """

    seed: int
    project: Path
    sources: tuple[SourceConfig, ...]
    teacher_config: TeacherConfig
    student: str
    exam_path: Path | None
    emit: Emit
    run_name: str = ""
    extra_sources: tuple[Source, ...] = ()
    filter_config: FilterConfig = field(default_factory=FilterConfig)
    replays: bool = False

    def progress(self, done: int, total: int, **figures: Any) -> None:
        """Tell how far the stage is."""
        self.emit("progress", {"done": done, "total": total, **figures})

    def say(self, text: str) -> None:
        """Tell the user one sentence about what happens now."""
        self.emit("note", {"text": text})

    def find(self, name: str) -> Path:
        """Resolve a path of the pipeline file."""
        return find_file(name, self.project)

    def prompt(self, name: str) -> PromptFile:
        """Load a prompt file: the project's own first, then the shipped one."""
        return load_prompt(name, self.project)

    def teacher(self, config: TeacherConfig | None = None) -> "AbstractContextManager[Teacher]":
        """Open the teacher; it is closed (and a server of ours stopped) whatever happens.

        Args:
            config: Another one than the run's (a judge), paid for by the run all the same.
        """
        from domainforge.teacher.session import open_teacher

        config = config or self.teacher_config
        return open_teacher(config, self.ledger_path, account=self.run_name, say=self.say)

    @property
    def sources_folder(self) -> Path:
        """Where sources keep validators and partial downloads from run to run; no texts."""
        return self.project / ".sources"

    @property
    def ledger_path(self) -> Path:
        """The project's ledger, shared by all its runs."""
        return self.project / "ledger.sqlite"

    @cached_property
    def exam(self) -> tuple[ExamQuestion, ...]:
        """The exam's questions; empty without an exam."""
        return load_exam(self.exam_path) if self.exam_path else ()

    @cached_property
    def student_folder(self) -> Path:
        """The base model as a folder of safetensors, fetched or dequantised once."""
        from domainforge.training.students import find_student

        return find_student(self.student, self.project, self.say)

    @cached_property
    def student_identity(self) -> str:
        """Revision or weight hash of the base model."""
        from domainforge.training.students import identify_student

        return identify_student(self.student_folder)

    def tokenizer(self) -> "Tokenizer":
        """Load the student's tokenizer (the fast one, without transformers)."""
        from domainforge.training.students import load_fast_tokenizer

        return load_fast_tokenizer(self.student_folder)
